-- Runs of tasks over MQTT are answered there when they end. Each broker has entries of its own in the outbox.
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('run.completed', 'approval.requested', 'task.ended'));

-- A restore fills tables with what happened long ago: it is told to nobody. Nor are canaries.
CREATE OR REPLACE FUNCTION is_relayed(tenant text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT tenant <> 'ten_00000000000000000000CANARY' AND coalesce(current_setting('hive.is_restoring', true), '') <> 'on'
    AND EXISTS (SELECT FROM relays WHERE name = 'nats')
$$;

CREATE FUNCTION put_out_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('hive.is_restoring', true), '') <> 'on' THEN
    INSERT INTO outbox (tenant_id, kind, about) VALUES (NEW.tenant_id, 'task.ended', NEW.id);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER task_began_and_ended AFTER INSERT ON runs FOR EACH ROW WHEN (NEW.trigger = 'mqtt' AND NEW.finished_at IS NOT NULL)
  EXECUTE FUNCTION put_out_task();
CREATE TRIGGER task_ended AFTER UPDATE ON runs FOR EACH ROW
  WHEN (NEW.trigger = 'mqtt' AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
  EXECUTE FUNCTION put_out_task();
