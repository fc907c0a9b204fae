-- What makes a ticket wait though a worker is free: so many leased at once per key, so many started per time, a breaker.
ALTER TABLE tickets
  ADD COLUMN throttles json, -- in the order they are asked, the node's own key first; null where there are none
  ADD COLUMN concurrency_key text, -- of the node's own key, for the count
  ADD COLUMN progressed_at timestamptz; -- when the holder last said something else than before
-- Leased ones only: what waits costs the count nothing, and what it finds dead it need not look at again.
CREATE INDEX tickets_leased_by_agent ON tickets (tenant_id, agent) WHERE token IS NOT NULL AND throttles IS NOT NULL;
CREATE INDEX tickets_leased_by_key ON tickets (tenant_id, concurrency_key) WHERE token IS NOT NULL AND concurrency_key IS NOT NULL;

-- How much of its rate an agent has used (GCRA): full_until is when all of it is there again.
CREATE TABLE rates (
  tenant_id  text NOT NULL,
  key        text NOT NULL,
  full_until timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);

-- Breakers that have seen a failure; see breaker.ts for what follows what.
CREATE TABLE breakers (
  tenant_id       text NOT NULL,
  agent           text NOT NULL,
  state           text NOT NULL CHECK (state IN ('closed', 'open', 'half-open')),
  since           timestamptz,
  failed_at       timestamptz[] NOT NULL DEFAULT '{}',
  next_trial_at   timestamptz,
  trial_ticket_id text,
  PRIMARY KEY (tenant_id, agent)
);

-- How much of the workers a tenant gets beside other tenants that want them too.
ALTER TABLE tenants ADD COLUMN weight double precision NOT NULL DEFAULT 1 CHECK (weight > 0 AND weight < 'infinity');

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['rates', 'breakers'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

-- Whether a ticket may be leased now as far as one of its throttles goes, and if not, in how many milliseconds to ask again; null where
-- only the end of another ticket makes room. The caller holds the lock of the key.
CREATE FUNCTION ask_throttle(t tickets, throttle json, OUT has_room boolean, OUT room_in_ms double precision) LANGUAGE plpgsql AS $$
DECLARE
  places integer := throttle->>'limit';
  step interval;
  window_length interval;
  earliest timestamptz;
  b breakers;
BEGIN
  has_room := true;
  CASE throttle->>'kind'
    WHEN 'agent' THEN
      has_room := places > (SELECT count(*) FROM tickets o
        WHERE o.tenant_id = t.tenant_id AND o.agent = t.agent AND o.token IS NOT NULL AND o.throttles IS NOT NULL);
    WHEN 'key' THEN
      has_room := places > (SELECT count(*) FROM tickets o
        WHERE o.tenant_id = t.tenant_id AND o.concurrency_key = t.concurrency_key AND o.token IS NOT NULL);
    WHEN 'rate' THEN
      window_length := (throttle->>'windowMs')::double precision * interval '1 millisecond';
      step := window_length / places;
      -- Never further ahead than a full window: a clock that was put back, or a shorter window since, must not stop the agent.
      SELECT least(r.full_until, clock_timestamp() + window_length) + step - window_length INTO earliest
        FROM rates r WHERE r.tenant_id = t.tenant_id AND r.key = throttle->>'key';
      has_room := coalesce(earliest <= clock_timestamp(), true);
      room_in_ms := CASE WHEN NOT has_room THEN extract(epoch FROM earliest - clock_timestamp()) * 1000 END;
    WHEN 'breaker' THEN
      SELECT * INTO b FROM breakers WHERE tenant_id = t.tenant_id AND agent = t.agent FOR UPDATE;
      IF b.state = 'open' THEN
        -- Opened in the future: the clock was put back.
        has_room := clock_timestamp() >= b.next_trial_at OR clock_timestamp() < b.since;
        room_in_ms := CASE WHEN NOT has_room THEN extract(epoch FROM b.next_trial_at - clock_timestamp()) * 1000 END;
      ELSIF b.state = 'half-open' THEN
        has_room := NOT EXISTS (SELECT FROM tickets o WHERE o.id = b.trial_ticket_id AND o.token IS NOT NULL);
      END IF;
  END CASE;
END $$;

-- Notes that a ticket is leased under one of its throttles.
CREATE FUNCTION use_throttle(t tickets, throttle json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  window_length interval;
BEGIN
  CASE throttle->>'kind'
    WHEN 'rate' THEN
      window_length := (throttle->>'windowMs')::double precision * interval '1 millisecond';
      INSERT INTO rates AS r (tenant_id, key, full_until)
        VALUES (t.tenant_id, throttle->>'key', clock_timestamp() + window_length / (throttle->>'limit')::integer)
        ON CONFLICT (tenant_id, key) DO UPDATE SET full_until =
          least(greatest(r.full_until, clock_timestamp()), clock_timestamp() + window_length) + window_length / (throttle->>'limit')::integer;
    WHEN 'breaker' THEN
      UPDATE breakers SET state = 'half-open', since = CASE state WHEN 'open' THEN clock_timestamp() ELSE since END,
          next_trial_at = NULL, trial_ticket_id = t.id
        WHERE tenant_id = t.tenant_id AND agent = t.agent AND state <> 'closed';
    ELSE -- A place is taken by being leased.
  END CASE;
END $$;

-- Leases ready tickets as far as their throttles have room, in the order given; done within commit_runs. Who leases a ticket with a key
-- holds the key's lock until his commit is over, so that everybody counts what is. A ticket whose row somebody else has is left to him.
CREATE FUNCTION lease_throttled(claim_id text[], claim_worker text[], lease_ms integer)
RETURNS TABLE (ticket_id text, ticket_token bigint, full_key text, room_in_ms double precision) LANGUAGE plpgsql AS $$
DECLARE
  t tickets;
  throttle json;
  answer record;
BEGIN
  -- All of them first, and in one order, so that nobody waits in a circle.
  PERFORM pg_advisory_xact_lock(hashtext('throttle'), lock) FROM (
    SELECT DISTINCT hashtext(tickets.tenant_id || ' ' || (each.throttle->>'key')) AS lock
    FROM tickets, json_array_elements(tickets.throttles) AS each (throttle) WHERE tickets.id = ANY (claim_id) ORDER BY lock) AS locks;
  FOR i IN 1 .. cardinality(claim_id) LOOP
    SELECT * INTO t FROM tickets WHERE id = claim_id[i] AND worker_id IS NULL AND NOT is_held FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    full_key := NULL;
    FOR throttle IN SELECT * FROM json_array_elements(t.throttles) LOOP
      SELECT * INTO answer FROM ask_throttle(t, throttle);
      IF NOT answer.has_room THEN
        ticket_id := t.id;
        ticket_token := NULL;
        full_key := throttle->>'key';
        room_in_ms := answer.room_in_ms;
        RETURN NEXT;
        EXIT;
      END IF;
    END LOOP;
    CONTINUE WHEN full_key IS NOT NULL;
    PERFORM use_throttle(t, each.throttle) FROM json_array_elements(t.throttles) AS each (throttle);
    RETURN QUERY
      UPDATE tickets SET worker_id = claim_worker[i], token = nextval('ticket_tokens'), leased_at = now(),
        lease_until = now() + lease_ms * interval '1 millisecond', progress = NULL, progressed_at = NULL
      WHERE id = t.id RETURNING tickets.id, tickets.token, NULL::text, NULL::double precision;
  END LOOP;
END $$;

-- As before, with the throttles of tickets; q: leases of ready tickets that have some. For each of those that is not granted for want of
-- room a row without token names the key that is full, and in how many milliseconds it will have room where that is known.
DROP FUNCTION commit_runs;
CREATE FUNCTION commit_runs(
  n_id text[], n_tenant text[], n_workflow text[], n_workflow_version integer[], n_trigger text[], n_origin_run text[],
  n_route text[], n_key text[], n_body_sha256 text[], n_status text[], n_finished_at_ms double precision[], n_wake_at_ms double precision[], n_error json[],
  h_id text[], h_status text[], h_finished_at_ms double precision[], h_wake_at_ms double precision[], h_error json[],
  r_id text[], r_tenant text[], r_version integer[], r_at_ms double precision[], r_events json[], r_blocker json[], r_actor text[], r_action text[],
  s_id text[], s_worker text[], s_token bigint[], v_id text[],
  t_id text[], t_tenant text[], t_run text[], t_node text[], t_slot integer[], t_attempt integer[], t_agent text[], t_action text[],
  t_input json[], t_memo json[], t_is_held boolean[], t_timeout_ms bigint[], t_requirement text[], t_throttles json[], t_rank_ms double precision[], t_worker text[],
  l_id text[], l_worker text[], q_id text[], q_worker text[], lease_ms integer,
  a_id text[], a_tenant text[], a_run text[], a_node text[], a_agent text[], a_action text[], a_message text[], a_input json[], a_input_sha256 text[],
  a_at_ms double precision[], a_expires_at_ms double precision[], a_exclude_requester boolean[],
  c_id text[], c_status text[], c_at_ms double precision[], c_by text[], c_notes text[],
  rare json
) RETURNS TABLE (ticket_id text, ticket_token bigint, full_key text, room_in_ms double precision) LANGUAGE plpgsql
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
      INSERT INTO tickets (id, tenant_id, run_id, node_id, slot, attempt, agent, action, input, memo, is_held, timeout_ms, requirement, throttles, concurrency_key, rank_ms,
        worker_id, token, leased_at, lease_until)
      SELECT t.id, t.tenant, t.run, t.node, t.slot, t.attempt, t.agent, t.action, t.input, t.memo, t.is_held, t.timeout_ms, t.requirement, t.throttles,
        CASE WHEN t.throttles->0->>'kind' = 'key' THEN t.throttles->0->>'key' END, t.rank_ms, t.worker,
        CASE WHEN t.worker IS NOT NULL THEN nextval('ticket_tokens') END,
        CASE WHEN t.worker IS NOT NULL THEN now() END,
        CASE WHEN t.worker IS NOT NULL THEN now() + lease_ms * interval '1 millisecond' END
      FROM unnest(t_id, t_tenant, t_run, t_node, t_slot, t_attempt, t_agent, t_action, t_input, t_memo, t_is_held, t_timeout_ms, t_requirement,
          t_throttles, t_rank_ms, t_worker)
        AS t (id, tenant, run, node, slot, attempt, agent, action, input, memo, is_held, timeout_ms, requirement, throttles, rank_ms,
          worker)
      RETURNING tickets.id, tickets.token, NULL::text, NULL::double precision;
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
        AND tickets.throttles IS NULL
      RETURNING tickets.id, tickets.token, NULL::text, NULL::double precision;
  END IF;

  IF rare IS NOT NULL THEN
    PERFORM commit_rare(rare);
  END IF;

  -- Behind whatever waits for a row, so that nobody waits for a row while he holds the lock of a key.
  IF cardinality(q_id) > 0 THEN
    RETURN QUERY SELECT q.* FROM lease_throttled(q_id, q_worker, lease_ms) AS q;
  END IF;

  -- Last, because its lock makes commits wait for each other until the fsync is done.
  IF cardinality(r_id) > 0 THEN
    PERFORM append_audit(r_tenant, r_at_ms, r_actor, r_action, r_id, r_events);
  END IF;
END $$;
