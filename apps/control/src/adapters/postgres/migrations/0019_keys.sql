-- Keys have more roles, end by themselves, and are replaced by another one of their name while they work for a while yet.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_role_check;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_role_check
  CHECK (role IN ('viewer', 'operator', 'approver', 'admin', 'worker', 'agent', 'webhook'));
ALTER TABLE api_keys
  ADD COLUMN created_by text NOT NULL DEFAULT 'platform',
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN replaced_at timestamptz,
  ADD COLUMN last_used_at timestamptz;
ALTER TABLE api_keys DROP CONSTRAINT api_keys_tenant_id_name_key;
-- A name has one key that is neither revoked nor replaced.
CREATE UNIQUE INDEX api_keys_name ON api_keys (tenant_id, name) WHERE revoked_at IS NULL AND replaced_at IS NULL;
