-- As create_records, which stays for the servers that run while this migration
-- does, but locks and looks only for the keys that somebody may have already: of
-- those that are made by chance there are most, and looking in each partition
-- took longer than writing.
CREATE FUNCTION write_records(
  space int, locks bigint[], chosen bytea[],
  keys bytea[], slots smallint[], kinds text[], families text[], clients text[], subjects text[], scopes text[], audiences text[],
  issued bigint[], not_before bigint[], expires bigint[], spent bigint[], extra bytea[]
) RETURNS SETOF bytea LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(space, 0);
  IF cardinality(chosen) > 0 THEN
    PERFORM pg_advisory_xact_lock(k) FROM unnest(locks) k;
    RETURN QUERY SELECT r.key FROM records r WHERE r.key = ANY (chosen);
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  INSERT INTO records (key, slot, kind, family, client, subject, scopes, audience, issued, not_before, expires, spent, extra)
  SELECT * FROM unnest(keys, slots, kinds, families, clients, subjects, write_records.scopes, audiences,
    write_records.issued, write_records.not_before, write_records.expires, write_records.spent, write_records.extra);
END $$;
