-- Events start runs. started_at is null from the commit of an event that any workflow's trigger means until its runs are stored.
ALTER TABLE events ADD COLUMN subject text, ADD COLUMN source text, ADD COLUMN started_at timestamptz DEFAULT now();
CREATE INDEX events_to_start ON events (received_at) WHERE started_at IS NULL;

-- What others are told of runs over a broker, once one is connected: an approval that was requested, a run that ended. Written by the
-- commit that did it, deleted when the broker has it.
CREATE TABLE outbox (
  seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL,
  kind      text NOT NULL CHECK (kind IN ('run.completed', 'approval.requested')),
  about     text NOT NULL
);

-- Whoever empties the outbox; without any, nothing is put there.
CREATE TABLE relays (
  name       text PRIMARY KEY,
  tenant_id  text NOT NULL DEFAULT 'ten_00000000000000000000000000',
  created_at timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['outbox', 'relays'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

-- A restore fills tables with what happened long ago: it is told to nobody. Nor are canaries.
CREATE FUNCTION is_relayed(tenant text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT tenant <> 'ten_00000000000000000000CANARY' AND coalesce(current_setting('hive.is_restoring', true), '') <> 'on' AND EXISTS (SELECT FROM relays)
$$;

CREATE FUNCTION put_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF is_relayed(NEW.tenant_id) THEN
    INSERT INTO outbox (tenant_id, kind, about) VALUES (NEW.tenant_id, TG_ARGV[0], NEW.id);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER run_began_and_ended AFTER INSERT ON runs FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL)
  EXECUTE FUNCTION put_out('run.completed');
CREATE TRIGGER run_ended AFTER UPDATE ON runs FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
  EXECUTE FUNCTION put_out('run.completed');
CREATE TRIGGER approval_requested AFTER INSERT ON approvals FOR EACH ROW EXECUTE FUNCTION put_out('approval.requested');
