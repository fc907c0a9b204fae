import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlPlane, hive } from './testing.ts';

const runId = 'run_01JD0000000000000000000000';
const newRunId = 'run_01JD0000000000000000000009';
const run = { id: runId, status: 'RUNNING' };
const started = { id: newRunId, status: 'PENDING', workflowVersion: 1, originRunId: runId };
const bodyOf = (seen: { readonly body: string } | undefined): unknown => JSON.parse(seen?.body ?? 'null');

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hive-orders-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('an order for one run', () => {
  it.each([
    ['cancel', 'is RUNNING.', `hive run retry ${runId}`],
    ['pause', 'is paused.', `hive run resume ${runId}`],
    ['resume', 'goes on.', `hive logs ${runId} --follow`],
  ])('%s says why, how it is, and what comes next', async (verb, is, next) => {
    await using control = await controlPlane({ [`POST /v1/runs/${runId}/${verb}`]: { body: run } });
    const { screen, exitCode } = await hive(['run', verb, runId, '--reason', 'late', '--url', control.url]);
    expect([exitCode, screen]).toEqual([0, `${runId} ${is}\n\nNext: ${next}\n`]);
    expect(bodyOf(control.seen[0])).toEqual({ reason: 'late' });
  });

  it('gives it a priority, also a negative one', async () => {
    await using control = await controlPlane({ [`POST /v1/runs/${runId}/priority`]: { body: run } });
    expect((await hive(['run', 'priority', runId, '-7', '--url', control.url])).exitCode).toBe(0);
    expect(bodyOf(control.seen[0])).toEqual({ priority: -7 });
    expect((await hive(['run', 'priority', runId, 'high', '--url', control.url])).exitCode).toBe(2);
  });

  it.each([
    ['signal', ['signal']],
    ['run signal', ['run', 'signal']],
  ])('%s sends name, key, payload and idempotency key', async (_, command) => {
    await using control = await controlPlane({ [`POST /v1/runs/${runId}/signals`]: { body: run } });
    await writeFile(join(directory, 'p.yaml'), 'by: ann\nn: 2\n');
    const send = (...args: string[]) => hive([...command, runId, 'go', ...args, '--url', control.url], { workingDirectory: directory });
    expect((await send('--key', 'k', '--payload', '{"a":1}', '--idempotency-key', 'once')).stdout).toContain(`${runId} got the signal go`);
    await send('--payload', 'plain text');
    await send('--payload', '@p.yaml');
    await send();
    expect(control.seen.map(bodyOf)).toEqual([
      { name: 'go', key: 'k', payload: { a: 1 } },
      { name: 'go', payload: 'plain text' },
      { name: 'go', payload: { by: 'ann', n: 2 } },
      { name: 'go' },
    ]);
    expect(control.seen.map(({ headers }) => headers['idempotency-key'])).toEqual(['once', undefined, undefined, undefined]);
  });

  it('retries it whole, or from what failed', async () => {
    await using control = await controlPlane({ [`POST /v1/runs/${runId}/retry`]: { status: 202, body: started } });
    expect((await hive(['run', 'retry', runId, '--url', control.url])).stdout).toContain(`${newRunId} retries ${runId}.`);
    const { stdout } = await hive(['run', 'retry', runId, '--from-failed', '--idempotency-key', 'k', '--url', control.url]);
    expect(stdout).toContain(`${newRunId} retries ${runId} from what failed.`);
    expect(control.seen.map(bodyOf)).toEqual([{}, { from: 'failed' }]);
    expect(control.seen[1]?.headers['idempotency-key']).toBe('k');
  });

  it('forks it from a node, with another context only where one is given', async () => {
    await using control = await controlPlane({ [`POST /v1/runs/${runId}/fork`]: { status: 202, body: started } });
    const { screen } = await hive(['run', 'fork', runId, 'fix', '--url', control.url]);
    expect(screen).toBe(`${newRunId} goes on from fix of ${runId}.\n\nNext: hive logs ${newRunId} --follow\n`);
    await hive(['run', 'fork', runId, 'fix', '--input', 'target=/other', '--url', control.url]);
    expect(control.seen.map(bodyOf)).toEqual([{ nodeId: 'fix' }, { nodeId: 'fix', context: { target: '/other' } }]);
  });
});

describe('an order for many runs', () => {
  const preview = { verb: 'cancel', count: 22, runIds: [runId, newRunId], isDone: false, outcomes: {} };
  const done = { ...preview, isDone: true, outcomes: { DONE: 21, RUN_FINISHED: 1 } };
  const plane = (answer: object = done) => {
    let isFirst = true;
    return controlPlane({
      'POST /v1/runs/bulk': (response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(isFirst ? preview : answer));
        isFirst = false;
      },
    });
  };
  const filters = [
    '--workflow',
    'nightly',
    '--status',
    'RUNNING',
    '--created-before',
    '2h',
    '--created-after',
    '2026-01-01T00:00:00+01:00',
  ];
  const filter = {
    workflow: 'nightly',
    status: 'RUNNING',
    createdBeforeMs: Date.parse('2026-01-02T01:04:05.678Z'),
    createdAfterMs: Date.parse('2025-12-31T23:00:00Z'),
  };

  it('without a person and without --yes shows which, does nothing, and ends with 2', async () => {
    await using control = await plane();
    const { stdout, exitCode } = await hive(['runs', 'cancel', ...filters, '--url', control.url]);
    expect([exitCode, stdout]).toEqual([
      2,
      `Cancel would be for 22 runs:\n  ${runId}\n  ${newRunId}\n  and 20 more\n\nNothing was done: add --yes, or --expect 22.\n`,
    ]);
    expect(control.seen.map(bodyOf)).toEqual([{ verb: 'cancel', filter }]);
  });

  it('asks a person, and does what was shown only on a yes', async () => {
    for (const answer of [true, false]) {
      const asked: string[] = [];
      await using control = await plane({ ...done, outcomes: { DONE: 22 } });
      const { exitCode } = await hive(['runs', 'cancel', '--reason', 'storm', '--url', control.url], {
        ask: async (question) => asked.push(question) > 0 && answer,
      });
      expect(asked).toEqual(['Cancel 22 runs?']);
      expect(exitCode).toBe(answer ? 0 : 2);
      expect(control.seen.map(bodyOf).slice(1)).toEqual(answer ? [{ verb: 'cancel', filter: {}, expectedCount: 22, reason: 'storm' }] : []);
    }
  });

  it('with --yes does it, and tells what refused', async () => {
    await using control = await plane();
    const { screen, exitCode } = await hive(['runs', 'cancel', '--yes', '--url', control.url]);
    expect([exitCode, screen]).toEqual([1, 'Cancel: done for 21 runs.\n  1 refused it: RUN_FINISHED\n\nNext: hive runs\n']);
  });

  it('with --expect asks nothing first, and is refused where the count is another one', async () => {
    await using control = await controlPlane({
      'POST /v1/runs/bulk': { status: 409, body: { error: { code: 'COUNT_CHANGED', message: '3 runs match now, not 2', remedy: 'r' } } },
    });
    const { stderr, exitCode } = await hive(['runs', 'pause', '--expect', '2', '--url', control.url]);
    expect([exitCode, control.seen.map(bodyOf)]).toEqual([5, [{ verb: 'pause', filter: {}, expectedCount: 2 }]]);
    expect(stderr).toContain('COUNT_CHANGED: 3 runs match now, not 2');
    expect((await hive(['runs', 'pause', '--expect', 'all', '--url', control.url])).exitCode).toBe(2);
  });

  it('with --json prints one document: the preview, or what was done', async () => {
    await using control = await plane();
    const looked = await hive(['runs', 'retry', '--json', '--url', control.url], { ask: async () => true });
    expect([looked.exitCode, JSON.parse(looked.stdout)]).toEqual([2, preview]);
    await using other = await plane();
    const acted = await hive(['runs', 'retry', '--json', '--yes', '--url', other.url]);
    expect(JSON.parse(acted.stdout)).toEqual(done);
  });

  it('that matches nothing is no fault', async () => {
    await using control = await controlPlane({ 'POST /v1/runs/bulk': { body: { ...preview, count: 0, runIds: [] } } });
    const { screen, exitCode } = await hive(['runs', 'resume', '--yes', '--url', control.url]);
    expect([exitCode, screen]).toEqual([
      0,
      'No run matches that could be told to cancel.\n\nNext: hive runs\n'.replace('cancel', 'resume'),
    ]);
    expect(control.seen).toHaveLength(1);
  });

  it.each(['yesterday', '2026-01-01', '2026-01-01T00:00:00', '2w', '-1h'])('refuses %s as a time', async (text) => {
    const { exitCode, stderr } = await hive(['runs', 'cancel', `--created-before=${text}`, '--url', 'http://127.0.0.1:1']);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('COMMAND_INVALID')]);
  });
});

describe('a run that is shown', () => {
  const shown = async (changes: object) => {
    const base = { ...run, workflowName: 'w', workflowVersion: 1, trigger: 'api', createdAtMs: 0, context: {}, nodes: [] };
    await using control = await controlPlane({ [`GET /v1/runs/${runId}`]: { body: { ...base, ...changes } } });
    return (await hive(['run', 'show', runId, '--url', control.url])).stdout;
  };
  const node = (id: string, rest: object) => ({ id, needs: [], status: 'RUNNING', waits: [], attempts: [], ...rest });

  it.each([
    ['retry', 'retry of  '],
    ['fork', 'fork of   '],
    ['compensation', 'undoes    '],
  ])('names the run it came from by %s', async (trigger, text) => {
    expect(await shown({ trigger, originRunId: newRunId })).toContain(`\n${text}${newRunId}\n`);
  });

  it('says what was carried over, and what each slot waits for', async () => {
    const untilMs = Date.parse('2026-01-02T04:00:00Z');
    const text = await shown({
      nodes: [
        node('a', { status: 'SUCCESS', isCarried: true, output: 1 }),
        node('b', { waits: [{ kind: 'timer', slot: 0, untilMs }] }),
        node('c', {
          waits: [
            { kind: 'signal', slot: 0, name: 'go', key: 'k', untilMs },
            { kind: 'signal', slot: 2, name: 'event:paid', untilMs },
          ],
        }),
        node('d', {
          waits: [
            { kind: 'agent', slot: 0, agent: 'helper' },
            { kind: 'approval', slot: 0, approvalId: 'apr_1' },
            { kind: 'effect', slot: 1, effectId: 'eff_1', tool: 'mail' },
            { kind: 'retry', slot: 2, untilMs },
          ],
        }),
      ],
    });
    expect(text).toMatch(/\na +SUCCESS +carried +0 +1\n/);
    expect(text).toContain(`Waiting
  b  sleeps until 2026-01-02T04:00:00.000Z
  c  waits for the signal go with key k until 2026-01-02T04:00:00.000Z
  c[2]  waits for the event paid until 2026-01-02T04:00:00.000Z
  d  waits for the agent helper
  d  waits for approval: hive approve apr_1
  d[1]  waits for what became of mail: hive effects resolve eff_1
  d[2]  is tried again at 2026-01-02T04:00:00.000Z
`);
  });
});

describe('approvals', () => {
  const approval = {
    id: 'apr_1',
    runId,
    nodeId: 'ship',
    workflowName: 'nightly',
    agent: 'deployer',
    action: 'deploy',
    status: 'PENDING',
    message: 'Go?',
    input: { to: 'prod', token: '[redacted]' },
    inputSha256: 'a'.repeat(64),
    requestedAtMs: 0,
    expiresAtMs: Date.parse('2026-01-02T05:04:05.678Z'),
    excludeRequester: true,
  };

  it('are shown with what is to be decided and the command that decides about exactly that', async () => {
    await using control = await controlPlane({ 'GET /v1/approvals/apr_1': { body: approval } });
    const { screen } = await hive(['approvals', 'show', 'apr_1', '--url', control.url]);
    expect(screen).toBe(`apr_1  PENDING
run       ${runId}
node      nightly/ship
would run deployer.deploy
message   Go?
expires   in 2 h 0 min
not by    whoever started the run
sha256    ${'a'.repeat(64)}

input, secrets redacted
{
  "to": "prod",
  "token": "[redacted]"
}

Next: hive approve apr_1 --input-sha256 ${'a'.repeat(64)}
`);
  });

  it('are decided about the input that was looked at', async () => {
    await using control = await controlPlane({ 'POST /v1/approvals/apr_1/decision': { body: { ...approval, status: 'APPROVED' } } });
    await hive(['approve', 'apr_1', '--input-sha256', 'b'.repeat(64), '--url', control.url]);
    expect(bodyOf(control.seen[0])).toEqual({ decision: 'APPROVED', inputSha256: 'b'.repeat(64) });
  });

  it('have links, told once, for as long as is said', async () => {
    const body = { url: 'https://hive.example.org/approve/lnk_1.x', approvalId: 'apr_1', expiresAtMs: Date.parse('2026-01-02T03:34:05Z') };
    await using control = await controlPlane({ 'POST /v1/approvals/apr_1/links': { status: 201, body } });
    const { stdout } = await hive(['approvals', 'link', 'apr_1', '--expires-after', '30min', '--url', control.url]);
    expect(stdout.split('\n')[0]).toBe(body.url);
    await hive(['approvals', 'link', 'apr_1', '--url', control.url]);
    expect(control.seen.map(bodyOf)).toEqual([{ expiresAfterMs: 1_800_000 }, {}]);
    expect((await hive(['approvals', 'link', 'apr_1', '--expires-after', 'soon', '--url', control.url])).exitCode).toBe(2);
  });
});

describe('dead tickets', () => {
  const dead = {
    ticketId: 'tkt_1',
    runId,
    workflowName: 'nightly',
    nodeId: 'scan',
    slot: 2,
    attempt: 3,
    agent: 'scanner',
    input: { target: '/repo' },
    error: { code: 'AGENT_FAILED', message: 'exit 1', excerpt: 'heap\nfull\n' },
    diedAtMs: Date.parse('2026-01-02T03:00:00Z'),
  };
  const redriven = { ...dead, resolution: 'REDRIVEN', resolvedBy: 'key:a', resolvedAtMs: dead.diedAtMs, redrivenRunId: newRunId };

  it('are listed with what killed them', async () => {
    await using control = await controlPlane({ 'GET /v1/dead': { body: [dead] } });
    const { screen } = await hive(['dead', '--workflow', 'nightly', '--url', control.url]);
    expect(screen).toMatch(/^TICKET +NODE .*\ntkt_1 +nightly\/scan\[2\] +3 +4 min ago +AGENT_FAILED: exit 1\n\nNext: /);
    expect(control.seen[0]?.url).toBe('/v1/dead?state=open&limit=20&workflow=nightly');
  });

  it('are shown with their evidence, and what became of them', async () => {
    await using control = await controlPlane({ 'GET /v1/dead/tkt_1': { body: dead }, 'GET /v1/dead/tkt_2': { body: redriven } });
    const { screen } = await hive(['dead', 'show', 'tkt_1', '--url', control.url]);
    expect(screen).toContain('AGENT_FAILED: exit 1\n  heap\n  full\n\ninput, secrets redacted\n{\n  "target": "/repo"\n}');
    expect(screen).toContain('Next: hive dead redrive tkt_1, hive dead discard tkt_1 --reason <why>');
    const other = (await hive(['dead', 'show', 'tkt_2', '--url', control.url])).screen;
    expect(other).toContain(`resolved  REDRIVEN by key:a at 2026-01-02T03:00:00.000Z as ${newRunId}`);
    expect(other).toContain(`Next: hive run show ${newRunId}`);
  });

  it('are redriven and discarded, and not discarded without a reason', async () => {
    await using control = await controlPlane({
      'POST /v1/dead/tkt_1/redrive': { body: redriven },
      'POST /v1/dead/tkt_1/discard': { body: { ...dead, resolution: 'DISCARDED', reason: 'known' } },
    });
    expect((await hive(['dead', 'redrive', 'tkt_1', '--url', control.url])).stdout).toContain(
      `${newRunId} goes on from what failed ${runId}.`,
    );
    expect((await hive(['dead', 'discard', 'tkt_1', '--url', control.url])).exitCode).toBe(2);
    expect((await hive(['dead', 'discard', 'tkt_1', '--reason', 'known', '--url', control.url])).stdout).toContain('tkt_1 is discarded.');
    expect(control.seen.map(bodyOf)).toEqual([{}, { reason: 'known' }]);
  });
});

it('every command says what it does and what it takes', async () => {
  for (const [args, words] of [
    [
      ['run', '--help'],
      ['pause', 'resume', 'priority', 'signal', 'retry', 'fork'],
    ],
    [
      ['runs', '--help'],
      ['cancel', 'pause', 'resume', 'retry'],
    ],
    [
      ['runs', 'cancel', '--help'],
      ['--workflow', '--status', '--created-before', '--yes', '--expect', '--reason'],
    ],
    [
      ['dead', '--help'],
      ['list', 'show', 'redrive', 'discard'],
    ],
    [
      ['approvals', '--help'],
      ['list', 'show', 'link'],
    ],
    [['--help'], ['signal', 'dead', 'approvals', 'runs']],
  ] as const) {
    const { stdout, exitCode } = await hive([...args]);
    expect(exitCode).toBe(0);
    for (const word of words) expect(stdout, args.join(' ')).toContain(word);
  }
});
