-- Every table carries tenant_id, and row-level security is FORCEd so that it binds the owner too.
-- hive.tenant_id is '*' on the engine's connections, a tenant for the length of one transaction on the others, and
-- unset otherwise: then no row is visible.

CREATE TABLE tenants (
  tenant_id  text PRIMARY KEY,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- One row: the epoch is the first half of every fencing token, and a restore raises it.
CREATE TABLE installation (
  tenant_id    text NOT NULL,
  epoch        integer NOT NULL DEFAULT 1,
  installed_at timestamptz NOT NULL DEFAULT now(),
  probed_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id)
);

CREATE TABLE api_keys (
  id         text PRIMARY KEY,
  tenant_id  text NOT NULL REFERENCES tenants,
  name       text NOT NULL,
  role       text NOT NULL CHECK (role IN ('admin', 'worker')),
  -- SHA-256 of a random 256-bit key: a slow hash would add nothing against guessing.
  key_sha256 bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz,
  UNIQUE (tenant_id, name)
);

CREATE TABLE agents (
  id            text PRIMARY KEY,
  tenant_id     text NOT NULL REFERENCES tenants,
  name          text NOT NULL,
  project_id    integer NOT NULL DEFAULT 1,
  spec          json NOT NULL,
  -- What the facade's callers registered and want back unchanged.
  facade        json,
  registered_at timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  removed_at    timestamptz
);
CREATE UNIQUE INDEX agents_name ON agents (tenant_id, project_id, name) WHERE removed_at IS NULL;

CREATE TABLE workflows (
  id             text PRIMARY KEY,
  tenant_id      text NOT NULL REFERENCES tenants,
  name           text NOT NULL,
  project_id     integer NOT NULL DEFAULT 1,
  status         text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'DRAFT', 'ARCHIVED')),
  latest_version integer NOT NULL,
  facade         json,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  removed_at     timestamptz
);
CREATE UNIQUE INDEX workflows_name ON workflows (tenant_id, project_id, name) WHERE removed_at IS NULL;

-- Immutable: a run is pinned to one of these.
CREATE TABLE workflow_versions (
  workflow_id text NOT NULL REFERENCES workflows,
  version     integer NOT NULL,
  tenant_id   text NOT NULL,
  definition  json NOT NULL,
  sha256      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workflow_id, version)
);

-- The journal is the truth of a run; this row is what lists, wakes and explains it without a fold.
CREATE TABLE runs (
  id               text PRIMARY KEY,
  tenant_id        text NOT NULL,
  workflow_id      text NOT NULL REFERENCES workflows,
  workflow_version integer NOT NULL,
  status           text NOT NULL,
  version          integer NOT NULL,
  trigger          text NOT NULL,
  retry_of         text,
  created_at       timestamptz NOT NULL,
  finished_at      timestamptz,
  wake_at          timestamptz,
  blocker          json,
  error            json
) WITH (fillfactor = 60); -- room for the update of every step on the same page (heap-only tuples)
CREATE INDEX runs_by_tenant ON runs (tenant_id, id);
CREATE INDEX runs_by_workflow ON runs (workflow_id, id);
CREATE INDEX runs_to_wake ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_unfinished ON runs (id) WHERE finished_at IS NULL;

-- One row per commit of a run; events is an array of RunEvent. Also the outbox: relays follow it by position.
CREATE TABLE run_journal (
  run_id      text NOT NULL,
  version     integer NOT NULL,
  tenant_id   text NOT NULL,
  events      json NOT NULL,
  -- Rows of transactions below pg_snapshot_xmin() are complete, so a relay that stops there misses none.
  transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (run_id, version)
);

-- Live tickets only: a settled one lives on in the journal. worker_id is null while the ticket is ready.
CREATE SEQUENCE ticket_tokens;
CREATE TABLE tickets (
  id          text PRIMARY KEY,
  tenant_id   text NOT NULL,
  run_id      text NOT NULL,
  node_id     text NOT NULL,
  slot        integer NOT NULL,
  attempt     integer NOT NULL,
  agent       text NOT NULL,
  action      text,
  input       json NOT NULL,
  timeout_ms  bigint NOT NULL,
  requirement text NOT NULL,
  rank_ms     double precision NOT NULL,
  worker_id   text,
  token       bigint,
  leased_at   timestamptz,
  lease_until timestamptz,
  progress    json
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX tickets_ready ON tickets (rank_ms) WHERE worker_id IS NULL;
-- Finds the leased ones for the expiry sweep; lease_until itself is not indexed, so that renewing stays heap-only.
CREATE INDEX tickets_leased ON tickets (worker_id) WHERE worker_id IS NOT NULL;
CREATE INDEX tickets_by_run ON tickets (run_id);

CREATE TABLE approvals (
  id           text PRIMARY KEY,
  tenant_id    text NOT NULL,
  run_id       text NOT NULL,
  node_id      text NOT NULL,
  agent        text NOT NULL,
  action       text,
  message      text,
  input        json NOT NULL,
  input_sha256 text NOT NULL,
  status       text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED')),
  requested_at timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  responded_at timestamptz,
  responded_by text,
  notes        text
);
CREATE INDEX approvals_by_tenant ON approvals (tenant_id, status, id);
CREATE INDEX approvals_by_run ON approvals (run_id);

-- Kept 7 days. The answer is rebuilt from run_id, so the row that makes a trigger repeatable commits with the run.
CREATE TABLE idempotency_keys (
  tenant_id   text NOT NULL,
  route       text NOT NULL,
  key         text NOT NULL,
  body_sha256 text NOT NULL,
  run_id      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Gap-free per tenant, each entry chained to the one before; see append_audit.
CREATE TABLE audit_heads (
  tenant_id text PRIMARY KEY,
  seq       bigint NOT NULL,
  hash      bytea NOT NULL
);
CREATE TABLE audit_log (
  tenant_id text NOT NULL,
  seq       bigint NOT NULL,
  at        timestamptz NOT NULL,
  actor     text NOT NULL,
  action    text NOT NULL,
  object    text NOT NULL,
  hash      bytea NOT NULL,
  PRIMARY KEY (tenant_id, seq)
);
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['tenants', 'installation', 'api_keys', 'agents', 'workflows', 'workflow_versions', 'runs',
    'run_journal', 'tickets', 'approvals', 'idempotency_keys', 'audit_heads', 'audit_log'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    -- The sub-select makes it one look-up per statement instead of one per row.
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

SELECT set_config('hive.tenant_id', '*', true);
INSERT INTO tenants (tenant_id, name) VALUES ('ten_00000000000000000000000000', 'default');
INSERT INTO installation (tenant_id) VALUES ('ten_00000000000000000000000000');
INSERT INTO audit_heads (tenant_id, seq, hash) VALUES ('ten_00000000000000000000000000', 0, sha256(''));
