-- Three more slots for short lives, so that each has what expires in half the
-- time and emptying it takes half as long: 1, 2, 3, 7, 8 and 9 take turns now.
-- They are attached, and not made as partitions, as that would wait for everyone
-- who reads, such as a backup, and have all others wait behind.
CREATE TABLE records_7 (LIKE records INCLUDING CONSTRAINTS) WITH (fillfactor = 90);
CREATE TABLE records_8 (LIKE records INCLUDING CONSTRAINTS) WITH (fillfactor = 90);
CREATE TABLE records_9 (LIKE records INCLUDING CONSTRAINTS) WITH (fillfactor = 90);
ALTER TABLE records ATTACH PARTITION records_7 FOR VALUES IN (7);
ALTER TABLE records ATTACH PARTITION records_8 FOR VALUES IN (8);
ALTER TABLE records ATTACH PARTITION records_9 FOR VALUES IN (9);
