-- Agents and workers that are registered as running. No beat is written here: health, last_seen_at and telemetry are marks of what
-- control planes know in memory, made when a health changes and every half a minute.
CREATE TABLE instances (
  id            text COLLATE "C" PRIMARY KEY,
  tenant_id     text NOT NULL REFERENCES tenants,
  kind          text NOT NULL CHECK (kind IN ('agent', 'worker')),
  namespace     text NOT NULL,
  -- What makes a registration the same instance again: an agent's name, a worker's id.
  key           text NOT NULL,
  description   json NOT NULL,
  registration_count integer NOT NULL DEFAULT 1,
  registered_at timestamptz NOT NULL DEFAULT now(),
  duty          text NOT NULL DEFAULT 'active' CHECK (duty IN ('active', 'cordoned', 'draining')),
  ordered_by    text,
  ordered_at    timestamptz,
  order_reason  text,
  health        text NOT NULL DEFAULT 'healthy' CHECK (health IN ('healthy', 'degraded', 'unhealthy', 'gone')),
  last_seen_at  timestamptz NOT NULL DEFAULT now(),
  telemetry     json NOT NULL DEFAULT '{}',
  UNIQUE (tenant_id, kind, namespace, key)
) WITH (fillfactor = 80);

-- What each control plane heard lately, all of it in its one row: how many milliseconds each instance was silent when it was told.
-- Not logged: after a crash of the database every control plane tells its own within half a second.
CREATE UNLOGGED TABLE instance_rounds (
  plane_id    text PRIMARY KEY,
  tenant_id   text NOT NULL DEFAULT 'ten_00000000000000000000000000',
  told_at     timestamptz NOT NULL,
  ids         text[] NOT NULL,
  silences_ms integer[] NOT NULL
);

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['instances', 'instance_rounds'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;
