-- An entry can be checked from what is stored: a commit of a run by the journal's row, everything else by the payload kept here as it was hashed.
ALTER TABLE audit_log ADD COLUMN payload json;
-- Entries before it have no payload.
ALTER TABLE audit_heads ADD COLUMN proven_from bigint NOT NULL DEFAULT 1;
SELECT set_config('hive.tenant_id', '*', true);
UPDATE audit_heads SET proven_from = seq + 1;

-- Appends one audit entry per element: entry n carries SHA-256(hash of entry n−1 ‖ its own fields). The head's lock makes the numbers
-- gap-free and their order that of the commits. The time is hashed in whole milliseconds, so that it can be read back from the column.
CREATE OR REPLACE FUNCTION append_audit(
  e_tenant text[], e_at_ms double precision[], e_actor text[], e_action text[], e_object text[], e_payload json[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  tenants text[] := e_tenant[1:1];
  tenant text;
  head_seq bigint;
  head_hash bytea;
  seqs bigint[] := array_fill(0, ARRAY[cardinality(e_tenant)]);
  hashes bytea[] := array_fill(''::bytea, ARRAY[cardinality(e_tenant)]);
BEGIN
  -- A batch is one tenant's as a rule, and a query to find that out would cost as much as an entry.
  IF NOT e_tenant[1] = ALL (e_tenant) THEN
    tenants := ARRAY(SELECT DISTINCT t FROM unnest(e_tenant) AS t ORDER BY t);
  END IF;
  FOREACH tenant IN ARRAY tenants LOOP
    SELECT seq, hash INTO STRICT head_seq, head_hash FROM audit_heads WHERE tenant_id = tenant FOR UPDATE;
    FOR i IN 1 .. cardinality(e_tenant) LOOP
      IF e_tenant[i] = tenant THEN
        head_seq := head_seq + 1;
        head_hash := sha256(head_hash || convert_to(concat_ws(E'\x1f', tenant, head_seq, round(e_at_ms[i]), e_actor[i], e_action[i], e_object[i],
          e_payload[i]), 'UTF8'));
        seqs[i] := head_seq;
        hashes[i] := head_hash;
      END IF;
    END LOOP;
    UPDATE audit_heads SET seq = head_seq, hash = head_hash WHERE tenant_id = tenant;
  END LOOP;
  INSERT INTO audit_log (tenant_id, seq, at, actor, action, object, hash, payload)
    SELECT e.tenant, e.seq, to_timestamp(round(e.at_ms) / 1000), e.actor, e.action, e.object, e.hash,
      CASE WHEN e.object !~ '^run_[0-7][0-9A-HJKMNP-TV-Z]{25}$' THEN e.payload END
    FROM unnest(e_tenant, seqs, e_at_ms, e_actor, e_action, e_object, hashes, e_payload)
      AS e (tenant, seq, at_ms, actor, action, object, hash, payload);
END $$;
