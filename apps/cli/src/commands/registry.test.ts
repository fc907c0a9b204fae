import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { controlPlane, hive } from '../testing.ts';

const nowMs = Date.parse('2026-01-02T03:04:05Z');
const instance = {
  id: 'ins_01JD0000000000000000000000',
  kind: 'agent',
  name: 'scout-1',
  namespace: 'default',
  role: 'scout',
  capabilities: ['scan', 'report'],
  metadata: { zone: 'a' },
  beatIntervalMs: 1_000,
  registrationCount: 2,
  registeredAtMs: nowMs - 60_000,
  lastSeenAtMs: nowMs - 4_000,
  health: 'unhealthy',
  duty: 'cordoned',
  order: { by: 'key:ann', atMs: nowMs - 120_000, reason: 'noisy' },
  telemetry: { loadRatio: 0.5 },
};

it('hive registry list says who lives, what was ordered, and who can do what', async () => {
  await using control = await controlPlane({ 'GET /v1/registry/instances': { body: [instance] } });
  const { stdout } = await hive(['registry', '--health', 'unhealthy', '--url', control.url]);
  expect(stdout).toMatch(/^ins_01JD0{22} +scout-1 +scout +unhealthy +cordoned +4 s ago +scan report$/m);
  expect(control.seen[0]?.url).toBe('/v1/registry/instances?health=unhealthy');
});

it('hive registry show tells who ordered the duty, and why', async () => {
  await using control = await controlPlane({ [`GET /v1/registry/instances/${instance.id}`]: { body: instance } });
  const { stdout } = await hive(['registry', 'show', instance.id, '--url', control.url]);
  expect(stdout).toContain('duty          cordoned, by key:ann 2 min ago: noisy\n');
  expect(stdout).toContain(`Next: hive registry uncordon ${instance.id}`);
});

it('hive registry discover shows the rank with its reasons, and how many more fit', async () => {
  const parts = [{ name: 'health', weight: 0.4, value: 1, because: 'healthy' }];
  const body = { instances: [{ ...instance, rank: { score: 0.4, parts } }], matchCount: 3 };
  await using control = await controlPlane({ 'POST /v1/registry/discover': { body } });
  const { stdout } = await hive(['registry', 'discover', 'scan', 'report', '--metadata', 'zone=a', '--url', control.url]);
  expect(stdout).toMatch(/^0\.400 +scout-1 +ins_01JD0{22} +health 0\.4 × 1 \(healthy\)$/m);
  expect(stdout).toContain('2 more fit.');
  expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({
    capabilities: ['scan', 'report'],
    filter: { metadata: { zone: 'a' } },
    limit: 10,
  });
});

it('hive registry watch prints a line for each change, and NDJSON with --json', async () => {
  const change = { type: 'instance.health-changed', atMs: nowMs, instance };
  // It goes on until somebody ends it; here, because the key is taken away.
  let connectionCount = 0;
  const stream = (response: ServerResponse) => {
    connectionCount += 1;
    const isFirst = connectionCount % 2 === 1;
    response.writeHead(isFirst ? 200 : 401, { 'content-type': isFirst ? 'text/event-stream' : 'application/json' });
    response.end(
      isFirst
        ? `event: ${change.type}\ndata: ${JSON.stringify(change)}\n\n`
        : JSON.stringify({ error: { code: 'UNAUTHENTICATED', message: 'no' } }),
    );
  };
  await using control = await controlPlane({ 'GET /v1/registry/watch': stream });
  const people = await hive(['registry', 'watch', '--url', control.url]);
  expect(people.stdout).toMatch(/^03:04:05\.000 {2}health-changed +scout-1 {2}unhealthy, cordoned/);
  const programs = await hive(['--json', 'registry', 'watch', '--url', control.url]);
  // Then the error that ended it.
  expect(JSON.parse(programs.stdout.split('\n')[0] ?? '')).toEqual(change);
});

it.each(['cordon', 'uncordon', 'drain'])('hive registry %s orders it, with the reason', async (verb) => {
  const route = `/v1/registry/instances/${instance.id}/${verb}`;
  await using control = await controlPlane({ [`POST ${route}`]: { body: instance } });
  const { exitCode } = await hive(['registry', verb, instance.id, '--reason', 'noisy', '--url', control.url]);
  expect([exitCode, control.seen[0]?.body]).toEqual([0, '{"reason":"noisy"}']);
});

it('hive registry deregister takes it out', async () => {
  await using control = await controlPlane({ [`DELETE /v1/registry/instances/${instance.id}`]: { status: 204, body: null } });
  expect((await hive(['registry', 'deregister', instance.id, '--url', control.url])).stdout).toContain('registered no more');
});
