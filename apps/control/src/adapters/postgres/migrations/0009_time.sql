-- Runs that take turns, events that anybody may publish, and schedules.

-- Runs with the same key, of which only some go at once; from the commit that queues a run until it has ended. A turn is given here first
-- (granted_at), and the run's journal hears of it after.
CREATE TABLE run_turns (
  run_id     text PRIMARY KEY,
  tenant_id  text NOT NULL,
  key        text NOT NULL,
  most       integer NOT NULL,
  overlap    text CHECK (overlap IN ('skip', 'replace')),
  priority   integer NOT NULL,
  is_paused  boolean NOT NULL,
  granted_at timestamptz
);
CREATE INDEX run_turns_waiting ON run_turns (tenant_id, key, priority DESC, run_id) WHERE granted_at IS NULL AND NOT is_paused;
CREATE INDEX run_turns_impatient ON run_turns (tenant_id, key, run_id) WHERE granted_at IS NULL AND overlap IS NOT NULL AND NOT is_paused;
CREATE INDEX run_turns_held ON run_turns (tenant_id, key, run_id) WHERE granted_at IS NOT NULL;

-- Kept 30 days; see event_waits.
CREATE TABLE events (
  id           text PRIMARY KEY,
  tenant_id    text NOT NULL,
  type         text NOT NULL,
  -- '' where the publisher gave none, as in event_waits.
  key          text NOT NULL,
  payload      json NOT NULL,
  published_by text NOT NULL,
  received_at  timestamptz NOT NULL DEFAULT now(),
  -- The publisher's own name for it, and what was said under that name.
  dedupe_key   text,
  body_sha256  text,
  UNIQUE (tenant_id, dedupe_key)
);
CREATE INDEX events_by_type ON events (tenant_id, type, key, received_at, id);
CREATE INDEX events_by_age ON events (received_at);

-- Times are kept to the millisecond, as the code that compares them has them.
CREATE TABLE schedules (
  id            text PRIMARY KEY,
  tenant_id     text NOT NULL REFERENCES tenants,
  name          text NOT NULL,
  workflow_id   text NOT NULL REFERENCES workflows,
  -- Declared by the workflow's trigger, and changed there only.
  is_declared   boolean NOT NULL,
  rule          json NOT NULL,
  context       json NOT NULL,
  paused_at     timestamptz,
  paused_by     text,
  pause_reason  text,
  -- Nominal instants up to this one are dealt with.
  dealt_until   timestamptz(3) NOT NULL,
  -- When somebody must look at it; null: at once.
  due_at        timestamptz(3),
  last_run_id   text,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, name)
);
CREATE INDEX schedules_due ON schedules (due_at NULLS FIRST) WHERE paused_at IS NULL;
CREATE INDEX schedules_by_workflow ON schedules (workflow_id);

-- What became of each nominal instant. It is decided once: the row is there before anything is done.
CREATE TABLE schedule_firings (
  schedule_id  text NOT NULL REFERENCES schedules ON DELETE CASCADE,
  nominal_at   timestamptz(3) NOT NULL,
  tenant_id    text NOT NULL,
  decided_at   timestamptz NOT NULL DEFAULT now(),
  outcome      text NOT NULL CHECK (outcome IN ('STARTING', 'STARTED', 'SKIPPED', 'MISSED', 'FAILED')),
  is_caught_up boolean NOT NULL,
  run_id       text,
  reason       text,
  PRIMARY KEY (schedule_id, nominal_at)
);
CREATE INDEX schedule_firings_starting ON schedule_firings (decided_at) WHERE outcome = 'STARTING';

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['run_turns', 'events', 'schedules', 'schedule_firings'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

-- Also within commit_runs: {turns: [{run_id, tenant_id, key, most, overlap, priority, is_paused}], turned_away: [{run_id}]}, each list
-- perhaps absent.
ALTER FUNCTION commit_rare RENAME TO commit_orders;
CREATE FUNCTION commit_rare(rare json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM commit_orders(rare);
  IF rare->'turns' IS NOT NULL THEN
    INSERT INTO run_turns (run_id, tenant_id, key, most, overlap, priority, is_paused)
      SELECT t.run_id, t.tenant_id, t.key, t.most, t.overlap, t.priority, t.is_paused
      FROM json_to_recordset(rare->'turns')
        AS t (run_id text, tenant_id text, key text, most integer, overlap text, priority integer, is_paused boolean)
      ON CONFLICT (run_id) DO UPDATE SET priority = excluded.priority, is_paused = excluded.is_paused;
  END IF;
  IF rare->'turned_away' IS NOT NULL THEN
    DELETE FROM run_turns USING json_to_recordset(rare->'turned_away') AS t (run_id text) WHERE run_turns.run_id = t.run_id;
  END IF;
END $$;
