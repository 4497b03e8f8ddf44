-- Writes records whose keys are all free, and returns nothing; or returns the
-- keys that are taken, and writes nothing. It does in one call what else takes
-- six statements and two journeys: most that is written is written like this.
-- Each statement of a function sees what was committed before it began, so what
-- is looked for after the locks were taken is found.
CREATE FUNCTION create_records(
  space int, locks bigint[],
  keys bytea[], slots smallint[], kinds text[], families text[], clients text[], subjects text[], scopes text[], audiences text[],
  issued bigint[], not_before bigint[], expires bigint[], spent bigint[], extra bytea[]
) RETURNS SETOF bytea LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(space, 0);
  PERFORM pg_advisory_xact_lock(k) FROM unnest(locks) k;
  RETURN QUERY SELECT r.key FROM records r WHERE r.key = ANY (keys);
  IF NOT FOUND THEN
    INSERT INTO records (key, slot, kind, family, client, subject, scopes, audience, issued, not_before, expires, spent, extra)
    SELECT * FROM unnest(keys, slots, kinds, families, clients, subjects, create_records.scopes, audiences,
      create_records.issued, create_records.not_before, create_records.expires, create_records.spent, create_records.extra);
  END IF;
END $$;
