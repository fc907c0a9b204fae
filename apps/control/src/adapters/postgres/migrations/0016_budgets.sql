-- Caps on what may be spent, and money set aside for what is under way. At every commit reserved is the sum of the reservations that
-- name the budget; reserved + settled passes the cap only where somebody lowered it or a caller settled more than it had reserved.
CREATE TABLE budgets (
  id                 text COLLATE "C" PRIMARY KEY,
  tenant_id          text NOT NULL,
  scope              text NOT NULL CHECK (scope IN ('tenant', 'workflow', 'run', 'key')),
  -- Empty for the tenant itself.
  name               text NOT NULL,
  period             text NOT NULL CHECK (period IN ('day', 'month', 'total')),
  cap_micro_usd      bigint NOT NULL CHECK (cap_micro_usd >= 0),
  reserved_micro_usd bigint NOT NULL DEFAULT 0 CHECK (reserved_micro_usd >= 0),
  settled_micro_usd  bigint NOT NULL DEFAULT 0,
  window_start       timestamptz NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, scope, name, period)
) WITH (fillfactor = 20); -- one row is written again and again: room on its page

CREATE TABLE reservations (
  id             text COLLATE "C" PRIMARY KEY,
  tenant_id      text NOT NULL,
  budget_ids     text[] NOT NULL,
  most_micro_usd bigint NOT NULL,
  expires_at     timestamptz NOT NULL
);
CREATE INDEX reservations_by_end ON reservations (expires_at);

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['budgets', 'reservations'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant_isolation ON %I
      USING ((SELECT current_setting('hive.tenant_id', true)) = ANY (ARRAY[tenant_id, '*']))$policy$, name);
  END LOOP;
END $$;

-- When the current window began, in UTC by the database's clock.
CREATE FUNCTION budget_window(p_period text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE p_period WHEN 'total' THEN 'epoch'::timestamptz ELSE date_trunc(p_period, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' END
$$;

-- The budgets that somebody's spending counts against: a run's, and those of the runs it was retried or forked from.
CREATE FUNCTION budgets_of(p_tenant text, p_key text, p_run text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  WITH RECURSIVE line (id, origin_run_id, workflow_id) AS (
    SELECT r.id, r.origin_run_id, r.workflow_id FROM runs r WHERE r.id = p_run AND r.tenant_id = p_tenant
    UNION
    SELECT r.id, r.origin_run_id, r.workflow_id FROM line l JOIN runs r ON r.id = l.origin_run_id AND r.tenant_id = p_tenant
  )
  SELECT b.id FROM budgets b WHERE b.tenant_id = p_tenant AND CASE b.scope
    WHEN 'tenant' THEN true
    WHEN 'key' THEN b.name = p_key
    WHEN 'run' THEN b.name IN (SELECT line.id FROM line)
    ELSE b.name IN (SELECT w.name FROM line JOIN workflows w ON w.id = line.workflow_id) END
$$;

-- Locks budgets in the order of their ids, the same everywhere, and turns the windows that are over. Answers those that exist.
CREATE FUNCTION lock_budgets(p_ids text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE locked text[];
BEGIN
  SELECT array_agg(l.id) INTO locked FROM (SELECT b.id FROM budgets b WHERE b.id = ANY (p_ids) ORDER BY b.id FOR NO KEY UPDATE) l;
  UPDATE budgets b SET settled_micro_usd = 0, window_start = budget_window(b.period)
    WHERE b.id = ANY (locked) AND b.window_start < budget_window(b.period);
  RETURN coalesce(locked, '{}');
END $$;

-- Sets money aside at all levels or at none, for each call in its turn. Has a row for each refused call, with the budget that has least left.
CREATE FUNCTION reserve_money(c_id text[], c_tenant text[], c_key text[], c_run text[], c_most bigint[], p_expires_ms double precision)
RETURNS TABLE (n bigint, refused_by json) LANGUAGE plpgsql AS $$
DECLARE
  c record;
  locked text[];
  ids text[];
  fullest budgets;
BEGIN
  locked := lock_budgets(ARRAY(
    SELECT budgets_of(k.tenant, k.key, k.run) FROM (SELECT DISTINCT * FROM unnest(c_tenant, c_key, c_run) AS u (tenant, key, run)) k));
  IF locked = '{}' THEN RETURN; END IF;
  FOR c IN SELECT * FROM unnest(c_id, c_tenant, c_key, c_run, c_most) WITH ORDINALITY AS u (id, tenant, key, run, most, n) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM reservations r WHERE r.id = c.id);
    ids := ARRAY(SELECT o FROM budgets_of(c.tenant, c.key, c.run) o WHERE o = ANY (locked));
    CONTINUE WHEN ids = '{}';
    SELECT * INTO fullest FROM budgets b WHERE b.id = ANY (ids) AND b.reserved_micro_usd + b.settled_micro_usd + c.most > b.cap_micro_usd
      ORDER BY b.cap_micro_usd - b.reserved_micro_usd - b.settled_micro_usd, b.id LIMIT 1;
    IF FOUND THEN
      n := c.n;
      refused_by := row_to_json(fullest);
      RETURN NEXT;
      CONTINUE;
    END IF;
    UPDATE budgets b SET reserved_micro_usd = b.reserved_micro_usd + c.most WHERE b.id = ANY (ids);
    INSERT INTO reservations VALUES (c.id, c.tenant, ids, c.most, now() + make_interval(secs => p_expires_ms / 1000));
  END LOOP;
END $$;

-- Ends reservations: what was spent is charged, all of it where that is null; the rest is left again. One that is gone changes nothing.
CREATE FUNCTION settle_money(s_id text[], s_spent bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM reservations r WHERE r.id = ANY (s_id) ORDER BY r.id FOR UPDATE;
  PERFORM lock_budgets(ARRAY(SELECT DISTINCT unnest(r.budget_ids) FROM reservations r WHERE r.id = ANY (s_id)));
  WITH ended AS (
    DELETE FROM reservations r USING unnest(s_id, s_spent) AS s (id, spent) WHERE r.id = s.id
    RETURNING r.budget_ids, r.most_micro_usd AS most, coalesce(s.spent, r.most_micro_usd) AS spent
  ), sums AS (
    SELECT b.id, sum(e.most)::bigint AS most, sum(e.spent)::bigint AS spent FROM ended e, unnest(e.budget_ids) AS b (id) GROUP BY b.id
  )
  UPDATE budgets b SET reserved_micro_usd = b.reserved_micro_usd - s.most, settled_micro_usd = b.settled_micro_usd + s.spent
    FROM sums s WHERE b.id = s.id;
END $$;
