-- Clients are listed in the order of the bytes of their identifiers, whatever
-- the order of the database is.
CREATE UNIQUE INDEX clients_order ON clients (id COLLATE "C");
