-- Records are kept in the order in which they were written, not in that of
-- their keys. Keys are random, so a table in their order changes a page for
-- every record, and so does each index that has them at its end; with row
-- numbers instead, all but the index of the keys grow at few places. That made
-- two indexes affordable that revoking by client or subject needs.
CREATE TABLE records_by_row (
  id         INTEGER PRIMARY KEY,
  key        BLOB NOT NULL,
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
) STRICT;

INSERT INTO records_by_row (key, kind, family, client, subject, scopes, audience, issued, not_before, expires, spent, extra)
SELECT key, kind, family, client, subject, scopes, audience, issued, not_before, expires, spent, extra FROM records;

DROP TABLE records;
ALTER TABLE records_by_row RENAME TO records;

CREATE UNIQUE INDEX records_key ON records (key);
CREATE INDEX records_family ON records (family) WHERE family IS NOT NULL;
CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;
CREATE INDEX records_client ON records (client);
CREATE INDEX records_subject ON records (subject);
