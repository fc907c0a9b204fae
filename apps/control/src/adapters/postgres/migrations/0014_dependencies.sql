-- Breakers of what agents depend on, beside those of agents. The column agent holds an agent's name, or 'dependency:' and a dependency's.
ALTER TABLE breakers ADD COLUMN cause text; -- while it is not closed: the failure that opened it, or who did

-- Whose breaker a throttle with this key asks.
CREATE FUNCTION breaker_subject(key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(key, '^breaker:', '') $$;

-- Whether a ticket may be leased now as far as one of its throttles goes, and if not, in how many milliseconds to ask again; null where
-- only the end of another ticket makes room. The caller holds the lock of the key.
CREATE OR REPLACE FUNCTION ask_throttle(t tickets, throttle json, OUT has_room boolean, OUT room_in_ms double precision) LANGUAGE plpgsql AS $$
DECLARE
  places integer := throttle->>'limit';
  step interval;
  window_length interval;
  earliest timestamptz;
  b breakers;
BEGIN
  has_room := true;
  CASE throttle->>'kind'
    WHEN 'agent' THEN
      has_room := places > (SELECT count(*) FROM tickets o
        WHERE o.tenant_id = t.tenant_id AND o.agent = t.agent AND o.token IS NOT NULL AND o.throttles IS NOT NULL);
    WHEN 'key' THEN
      has_room := places > (SELECT count(*) FROM tickets o
        WHERE o.tenant_id = t.tenant_id AND o.concurrency_key = t.concurrency_key AND o.token IS NOT NULL);
    WHEN 'rate' THEN
      window_length := (throttle->>'windowMs')::double precision * interval '1 millisecond';
      step := window_length / places;
      -- Never further ahead than a full window: a clock that was put back, or a shorter window since, must not stop the agent.
      SELECT least(r.full_until, clock_timestamp() + window_length) + step - window_length INTO earliest
        FROM rates r WHERE r.tenant_id = t.tenant_id AND r.key = throttle->>'key';
      has_room := coalesce(earliest <= clock_timestamp(), true);
      room_in_ms := CASE WHEN NOT has_room THEN extract(epoch FROM earliest - clock_timestamp()) * 1000 END;
    WHEN 'breaker' THEN
      SELECT * INTO b FROM breakers WHERE tenant_id = t.tenant_id AND agent = breaker_subject(throttle->>'key') FOR UPDATE;
      IF b.state = 'open' THEN
        -- Opened in the future: the clock was put back.
        has_room := clock_timestamp() >= b.next_trial_at OR clock_timestamp() < b.since;
        room_in_ms := CASE WHEN NOT has_room THEN extract(epoch FROM b.next_trial_at - clock_timestamp()) * 1000 END;
      ELSIF b.state = 'half-open' THEN
        has_room := NOT EXISTS (SELECT FROM tickets o WHERE o.id = b.trial_ticket_id AND o.token IS NOT NULL);
      END IF;
  END CASE;
END $$;

-- Notes that a ticket is leased under one of its throttles.
CREATE OR REPLACE FUNCTION use_throttle(t tickets, throttle json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  window_length interval;
BEGIN
  CASE throttle->>'kind'
    WHEN 'rate' THEN
      window_length := (throttle->>'windowMs')::double precision * interval '1 millisecond';
      INSERT INTO rates AS r (tenant_id, key, full_until)
        VALUES (t.tenant_id, throttle->>'key', clock_timestamp() + window_length / (throttle->>'limit')::integer)
        ON CONFLICT (tenant_id, key) DO UPDATE SET full_until =
          least(greatest(r.full_until, clock_timestamp()), clock_timestamp() + window_length) + window_length / (throttle->>'limit')::integer;
    WHEN 'breaker' THEN
      UPDATE breakers SET state = 'half-open', since = CASE state WHEN 'open' THEN clock_timestamp() ELSE since END,
          next_trial_at = NULL, trial_ticket_id = t.id
        WHERE tenant_id = t.tenant_id AND agent = breaker_subject(throttle->>'key') AND state <> 'closed';
    ELSE -- A place is taken by being leased.
  END CASE;
END $$;
