-- What agents did to the world outside. A row is dispatched, and that is committed, before the agent is told to act; see the
-- transitions in records/effects/effect.ts. version grows with every change: one that read an older version stores nothing.
CREATE TABLE effects (
  id             text COLLATE "C" PRIMARY KEY,
  tenant_id      text NOT NULL,
  run_id         text NOT NULL,
  node_id        text NOT NULL,
  slot           integer NOT NULL,
  step           text NOT NULL,
  tool           text NOT NULL,
  args           json NOT NULL,
  -- Of the canonical form (RFC 8785), so that the order of keys makes no second effect.
  args_sha256    text NOT NULL,
  has_probe      boolean NOT NULL,
  state          text NOT NULL CHECK (state IN ('intended', 'dispatched', 'confirmed', 'unknown')),
  outcome        json CHECK ((outcome IS NULL) = (state <> 'confirmed')),
  reason         text,
  -- The attempt that was told last to make it: its ticket, and the counter of the token.
  ticket_id      text,
  worker_id      text,
  token          bigint,
  dispatch_count integer NOT NULL,
  begun_at       timestamptz NOT NULL,
  dispatched_at  timestamptz,
  ended_at       timestamptz,
  resolved_by    text,
  notes          text,
  -- The ticket that was given back to wait for news of it; null again once the news were told.
  awaited_by     text,
  version        integer NOT NULL,
  UNIQUE (run_id, node_id, slot, step, tool, args_sha256)
) WITH (fillfactor = 80);
CREATE INDEX effects_by_tenant ON effects (tenant_id, id);
CREATE INDEX effects_open ON effects (tenant_id, id) WHERE state IN ('dispatched', 'unknown');
CREATE INDEX effects_awaited ON effects (id) WHERE awaited_by IS NOT NULL;

-- Results of steps in agents' code, each recorded once.
CREATE TABLE steps (
  run_id      text NOT NULL,
  node_id     text NOT NULL,
  slot        integer NOT NULL,
  step        text COLLATE "C" NOT NULL,
  tenant_id   text NOT NULL,
  outcome     json NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, node_id, slot, step)
);

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['effects', 'steps'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

-- The functions below plan as commit_runs does: once, when the tables are small, and for large ones.

-- For each call, in the order of the arrays, the place of the ticket it shows, and the effect there that it names: by id, or by its key.
-- A call whose ticket is not held by that worker and token has no row.
CREATE FUNCTION find_effects(c_ticket text[], c_worker text[], c_token bigint[], c_id text[], c_step text[], c_tool text[], c_args_sha256 text[])
RETURNS TABLE (n bigint, tenant_id text, run_id text, node_id text, slot integer, effect json) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  RETURN QUERY
    SELECT c.n, t.tenant_id, t.run_id, t.node_id, t.slot, (
      SELECT row_to_json(e) FROM effects e
      WHERE e.id = coalesce(c.id, (
          SELECT k.id FROM effects k WHERE k.run_id = t.run_id AND k.node_id = t.node_id AND k.slot = t.slot
            AND k.step = c.step AND k.tool = c.tool AND k.args_sha256 = c.args_sha256))
        AND e.run_id = t.run_id AND e.node_id = t.node_id AND e.slot = t.slot)
    FROM unnest(c_ticket, c_worker, c_token, c_id, c_step, c_tool, c_args_sha256) WITH ORDINALITY
      AS c (ticket, worker, token, id, step, tool, args_sha256, n)
    JOIN tickets t ON t.id = c.ticket AND t.token = c.token AND t.worker_id IS NOT DISTINCT FROM c.worker;
END $$;

-- Stores effects as they are to stand, with an audit entry each. False, and nothing is stored, where a ticket shown is not held any more;
-- raises HV004 where an effect is not at the version before. Tickets stay with their holders until the commit, locked in the order of their
-- ids, so that two control planes cannot block each other.
CREATE FUNCTION store_effects(changes json) RETURNS boolean LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  row_total integer;
BEGIN
  PERFORM FROM json_to_recordset(changes) AS c ("shownTicket" text, "shownWorker" text, "shownToken" bigint)
    JOIN tickets t ON t.id = c."shownTicket" AND t.token = c."shownToken" AND t.worker_id IS NOT DISTINCT FROM c."shownWorker"
    ORDER BY t.id FOR SHARE OF t;
  GET DIAGNOSTICS row_total = ROW_COUNT;
  IF row_total < (SELECT count(c."shownTicket") FROM json_to_recordset(changes) AS c ("shownTicket" text)) THEN
    RETURN false;
  END IF;

  INSERT INTO effects (id, tenant_id, run_id, node_id, slot, step, tool, args, args_sha256, has_probe, state, outcome, reason, ticket_id,
    worker_id, token, dispatch_count, begun_at, dispatched_at, ended_at, resolved_by, notes, awaited_by, version)
  SELECT id, "tenantId", "runId", "nodeId", slot, step, tool, args, "argsSha256", "hasProbe", state, outcome, reason, "ticketId",
    "workerId", counter, "dispatchCount", to_timestamp("begunAtMs" / 1000), to_timestamp("dispatchedAtMs" / 1000),
    to_timestamp("endedAtMs" / 1000), "resolvedBy", notes, "awaitedBy", version
  FROM json_to_recordset(changes) AS e (id text, "tenantId" text, "runId" text, "nodeId" text, slot integer, step text, tool text, args json,
    "argsSha256" text, "hasProbe" boolean, state text, outcome json, reason text, "ticketId" text, "workerId" text, counter bigint,
    "dispatchCount" integer, "begunAtMs" double precision, "dispatchedAtMs" double precision, "endedAtMs" double precision,
    "resolvedBy" text, notes text, "awaitedBy" text, version integer)
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, outcome = excluded.outcome, reason = excluded.reason, ticket_id = excluded.ticket_id,
    worker_id = excluded.worker_id, token = excluded.token, dispatch_count = excluded.dispatch_count, dispatched_at = excluded.dispatched_at,
    ended_at = excluded.ended_at, resolved_by = excluded.resolved_by, notes = excluded.notes, awaited_by = excluded.awaited_by,
    version = excluded.version
  WHERE effects.version = excluded.version - 1;
  GET DIAGNOSTICS row_total = ROW_COUNT;
  IF row_total < json_array_length(changes) THEN
    RAISE EXCEPTION 'an effect was changed meanwhile' USING ERRCODE = 'HV004';
  END IF;

  -- Last, because its lock makes commits wait for each other until the fsync is done.
  PERFORM append_audit(array_agg(c.change->>'tenantId' ORDER BY c.n), array_agg(extract(epoch FROM now())::double precision * 1000),
      array_agg(c.change->>'actor' ORDER BY c.n), array_agg(c.change->>'deed' ORDER BY c.n), array_agg(c.change->>'id' ORDER BY c.n),
      array_agg(c.change ORDER BY c.n))
    FROM json_array_elements(changes) WITH ORDINALITY AS c (change, n);
  RETURN true;
END $$;

-- Records each step that is not recorded yet, and gives for each what is. A step whose ticket is not held by that worker and token has no row.
CREATE FUNCTION record_steps(c_ticket text[], c_worker text[], c_token bigint[], c_step text[], c_outcome json[])
RETURNS TABLE (n integer, recorded json) LANGUAGE plpgsql AS $$
DECLARE
  place record;
  tenants text[] := '{}';
  actors text[] := '{}';
  runs text[] := '{}';
  payloads json[] := '{}';
BEGIN
  FOR n IN SELECT i FROM generate_subscripts(c_ticket, 1) AS i ORDER BY c_ticket[i] LOOP
    SELECT t.tenant_id, t.run_id, t.node_id, t.slot INTO place FROM tickets t
      WHERE t.id = c_ticket[n] AND t.token = c_token[n] AND t.worker_id IS NOT DISTINCT FROM c_worker[n] FOR SHARE;
    CONTINUE WHEN NOT FOUND;
    recorded := c_outcome[n];
    INSERT INTO steps (run_id, node_id, slot, step, tenant_id, outcome)
      VALUES (place.run_id, place.node_id, place.slot, c_step[n], place.tenant_id, recorded) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      tenants := tenants || place.tenant_id;
      actors := actors || ('worker:' || c_worker[n]);
      runs := runs || place.run_id;
      payloads := payloads || json_build_object('step', c_step[n], 'outcome', recorded);
    ELSE
      SELECT s.outcome INTO recorded FROM steps s
        WHERE s.run_id = place.run_id AND s.node_id = place.node_id AND s.slot = place.slot AND s.step = c_step[n];
    END IF;
    RETURN NEXT;
  END LOOP;
  IF cardinality(tenants) > 0 THEN
    PERFORM append_audit(tenants, array_fill(extract(epoch FROM now())::double precision * 1000, ARRAY[cardinality(tenants)]), actors,
      array_fill('step.recorded'::text, ARRAY[cardinality(tenants)]), runs, payloads);
  END IF;
END $$;
