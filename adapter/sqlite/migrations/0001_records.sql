-- Times are microseconds since 1970, NULL for the zero time. Empty texts and
-- lists are NULL where an index leaves them out.
CREATE TABLE records (
  key        BLOB PRIMARY KEY,
  kind       TEXT NOT NULL,
  family     TEXT,
  client     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  scopes     TEXT,
  audience   TEXT,
  issued     INTEGER,
  not_before INTEGER,
  expires    INTEGER,
  spent      INTEGER,
  extra      BLOB
) STRICT, WITHOUT ROWID;

CREATE INDEX records_family ON records (family) WHERE family IS NOT NULL;
CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;
CREATE INDEX records_subject ON records (subject, client);

CREATE TABLE clients (
  id   TEXT PRIMARY KEY,
  data BLOB NOT NULL
) STRICT, WITHOUT ROWID;
