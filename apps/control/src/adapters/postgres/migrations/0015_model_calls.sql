-- Calls of models, one row each once it is over; written in batches by the control plane that made them, kept for 90 days.
CREATE TABLE model_calls (
  id                  text PRIMARY KEY,
  tenant_id           text NOT NULL,
  at                  timestamptz NOT NULL,
  subject             text NOT NULL,
  run_id              text,
  node_id             text,
  dialect             text NOT NULL,
  asked               text NOT NULL,
  model               text,
  provider            text,
  is_stream           boolean NOT NULL,
  is_simulated        boolean NOT NULL,
  input_tokens        bigint NOT NULL,
  cached_input_tokens bigint NOT NULL,
  output_tokens       bigint NOT NULL,
  is_estimated        boolean NOT NULL,
  -- Null where the price is not known.
  cost_micro_usd      bigint,
  first_byte_ms       bigint,
  latency_ms          bigint NOT NULL,
  outcome             text NOT NULL,
  -- [{model, latencyMs, failure?}]
  tries               json NOT NULL
);
CREATE INDEX model_calls_of_run ON model_calls (tenant_id, run_id, id) WHERE run_id IS NOT NULL;
CREATE INDEX model_calls_by_time ON model_calls (tenant_id, at);

ALTER TABLE model_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON model_calls
  USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']));
