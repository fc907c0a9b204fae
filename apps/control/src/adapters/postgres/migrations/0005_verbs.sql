-- Links by which an approval is decided without a key. seal is an HMAC over the other columns, by a secret that stands in the link only.
CREATE TABLE approval_links (
  id           text PRIMARY KEY,
  tenant_id    text NOT NULL,
  approval_id  text NOT NULL,
  input_sha256 text NOT NULL,
  expires_at   timestamptz NOT NULL,
  created_by   text NOT NULL,
  seal         bytea NOT NULL
);
CREATE INDEX approval_links_age ON approval_links (expires_at);
ALTER TABLE approval_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE approval_links FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON approval_links
  USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']));

-- Which runs go on from a run: an order to retry many leaves out what was retried.
CREATE INDEX runs_by_origin ON runs (origin_run_id) WHERE origin_run_id IS NOT NULL;
-- A run that is redriven takes all its dead tickets along.
CREATE INDEX dead_tickets_by_run ON dead_tickets (run_id);
