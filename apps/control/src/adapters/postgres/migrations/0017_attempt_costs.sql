-- Attempts that may cost something reserve the most of it at their budgets with their lease; the end of the lease, whichever way, charges it.
ALTER TABLE budgets DROP CONSTRAINT budgets_scope_check,
  ADD CONSTRAINT budgets_scope_check CHECK (scope IN ('tenant', 'workflow', 'agent', 'run', 'key'));
ALTER TABLE tickets ADD COLUMN reservation text; -- while it is leased and reserved something; never expires by itself

-- What attempts cost that are over, until settle_attempts has told their budgets. Rows only come and go, so that nobody who settles a ticket
-- waits for a budget's row while he holds others.
CREATE TABLE attempt_costs (
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id   text NOT NULL,
  ticket_id   text NOT NULL,
  reservation text NOT NULL,
  micro_usd   bigint CHECK (micro_usd >= 0) -- null: all that was reserved, for it may have been spent
);
CREATE INDEX attempt_costs_by_ticket ON attempt_costs (ticket_id);
ALTER TABLE attempt_costs ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempt_costs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON attempt_costs USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']));

-- When the current window ends; null where it never does.
CREATE FUNCTION budget_turn(p_period text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE p_period
    WHEN 'day' THEN (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC'
    WHEN 'month' THEN (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC' END
$$;

-- As before, with agents having budgets of their own, which calls of models do not count in.
CREATE OR REPLACE FUNCTION budgets_of(p_tenant text, p_key text, p_run text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  WITH RECURSIVE line (id, origin_run_id, workflow_id) AS (
    SELECT r.id, r.origin_run_id, r.workflow_id FROM runs r WHERE r.id = p_run AND r.tenant_id = p_tenant
    UNION
    SELECT r.id, r.origin_run_id, r.workflow_id FROM line l JOIN runs r ON r.id = l.origin_run_id AND r.tenant_id = p_tenant
  )
  SELECT b.id FROM budgets b WHERE b.tenant_id = p_tenant AND CASE b.scope
    WHEN 'tenant' THEN true
    WHEN 'key' THEN b.name = p_key
    WHEN 'run' THEN b.name IN (SELECT line.id FROM line)
    WHEN 'workflow' THEN b.name IN (SELECT w.name FROM line JOIN workflows w ON w.id = line.workflow_id)
    ELSE false END
$$;

-- The budgets of a scope, or of all, that an attempt counts in.
CREATE FUNCTION attempt_budgets(p_tenant text, p_agent text, p_run text, p_scope text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  SELECT b.id FROM budgets b WHERE b.tenant_id = p_tenant AND (p_scope IS NULL OR b.scope = p_scope)
    AND (b.scope = 'agent' AND b.name = p_agent OR b.id IN (SELECT budgets_of(p_tenant, NULL, p_run)))
$$;

-- The budget that has least left of those in which the attempt has no room; none where it has room in all.
CREATE FUNCTION fullest_budget(p_tenant text, p_agent text, p_run text, p_scope text, p_most bigint)
RETURNS TABLE (scope text, name text, period text, cap_micro_usd bigint, reserved_micro_usd bigint, settled_micro_usd bigint) LANGUAGE sql AS $$
  SELECT b.scope, b.name, b.period, b.cap_micro_usd, b.reserved_micro_usd, s.settled FROM budgets b
  -- What was settled in a window that is over is not spent any more.
  CROSS JOIN LATERAL (SELECT CASE WHEN b.window_start < budget_window(b.period) THEN 0 ELSE b.settled_micro_usd END AS settled) AS s
  WHERE b.id IN (SELECT attempt_budgets(p_tenant, p_agent, p_run, p_scope)) AND b.reserved_micro_usd + s.settled + p_most > b.cap_micro_usd
  ORDER BY b.cap_micro_usd - b.reserved_micro_usd - s.settled, b.id LIMIT 1
$$;

-- A lease that reserved something is over: settled, revoked, lost. Who gives a ticket back unused takes the reservation off it.
CREATE FUNCTION charge_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  is_unused boolean := false;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    is_unused := NEW.reservation IS NULL;
    NEW.reservation := NULL;
  END IF;
  INSERT INTO attempt_costs (tenant_id, ticket_id, reservation, micro_usd)
    VALUES (OLD.tenant_id, OLD.id, OLD.reservation, CASE WHEN is_unused THEN 0 END);
  IF TG_OP = 'UPDATE' THEN
    RETURN NEW;
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER tickets_charge_ended BEFORE DELETE ON tickets FOR EACH ROW
  WHEN (OLD.reservation IS NOT NULL) EXECUTE FUNCTION charge_attempt();
CREATE TRIGGER tickets_charge_lost BEFORE UPDATE OF token ON tickets FOR EACH ROW
  WHEN (OLD.reservation IS NOT NULL AND OLD.token IS NOT NULL AND NEW.token IS DISTINCT FROM OLD.token) EXECUTE FUNCTION charge_attempt();

-- Tells budgets what attempts cost that are over, at most 1,000 at a time.
CREATE FUNCTION settle_attempts() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ids text[];
  spent bigint[];
BEGIN
  WITH gone AS (
    DELETE FROM attempt_costs WHERE seq IN (SELECT c.seq FROM attempt_costs c ORDER BY c.seq LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING *
  )
  SELECT array_agg(gone.reservation), array_agg(gone.micro_usd) INTO ids, spent FROM gone;
  IF ids IS NOT NULL THEN
    PERFORM settle_money(ids, spent);
  END IF;
END $$;

-- As before, with what workers say that attempts cost; their tickets are gone by now.
ALTER FUNCTION commit_rare RENAME TO commit_turns;
CREATE FUNCTION commit_rare(rare json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM commit_turns(rare);
  IF rare->'costs' IS NOT NULL THEN
    UPDATE attempt_costs a SET micro_usd = c.micro_usd
    FROM json_to_recordset(rare->'costs') AS c (ticket_id text, micro_usd bigint)
    -- The last lease of the ticket, which this commit ended; earlier ones were lost, and are charged whole.
    WHERE a.seq = (SELECT max(l.seq) FROM attempt_costs l WHERE l.ticket_id = c.ticket_id);
  END IF;
END $$;

-- Of a breaker that is half-open: its trials so far, at most ten. Between the end of one and the note of how it went another may have begun.
ALTER TABLE breakers ADD COLUMN trials text[] NOT NULL DEFAULT '{}';

-- Whether a ticket may be leased now as far as one of its throttles goes, and if not, in how many milliseconds to ask again; null where
-- only the end of another ticket makes room. The caller holds the locks of the key and of the budgets.
CREATE OR REPLACE FUNCTION ask_throttle(t tickets, throttle json, OUT has_room boolean, OUT room_in_ms double precision) LANGUAGE plpgsql AS $$
DECLARE
  places integer := throttle->>'limit';
  step interval;
  window_length interval;
  earliest timestamptz;
  b breakers;
  full_budget record;
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
      SELECT * INTO b FROM breakers WHERE tenant_id = t.tenant_id AND agent = breaker_subject(throttle->>'key') FOR UPDATE;
      IF b.state = 'open' THEN
        -- Opened in the future: the clock was put back.
        has_room := clock_timestamp() >= b.next_trial_at OR clock_timestamp() < b.since;
        room_in_ms := CASE WHEN NOT has_room THEN extract(epoch FROM b.next_trial_at - clock_timestamp()) * 1000 END;
      ELSIF b.state = 'half-open' THEN
        has_room := NOT EXISTS (SELECT FROM tickets o WHERE o.id = b.trial_ticket_id AND o.token IS NOT NULL);
      END IF;
    WHEN 'budget' THEN
      SELECT * INTO full_budget FROM fullest_budget(t.tenant_id, t.agent, t.run_id, throttle->>'scope', (throttle->>'maxMicroUsd')::bigint);
      has_room := NOT FOUND;
      room_in_ms := CASE WHEN NOT has_room THEN extract(epoch FROM budget_turn(full_budget.period) - clock_timestamp()) * 1000 END;
  END CASE;
END $$;

-- Notes that a ticket is leased under one of its throttles.
CREATE OR REPLACE FUNCTION use_throttle(t tickets, throttle json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  window_length interval;
  ids text[];
  most bigint;
  reserved_as text;
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
          next_trial_at = NULL, trial_ticket_id = t.id, trials = (t.id || CASE state WHEN 'open' THEN '{}' ELSE trials END)[:10]
        WHERE tenant_id = t.tenant_id AND agent = breaker_subject(throttle->>'key') AND state <> 'closed';
    WHEN 'budget' THEN
      -- Once per ticket, at all its budgets.
      IF throttle->>'scope' = 'tenant' THEN
        ids := ARRAY(SELECT attempt_budgets(t.tenant_id, t.agent, t.run_id, NULL));
        IF ids <> '{}' THEN
          most := throttle->>'maxMicroUsd';
          UPDATE budgets SET reserved_micro_usd = reserved_micro_usd + most WHERE id = ANY (ids);
          UPDATE tickets SET reservation = t.id || '/' || gen_random_uuid() WHERE id = t.id RETURNING reservation INTO reserved_as;
          INSERT INTO reservations (id, tenant_id, budget_ids, most_micro_usd, expires_at) VALUES (reserved_as, t.tenant_id, ids, most, 'infinity');
        END IF;
      END IF;
    ELSE -- A place is taken by being leased.
  END CASE;
END $$;

-- Leases ready tickets as far as their throttles have room, in the order given; done within commit_runs. Who leases a ticket with a key
-- holds the key's lock until his commit is over, so that everybody counts what is. A ticket whose row somebody else has is left to him.
CREATE OR REPLACE FUNCTION lease_throttled(claim_id text[], claim_worker text[], lease_ms integer)
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
  -- Behind the keys, and before any is asked: in the order of their ids, as everybody does who reserves or settles.
  PERFORM lock_budgets(ARRAY(
    SELECT DISTINCT attempt_budgets(p.tenant_id, p.agent, p.run_id, NULL) FROM (
      SELECT tickets.tenant_id, tickets.agent, tickets.run_id FROM tickets, json_array_elements(tickets.throttles) AS each (throttle)
      WHERE tickets.id = ANY (claim_id) AND each.throttle->>'kind' = 'budget' AND each.throttle->>'scope' = 'tenant') AS p));
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
