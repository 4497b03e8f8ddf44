-- Times are microseconds since 1970, NULL for the zero time. Empty texts and
-- lists are NULL where an index leaves them out.
--
-- A slot holds records that expire at about the same time, and is emptied as a
-- whole when they have: 1 to 3 take turns for short lives, 4 to 6 for long
-- ones, and 0 has the rest. Which record is in which slot is the choice of who
-- writes it; nothing is wrong wherever it is.
CREATE TABLE records (
  key        bytea    NOT NULL,
  slot       smallint NOT NULL,
  kind       text     NOT NULL,
  family     text,
  client     text     NOT NULL,
  subject    text,
  scopes     text,
  audience   text,
  issued     bigint,
  not_before bigint,
  expires    bigint,
  spent      bigint,
  extra      bytea,
  PRIMARY KEY (key, slot),
  CHECK (slot = 0 OR expires IS NOT NULL)
) PARTITION BY LIST (slot);

-- There is room in each page for the mark of what is spent.
CREATE TABLE records_0 PARTITION OF records FOR VALUES IN (0) WITH (fillfactor = 90);
CREATE TABLE records_1 PARTITION OF records FOR VALUES IN (1) WITH (fillfactor = 90);
CREATE TABLE records_2 PARTITION OF records FOR VALUES IN (2) WITH (fillfactor = 90);
CREATE TABLE records_3 PARTITION OF records FOR VALUES IN (3) WITH (fillfactor = 90);
CREATE TABLE records_4 PARTITION OF records FOR VALUES IN (4) WITH (fillfactor = 90);
CREATE TABLE records_5 PARTITION OF records FOR VALUES IN (5) WITH (fillfactor = 90);
CREATE TABLE records_6 PARTITION OF records FOR VALUES IN (6) WITH (fillfactor = 90);

CREATE INDEX records_family ON records (family) WHERE family IS NOT NULL;
CREATE INDEX records_client ON records (client);
CREATE INDEX records_subject ON records (subject) WHERE subject IS NOT NULL;
CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;

CREATE TABLE clients (
  id   text  PRIMARY KEY,
  data bytea NOT NULL
);
