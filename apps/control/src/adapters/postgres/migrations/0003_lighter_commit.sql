-- A step writes less. The journal's key fences a run (its next version can be inserted once), so the run's row is written only when what
-- lists and wakes it changes; the blocker, which changes with every step, moves to the journal's row.
ALTER TABLE run_journal ADD COLUMN blocker json;
UPDATE run_journal SET blocker = runs.blocker FROM runs
  WHERE run_journal.run_id = runs.id AND run_journal.version = runs.version AND runs.blocker IS NOT NULL;
ALTER TABLE runs RENAME COLUMN retry_of TO origin_run_id; -- a run may also be forked from another one, or undo it
DROP INDEX runs_unfinished; -- nothing asks for it, and it kept the update that ends a run from being heap-only
ALTER TABLE runs DROP COLUMN version, DROP COLUMN blocker, SET (fillfactor = 80);

-- A ticket's id begins with its run's, so bytewise order makes the primary key an index by run as well. The sweep's index is by token: numbers
-- that only grow are the cheapest entries there are.
DROP INDEX tickets_by_run, tickets_leased;
ALTER TABLE tickets ALTER COLUMN id TYPE text COLLATE "C",
  ADD COLUMN memo json,
  ADD COLUMN is_held boolean NOT NULL DEFAULT false; -- its run is paused: nobody is given it
ALTER TABLE approvals ADD COLUMN exclude_requester boolean NOT NULL DEFAULT false;
CREATE INDEX tickets_leased ON tickets (token) WHERE token IS NOT NULL;

-- One call commits what a batch of runs did: state, journal (which is the outbox), tickets, approvals and audit entries
-- stand or fall together, at the price of one round trip and one fsync. Parameters are columns: element i of each array of a group belongs
-- to row i. Raises HV002 (a ticket is not held by that worker and token), HV003 (an idempotency key exists), DETAIL lists the ids; and
-- a unique violation of run_journal_pkey (a run moved on: reload). The first letter names the group: n new runs, h runs whose row changes,
-- r runs, s settled, v revoked, t issued tickets, l leases of ready tickets, a approvals asked, c approvals closed. What happens rarely comes in
-- one object and is done by commit_rare.
DROP FUNCTION commit_runs;
CREATE FUNCTION commit_runs(
  n_id text[], n_tenant text[], n_workflow text[], n_workflow_version integer[], n_trigger text[], n_origin_run text[],
  n_route text[], n_key text[], n_body_sha256 text[], n_status text[], n_finished_at_ms double precision[], n_wake_at_ms double precision[], n_error json[],
  h_id text[], h_status text[], h_finished_at_ms double precision[], h_wake_at_ms double precision[], h_error json[],
  r_id text[], r_tenant text[], r_version integer[], r_at_ms double precision[], r_events json[], r_blocker json[], r_actor text[], r_action text[],
  s_id text[], s_worker text[], s_token bigint[], v_id text[],
  t_id text[], t_tenant text[], t_run text[], t_node text[], t_slot integer[], t_attempt integer[], t_agent text[], t_action text[],
  t_input json[], t_memo json[], t_is_held boolean[], t_timeout_ms bigint[], t_requirement text[], t_rank_ms double precision[], t_worker text[],
  l_id text[], l_worker text[], lease_ms integer,
  a_id text[], a_tenant text[], a_run text[], a_node text[], a_agent text[], a_action text[], a_message text[], a_input json[], a_input_sha256 text[],
  a_at_ms double precision[], a_expires_at_ms double precision[], a_exclude_requester boolean[],
  c_id text[], c_status text[], c_at_ms double precision[], c_by text[], c_notes text[],
  rare json
) RETURNS TABLE (ticket_id text, ticket_token bigint) LANGUAGE plpgsql
-- One plan per statement, kept: batches differ in size, so PostgreSQL would plan each call anew. It is made when the tables are small, hence the
-- three switches: without them it would read whole tables for ever.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  misses text[];
  touched_ids text[];
BEGIN
  IF cardinality(n_id) > 0 THEN
    INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, trigger, origin_run_id, created_at, status, finished_at, wake_at, error)
      SELECT n.id, n.tenant, n.workflow, n.workflow_version, n.trigger, n.origin_run, now(),
        n.status, to_timestamp(n.finished_at_ms / 1000), to_timestamp(n.wake_at_ms / 1000), n.error
      FROM unnest(n_id, n_tenant, n_workflow, n_workflow_version, n_trigger, n_origin_run, n_status, n_finished_at_ms, n_wake_at_ms, n_error)
        AS n (id, tenant, workflow, workflow_version, trigger, origin_run, status, finished_at_ms, wake_at_ms, error);
    IF array_remove(n_key, NULL) <> '{}' THEN
      INSERT INTO idempotency_keys (tenant_id, route, key, body_sha256, run_id)
        SELECT n.tenant, n.route, n.key, n.body, n.id FROM unnest(n_tenant, n_route, n_key, n_body_sha256, n_id) AS n (tenant, route, key, body, id)
        WHERE n.key IS NOT NULL
        ON CONFLICT DO NOTHING;
      SELECT array_agg(n.id) INTO misses FROM unnest(n_tenant, n_route, n_key, n_id) AS n (tenant, route, key, id)
        WHERE n.key IS NOT NULL AND NOT EXISTS (
          SELECT FROM idempotency_keys k WHERE k.tenant_id = n.tenant AND k.route = n.route AND k.key = n.key AND k.run_id = n.id);
      IF misses IS NOT NULL THEN
        RAISE EXCEPTION 'idempotency key exists' USING ERRCODE = 'HV003', DETAIL = array_to_string(misses, ',');
      END IF;
    END IF;
  END IF;

  IF cardinality(s_id) > 0 THEN
    WITH gone AS (
      DELETE FROM tickets t USING unnest(s_id, s_worker, s_token) AS s (id, worker, token)
      -- No index can serve IS NOT DISTINCT FROM, so the id's must be used: tickets_leased holds every ticket since the last vacuum, and a
      -- plan made when the table was small would read all of it at every call.
      WHERE t.id = s.id AND t.worker_id = s.worker AND t.token IS NOT DISTINCT FROM s.token RETURNING t.id
    )
    SELECT coalesce(array_agg(id), '{}') INTO touched_ids FROM gone;
    IF cardinality(touched_ids) <> cardinality(s_id) THEN
      SELECT array_agg(x) INTO misses FROM unnest(s_id) AS x WHERE x <> ALL (touched_ids);
      RAISE EXCEPTION 'ticket not held' USING ERRCODE = 'HV002', DETAIL = array_to_string(misses, ',');
    END IF;
  END IF;

  IF cardinality(r_id) > 0 THEN
    INSERT INTO run_journal (run_id, version, tenant_id, events, blocker)
      SELECT r.id, r.version, r.tenant, r.events, r.blocker
      FROM unnest(r_id, r_version, r_tenant, r_events, r_blocker) AS r (id, version, tenant, events, blocker);
  END IF;
  IF cardinality(h_id) > 0 THEN
    UPDATE runs SET
      status = h.status, finished_at = to_timestamp(h.finished_at_ms / 1000), wake_at = to_timestamp(h.wake_at_ms / 1000), error = h.error
    FROM unnest(h_id, h_status, h_finished_at_ms, h_wake_at_ms, h_error) AS h (id, status, finished_at_ms, wake_at_ms, error)
    WHERE runs.id = h.id;
  END IF;

  IF cardinality(v_id) > 0 THEN
    DELETE FROM tickets WHERE id = ANY (v_id);
  END IF;

  IF cardinality(a_id) > 0 THEN
    INSERT INTO approvals (id, tenant_id, run_id, node_id, agent, action, message, input, input_sha256, requested_at, expires_at, exclude_requester)
      SELECT a.id, a.tenant, a.run, a.node, a.agent, a.action, a.message, a.input, a.input_sha256,
        to_timestamp(a.at_ms / 1000), to_timestamp(a.expires_at_ms / 1000), a.exclude_requester
      FROM unnest(a_id, a_tenant, a_run, a_node, a_agent, a_action, a_message, a_input, a_input_sha256, a_at_ms, a_expires_at_ms,
          a_exclude_requester)
        AS a (id, tenant, run, node, agent, action, message, input, input_sha256, at_ms, expires_at_ms, exclude_requester);
  END IF;
  IF cardinality(c_id) > 0 THEN
    UPDATE approvals SET status = c.status, responded_at = to_timestamp(c.at_ms / 1000), responded_by = c.by_whom, notes = c.notes
    FROM unnest(c_id, c_status, c_at_ms, c_by, c_notes) AS c (id, status, at_ms, by_whom, notes)
    WHERE approvals.id = c.id AND approvals.status = 'PENDING';
  END IF;

  IF cardinality(t_id) > 0 THEN
    RETURN QUERY
      INSERT INTO tickets (id, tenant_id, run_id, node_id, slot, attempt, agent, action, input, memo, is_held, timeout_ms, requirement, rank_ms,
        worker_id, token, leased_at, lease_until)
      SELECT t.id, t.tenant, t.run, t.node, t.slot, t.attempt, t.agent, t.action, t.input, t.memo, t.is_held, t.timeout_ms, t.requirement, t.rank_ms, t.worker,
        CASE WHEN t.worker IS NOT NULL THEN nextval('ticket_tokens') END,
        CASE WHEN t.worker IS NOT NULL THEN now() END,
        CASE WHEN t.worker IS NOT NULL THEN now() + lease_ms * interval '1 millisecond' END
      FROM unnest(t_id, t_tenant, t_run, t_node, t_slot, t_attempt, t_agent, t_action, t_input, t_memo, t_is_held, t_timeout_ms, t_requirement,
          t_rank_ms, t_worker)
        AS t (id, tenant, run, node, slot, attempt, agent, action, input, memo, is_held, timeout_ms, requirement, rank_ms, worker)
      RETURNING tickets.id, tickets.token;
    IF array_position(t_worker, NULL) IS NOT NULL THEN
      PERFORM pg_notify('hive_tickets', '');
    END IF;
  END IF;
  IF cardinality(l_id) > 0 THEN
    -- One somebody else took meanwhile is not returned: no fault, the worker's credit comes back.
    RETURN QUERY
      UPDATE tickets SET worker_id = l.worker, token = nextval('ticket_tokens'), leased_at = now(),
        lease_until = now() + lease_ms * interval '1 millisecond', progress = NULL
      FROM unnest(l_id, l_worker) AS l (id, worker) WHERE tickets.id = l.id AND tickets.worker_id IS NULL AND NOT tickets.is_held
      RETURNING tickets.id, tickets.token;
  END IF;

  IF rare IS NOT NULL THEN
    PERFORM commit_rare(rare);
  END IF;

  -- Last, because its lock makes commits wait for each other until the fsync is done.
  IF cardinality(r_id) > 0 THEN
    PERFORM append_audit(r_tenant, r_at_ms, r_actor, r_action, r_id, r_events);
  END IF;
END $$;

-- Appends one audit entry per element: entry n carries SHA-256(hash of entry n−1 ‖ its own fields). The head's lock makes the numbers
-- gap-free and their order that of the commits.
DROP FUNCTION append_audit;
CREATE FUNCTION append_audit(
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
        head_hash := sha256(head_hash || convert_to(concat_ws(E'\x1f', tenant, head_seq, e_at_ms[i], e_actor[i], e_action[i], e_object[i], e_payload[i]), 'UTF8'));
        seqs[i] := head_seq;
        hashes[i] := head_hash;
      END IF;
    END LOOP;
    UPDATE audit_heads SET seq = head_seq, hash = head_hash WHERE tenant_id = tenant;
  END LOOP;
  INSERT INTO audit_log (tenant_id, seq, at, actor, action, object, hash)
    SELECT e.tenant, e.seq, to_timestamp(e.at_ms / 1000), e.actor, e.action, e.object, e.hash
    FROM unnest(e_tenant, seqs, e_at_ms, e_actor, e_action, e_object, hashes) AS e (tenant, seq, at_ms, actor, action, object, hash);
END $$;
