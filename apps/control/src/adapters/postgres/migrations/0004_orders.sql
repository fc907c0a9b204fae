-- What runs wait for besides workers and time, and what became of tickets that nobody could finish.

-- Slots that wait for an event that anybody may publish; events from since on count.
CREATE TABLE event_waits (
  run_id    text NOT NULL,
  slot_at   integer NOT NULL,
  tenant_id text NOT NULL,
  name      text NOT NULL,
  key       text NOT NULL,
  since     timestamptz NOT NULL,
  PRIMARY KEY (run_id, slot_at)
);
CREATE INDEX event_waits_by_event ON event_waits (tenant_id, name, key);

-- Tickets that failed their runs, with their evidence, until somebody deals with them.
CREATE TABLE dead_tickets (
  ticket_id       text COLLATE "C" PRIMARY KEY,
  tenant_id       text NOT NULL,
  run_id          text NOT NULL,
  node_id         text NOT NULL,
  slot            integer NOT NULL,
  attempt         integer NOT NULL,
  agent           text NOT NULL,
  action          text,
  input           json NOT NULL,
  error           json NOT NULL,
  died_at         timestamptz NOT NULL,
  resolution      text CHECK (resolution IN ('REDRIVEN', 'DISCARDED')),
  resolved_at     timestamptz,
  resolved_by     text,
  redriven_run_id text,
  reason          text
);
CREATE INDEX dead_tickets_unresolved ON dead_tickets (tenant_id, ticket_id) WHERE resolution IS NULL;

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['event_waits', 'dead_tickets'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

-- Done within commit_runs: {held: [{run_id, is_held}], ranked: [{run_id, shift_ms}], forgotten: [{run_id, slot_at}],
-- awaited: [{run_id, slot_at, tenant_id, name, key}], dead: [{ticket_id, …, at_ms}]}, each list perhaps absent.
CREATE FUNCTION commit_rare(rare json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF rare->'held' IS NOT NULL THEN
    -- Leased ones too: a worker may give them back while the run is paused.
    UPDATE tickets SET is_held = h.is_held FROM json_to_recordset(rare->'held') AS h (run_id text, is_held boolean)
      WHERE tickets.run_id = h.run_id AND tickets.is_held <> h.is_held;
    PERFORM pg_notify('hive_tickets', '');
  END IF;
  IF rare->'ranked' IS NOT NULL THEN
    UPDATE tickets SET rank_ms = rank_ms + r.shift_ms FROM json_to_recordset(rare->'ranked') AS r (run_id text, shift_ms double precision)
      WHERE tickets.run_id = r.run_id;
    PERFORM pg_notify('hive_tickets', '');
  END IF;
  IF rare->'forgotten' IS NOT NULL THEN
    DELETE FROM event_waits USING json_to_recordset(rare->'forgotten') AS f (run_id text, slot_at integer)
      WHERE event_waits.run_id = f.run_id AND event_waits.slot_at = f.slot_at;
  END IF;
  IF rare->'awaited' IS NOT NULL THEN
    INSERT INTO event_waits (run_id, slot_at, tenant_id, name, key, since)
      SELECT a.run_id, a.slot_at, a.tenant_id, a.name, a.key, runs.created_at
      FROM json_to_recordset(rare->'awaited') AS a (run_id text, slot_at integer, tenant_id text, name text, key text)
      JOIN runs ON runs.id = a.run_id
      ON CONFLICT (run_id, slot_at) DO UPDATE SET name = excluded.name, key = excluded.key;
  END IF;
  IF rare->'dead' IS NOT NULL THEN
    INSERT INTO dead_tickets (ticket_id, tenant_id, run_id, node_id, slot, attempt, agent, action, input, error, died_at)
      SELECT d.ticket_id, d.tenant_id, d.run_id, d.node_id, d.slot, d.attempt, d.agent, d.action, d.input, d.error, to_timestamp(d.at_ms / 1000)
      FROM json_to_recordset(rare->'dead') AS d (ticket_id text, tenant_id text, run_id text, node_id text, slot integer, attempt integer,
        agent text, action text, input json, error json, at_ms double precision);
  END IF;
END $$;
