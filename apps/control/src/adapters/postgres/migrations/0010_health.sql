-- Whether work moves: runs that nothing will move, what was accepted, and the tenant whose runs are canaries.

-- Unfinished runs that nothing will move, and those that what should have moved them has not for overdue_ms: a lease that is over and was not
-- given up, a due time that nobody served, a turn that was given or an effect that ended and was never heard of. There must be none. What
-- moves a run is stored in the transaction that made it wait, so the first kind is wrong at any moment, the second once faults are over.
CREATE FUNCTION stuck_runs(overdue_ms double precision) RETURNS TABLE (run_id text, tenant_id text, status text) LANGUAGE sql STABLE AS $$
  SELECT r.id, r.tenant_id, r.status FROM runs r
  CROSS JOIN (SELECT now() - overdue_ms * interval '1 millisecond' AS at) AS overdue
  WHERE r.finished_at IS NULL
    AND NOT coalesce(r.wake_at > overdue.at, false)
    -- A ready ticket waits for a worker; hive why says for which.
    AND NOT EXISTS (SELECT FROM tickets t WHERE t.run_id = r.id
      AND CASE WHEN t.worker_id IS NULL THEN NOT t.is_held ELSE t.lease_until > overdue.at END)
    AND NOT EXISTS (SELECT FROM approvals a WHERE a.run_id = r.id AND a.status = 'PENDING')
    -- One whose end is known, and of which the run has not heard, is told of by the next sweep.
    AND NOT EXISTS (SELECT FROM effects e
      WHERE e.run_id = r.id AND e.awaited_by IS NOT NULL AND (e.state <> 'confirmed' OR coalesce(e.ended_at > overdue.at, true)))
    AND NOT EXISTS (SELECT FROM run_turns q
      WHERE q.run_id = r.id AND r.status = 'PENDING' AND (q.granted_at IS NULL OR q.granted_at > overdue.at))
    AND coalesce((SELECT j.blocker->>'kind' FROM run_journal j WHERE j.run_id = r.id ORDER BY j.version DESC LIMIT 1), '') <> 'paused'
$$;

-- Counts what was ever accepted: each run's first commit, which nothing changes.
CREATE INDEX run_journal_accepted ON run_journal (tenant_id) WHERE version = 1;

SELECT set_config('hive.tenant_id', '*', true);
INSERT INTO tenants (tenant_id, name) VALUES ('ten_00000000000000000000CANARY', 'canary');
INSERT INTO audit_heads (tenant_id, seq, hash) VALUES ('ten_00000000000000000000CANARY', 0, sha256(''));

-- Forgets canaries, all at once, with the chain of their audit entries, which then begins anew; not while one is under way. A commit appends to
-- the chain last and holds its head until it is over, so whoever has the head sees all that a commit did, or nothing.
CREATE FUNCTION forget_canaries() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  canary constant text := 'ten_00000000000000000000CANARY';
BEGIN
  PERFORM FROM audit_heads WHERE tenant_id = canary FOR UPDATE;
  IF EXISTS (SELECT FROM runs WHERE tenant_id = canary AND finished_at IS NULL) THEN
    RETURN;
  END IF;
  DELETE FROM run_journal j USING runs r WHERE r.tenant_id = canary AND j.run_id = r.id;
  DELETE FROM dead_tickets d USING runs r WHERE r.tenant_id = canary AND d.run_id = r.id;
  DELETE FROM runs WHERE tenant_id = canary;
  DELETE FROM audit_log WHERE tenant_id = canary;
  UPDATE audit_heads SET seq = 0, hash = sha256(''), proven_from = 1 WHERE tenant_id = canary;
END $$;
