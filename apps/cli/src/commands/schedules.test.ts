import { describe, expect, it } from 'vitest';
import { controlPlane, hive } from '../testing.ts';

const schedule = {
  id: 'sch_01JD0000000000000000000000',
  name: 'nightly',
  workflowId: 'wfl_1',
  workflowName: 'repo-review',
  isDeclared: false,
  cron: '0 7 * * *',
  timeZone: 'Europe/Berlin',
  catchUp: 'last',
  overlap: 'skip',
  jitterMs: 0,
  context: { target: '/repo' },
  nextAtMs: Date.parse('2026-01-02T06:00:00Z'),
  lastRunId: 'run_2',
  createdAtMs: 0,
  updatedAtMs: 0,
};
const firing = { decidedAtMs: 0, isCaughtUp: false };
const firings = [
  { ...firing, nominalAtMs: Date.parse('2026-01-02T06:00:00Z'), outcome: 'STARTED', runId: 'run_2', isCaughtUp: true },
  { ...firing, nominalAtMs: Date.parse('2026-01-01T06:00:00Z'), outcome: 'SKIPPED', reason: 'run_1 had not ended' },
];
const preview = { timeZone: 'Europe/Berlin', instants: [{ atMs: 0, local: '2026-01-02T07:00:00+01:00' }] };

describe('hive schedules', () => {
  it('lists what is next, and who paused what', async () => {
    const paused = { ...schedule, name: 'weekly', nextAtMs: undefined, pause: { by: 'key:ann', atMs: 0, reason: 'holidays' } };
    await using control = await controlPlane({ 'GET /v1/schedules': { body: [schedule, paused] } });
    const { stdout } = await hive(['schedules', '--workflow', 'repo-review', '--url', control.url]);
    expect(stdout).toMatch(/^nightly +repo-review +0 7 \* \* \* +Europe\/Berlin +2026-01-02T06:00:00Z, in 2 h 55 min +run_2$/m);
    expect(stdout).toMatch(/^weekly .* paused by key:ann \(holidays\)/m);
    expect(control.seen[0]?.url).toBe('/v1/schedules?workflow=repo-review');
  });

  it('shows what became of each instant, and why', async () => {
    await using control = await controlPlane({ 'GET /v1/schedules/nightly': { body: { ...schedule, firings } } });
    const { screen } = await hive(['schedules', 'show', 'nightly', '--url', control.url]);
    expect(screen).toContain('cron      0 7 * * *  (Europe/Berlin)');
    expect(screen).toMatch(/^2026-01-02T06:00:00Z +STARTED late +run_2$/m);
    expect(screen).toMatch(/^2026-01-01T06:00:00Z +SKIPPED +run_1 had not ended$/m);
    expect(screen).toContain('Next: hive run show run_2');
  });

  it('makes one with what was typed and nothing else, and shows its next instants', async () => {
    await using control = await controlPlane({
      'POST /v1/schedules': { status: 201, body: schedule },
      'GET /v1/schedules/nightly/preview': { body: preview },
    });
    const options = [
      '--workflow',
      'repo-review',
      '--cron',
      '0 7 * * *',
      '--time-zone',
      'Europe/Berlin',
      '--overlap',
      'queue',
      '--input',
      'target=/repo',
    ];
    const { exitCode, screen } = await hive(['schedules', 'create', 'nightly', ...options, '--url', control.url]);
    expect([exitCode, screen]).toEqual([
      0,
      'nightly starts repo-review at\n  2026-01-02T07:00:00+01:00\n\nNext: hive schedules show nightly\n',
    ]);
    expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({
      name: 'nightly',
      workflow: 'repo-review',
      cron: '0 7 * * *',
      timeZone: 'Europe/Berlin',
      overlap: 'queue',
      context: { target: '/repo' },
    });
  });

  it('pauses, resumes and deletes', async () => {
    await using control = await controlPlane({
      'POST /v1/schedules/nightly/pause': { body: schedule },
      'POST /v1/schedules/nightly/resume': { body: schedule },
      'DELETE /v1/schedules/nightly': (response) => response.writeHead(204).end(),
    });
    const said = [];
    for (const words of [
      ['pause', 'nightly', '--reason', 'holidays'],
      ['resume', 'nightly'],
      ['delete', 'nightly'],
    ])
      said.push((await hive(['schedules', ...words, '--url', control.url])).stdout.split('\n')[0]);
    expect(said).toEqual(['nightly is paused.', 'nightly goes on from now.', 'nightly is deleted; its runs stay.']);
    expect(control.seen.map(({ body }) => body)).toEqual(['{"reason":"holidays"}', '{}', '']);
  });

  it('previews as many as are asked for', async () => {
    await using control = await controlPlane({ 'GET /v1/schedules/nightly/preview': { body: preview } });
    const { stdout } = await hive(['schedules', 'preview', 'nightly', '--count', '1', '--url', control.url]);
    expect([stdout, control.seen[0]?.url]).toEqual(['2026-01-02T07:00:00+01:00\n', '/v1/schedules/nightly/preview?count=1']);
  });

  it('does not make one without saying when', async () => {
    const { exitCode, stderr } = await hive(['schedules', 'create', 'nightly', '--workflow', 'repo-review']);
    expect([exitCode, stderr.split('\n')[0]]).toEqual([2, "COMMAND_INVALID: required option '--cron <expression>' not specified"]);
  });
});
