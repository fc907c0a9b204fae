import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlPlane, hive } from './testing.ts';

const runId = 'run_01JD0000000000000000000000';
const summary = {
  id: runId,
  workflowId: 'wfl_1',
  workflowName: 'nightly',
  workflowVersion: 3,
  status: 'SUCCESS',
  trigger: 'api',
  createdAtMs: Date.parse('2026-01-02T03:00:00Z'),
  startedAtMs: Date.parse('2026-01-02T03:00:01Z'),
  finishedAtMs: Date.parse('2026-01-02T03:00:05Z'),
  durationMs: 4_200,
};
const failure = { code: 'AGENT_OUT_OF_MEMORY', message: 'more than 512 MB', excerpt: 'heap\nfull', nodeId: 'scan' };
const attempt = {
  ticketId: 'tkt_1',
  nodeId: 'scan',
  slot: 0,
  attempt: 1,
  status: 'FAILED',
  input: {},
  error: failure,
  issuedAtMs: 0,
  leasedAtMs: Date.parse('2026-01-02T03:00:02Z'),
  finishedAtMs: Date.parse('2026-01-02T03:00:04Z'),
  workerId: 'wrk_1',
};
const failedRun = {
  ...summary,
  status: 'FAILED',
  error: failure,
  context: { target: '/repo' },
  nodes: [
    { id: 'scan', agent: 'security-scanner', action: 'scan', needs: [], status: 'FAILED', error: failure, waits: [], attempts: [attempt] },
  ],
};
const frame = (id: string, event: object) => `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hive-cli-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('starting a run', () => {
  it('sends the context that --input options give, and the idempotency key', async () => {
    await using control = await controlPlane({
      'POST /v1/workflows/nightly/runs': { status: 202, body: { id: runId, status: 'PENDING', workflowVersion: 3 } },
    });
    await writeFile(join(directory, 'context.yaml'), 'depth: 2\ntarget: /elsewhere\n');
    const { exitCode, stdout } = await hive(
      [
        'run',
        'nightly',
        '--input',
        '@context.yaml',
        '--input',
        'target=/repo',
        '--input',
        'deep=true',
        '--idempotency-key',
        'k',
        '--url',
        control.url,
      ],
      { workingDirectory: directory },
    );
    expect([exitCode, stdout.split('\n')[0]]).toEqual([0, runId]);
    expect(control.seen[0]).toMatchObject({
      body: '{"context":{"depth":2,"target":"/repo","deep":true}}',
      headers: { 'idempotency-key': 'k' },
    });
  });

  it('reaches a workflow that is called like a subcommand by its full form', async () => {
    await using control = await controlPlane({ 'POST /v1/workflows/show/runs': { body: { id: runId } } });
    expect((await hive(['run', 'start', 'show', '--url', control.url])).exitCode).toBe(0);
  });

  it('with --watch prints a line per event and ends with the status of the run’s error', async () => {
    await using control = await controlPlane({
      'POST /v1/workflows/nightly/runs': { body: { id: runId, status: 'PENDING' } },
      [`GET /v1/runs/${runId}`]: { body: { ...failedRun, error: { code: 'APPROVAL_REJECTED', message: 'not today' } } },
      [`GET /v1/runs/${runId}/events`]: (response) =>
        response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end(
            frame('1.0', { type: 'node.started', atMs: 0, nodeId: 'scan', slotCount: 1 }) +
              frame('2.0', { type: 'node.finished', atMs: 1_000, nodeId: 'scan', status: 'FAILED', durationMs: 1_000, error: failure }) +
              frame('2.1', { type: 'run.finished', atMs: 1_000, status: 'FAILED' }),
          ),
    });
    const { exitCode, stdout } = await hive(['run', 'nightly', '--watch', '--url', control.url]);
    expect(stdout).toContain(
      '00:00:00.000  scan started\n00:00:01.000  scan finished  FAILED in 1.0 s  AGENT_OUT_OF_MEMORY: more than 512 MB\n00:00:01.000  run finished  FAILED\n',
    );
    expect(stdout).toContain(`FAILED  ${runId}  APPROVAL_REJECTED: not today`);
    expect(exitCode).toBe(5);
  });

  it('with --watch tells progress and goes on where a stream broke, and asks for the run once, at the end', async () => {
    const started = frame('1.0', { type: 'node.started', atMs: 0, nodeId: 'scan', slotCount: 1 });
    const progress = { type: 'attempt.progressed', atMs: 500, nodeId: 'scan', slot: 0, attempt: 1, ticketId: 'tkt_1' };
    const said = `data: ${JSON.stringify({ ...progress, progress: { message: '4 of 9 files' } })}\n\n`;
    const streams = [started + said, frame('2.0', { type: 'run.finished', atMs: 1_000, status: 'SUCCESS' })];
    await using control = await controlPlane({
      'POST /v1/workflows/nightly/runs': { body: { id: runId, status: 'PENDING' } },
      [`GET /v1/runs/${runId}`]: { body: { ...failedRun, status: 'SUCCESS', error: undefined } },
      [`GET /v1/runs/${runId}/events`]: (response) => {
        const text = streams.shift() ?? '';
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text, () => response.destroy());
      },
    });
    const { exitCode, stdout } = await hive(['run', 'nightly', '--watch', '--url', control.url]);
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringContaining('00:00:00.500  scan: 4 of 9 files\n00:00:01.000  run finished  SUCCESS'),
    ]);
    expect(control.seen.map(({ method, url, headers }) => [method, url, headers['last-event-id']])).toEqual([
      ['POST', '/v1/workflows/nightly/runs', undefined],
      ['GET', `/v1/runs/${runId}/events`, undefined],
      ['GET', `/v1/runs/${runId}/events`, '1.0'],
      ['GET', `/v1/runs/${runId}`, undefined],
    ]);
  });

  it('with --watch --json prints NDJSON that ends with the run', async () => {
    await using control = await controlPlane({
      'POST /v1/workflows/nightly/runs': { body: { id: runId, status: 'PENDING' } },
      [`GET /v1/runs/${runId}`]: { body: { ...failedRun, status: 'SUCCESS', error: undefined } },
      [`GET /v1/runs/${runId}/events`]: (response) =>
        response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end(frame('1.0', { type: 'run.finished', atMs: 5, status: 'SUCCESS' })),
    });
    const { exitCode, stdout } = await hive(['run', 'nightly', '--watch', '--json', '--url', control.url]);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly type: string });
    expect([exitCode, lines[0], lines.at(-1)?.type]).toEqual([0, { id: '1.0', type: 'run.finished', atMs: 5, status: 'SUCCESS' }, 'run']);
  });
});

describe('looking at runs', () => {
  it('lists them as a table that programs can cut', async () => {
    await using control = await controlPlane({ 'GET /v1/runs': { body: [summary] } });
    const { stdout } = await hive(['runs', '--status', 'SUCCESS', '--limit', '5', '--url', control.url]);
    expect(stdout).toMatch(
      /^RUN +WORKFLOW +STATUS +STARTED +DURATION +ERROR\nrun_01JD0000000000000000000000 {2}nightly@3 {2}SUCCESS {2}4 min ago {2}4\.2 s\n$/,
    );
    expect(control.seen[0]?.url).toBe('/v1/runs?status=SUCCESS&limit=5');
  });

  it('prints exactly the document with --json, before or after the command', async () => {
    await using control = await controlPlane({ 'GET /v1/runs': { body: [summary] } });
    for (const args of [
      ['--json', 'runs'],
      ['runs', '--json'],
    ])
      expect(JSON.parse((await hive([...args, '--url', control.url])).stdout)).toEqual([summary]);
  });

  it('shows a run with what failed, its excerpt and the next command', async () => {
    await using control = await controlPlane({ [`GET /v1/runs/${runId}`]: { body: failedRun } });
    const { screen } = await hive(['run', 'show', runId, '--url', control.url]);
    expect(screen).toContain('AGENT_OUT_OF_MEMORY in scan: more than 512 MB\n  heap\n  full');
    expect(screen).toContain(`Next: hive run retry ${runId}`);
  });

  it('tells the history of a run in order of time', async () => {
    const approval = { id: 'apr_1', nodeId: 'scan', status: 'APPROVED', respondedBy: 'kim', notes: 'go' };
    const times = { requestedAtMs: failedRun.startedAtMs + 200, respondedAtMs: failedRun.startedAtMs + 700 };
    await using control = await controlPlane({
      [`GET /v1/runs/${runId}`]: { body: failedRun },
      'GET /v1/approvals': { body: [{ ...approval, ...times }] },
    });
    const { stdout } = await hive(['logs', runId, '--url', control.url]);
    expect(stdout.split('\n').map((line) => line.slice(0, 44))).toEqual([
      '03:00:01.000  run started',
      '03:00:01.200  scan waits for approval apr_1',
      '03:00:01.700  scan approval APPROVED by kim:',
      '03:00:02.000  scan attempt 1 taken by wrk_1',
      '03:00:04.000  scan attempt 1 FAILED  AGENT_O',
      '    heap',
      '    full',
      '03:00:05.000  run finished  FAILED',
      '',
    ]);
  });

  it('says why a run waits, for how long, and what to type', async () => {
    await using control = await controlPlane({
      [`GET /v1/why/${runId}`]: {
        body: { runId, status: 'RUNNING', explanation: 'Node scan waits.', nextCommand: 'hive status', sinceMs: 65_000 },
      },
    });
    expect((await hive(['why', runId, '--url', control.url])).screen).toBe(
      'Node scan waits. (RUNNING for 1 min 5 s)\n\nNext: hive status\n',
    );
  });
});

describe('workflows', () => {
  const definition = {
    name: 'nightly',
    nodes: [
      { id: 'scan', agent: 'security-scanner', action: 'scan' },
      { id: 'review', agent: 'code-reviewer' },
      { id: 'report', agent: 'report-writer', needs: ['scan', 'review'], approval: true, when: 'true' },
    ],
  };

  it('are validated with every issue and its path', async () => {
    await using control = await controlPlane({
      'POST /v1/workflows/validate': { body: { issues: [{ path: '/nodes/0/agent', message: 'no such agent' }] } },
    });
    await writeFile(join(directory, 'w.json'), JSON.stringify(definition));
    const { exitCode, stderr } = await hive(['workflows', 'validate', 'w.json', '--url', control.url], { workingDirectory: directory });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('WORKFLOW_INVALID: nightly has a fault\n  /nodes/0/agent  no such agent\n');
    expect(stderr).toContain('\nNext: hive workflows validate <file>');
  });

  it('are deployed from YAML and from a TypeScript module', async () => {
    await using control = await controlPlane({ 'POST /v1/workflows': { status: 201, body: { name: 'nightly', version: 2 } } });
    await writeFile(join(directory, 'w.yaml'), 'name: nightly\nnodes: [{ id: scan, agent: a }]\n');
    await writeFile(join(directory, 'w.mjs'), `export const workflow = ${JSON.stringify(definition)};`);
    for (const file of ['w.yaml', 'w.mjs'])
      expect((await hive(['workflows', 'deploy', file, '--url', control.url], { workingDirectory: directory })).stdout).toContain(
        'nightly is deployed as version 2.',
      );
    expect(control.seen.map(({ body }) => (JSON.parse(body) as typeof definition).nodes.length)).toEqual([1, 3]);
  });

  it('are drawn as a tree and as Mermaid, from a file without a control plane', async () => {
    await writeFile(join(directory, 'w.json'), JSON.stringify(definition));
    const { stdout } = await hive(['workflows', 'graph', 'w.json'], { workingDirectory: directory });
    expect(stdout).toBe(`nightly
├─ scan  security-scanner.scan
└─ review  code-reviewer
   └─ report  report-writer  (when true; after approval; also needs scan)

flowchart LR
  n0["scan<br/>security-scanner.scan"]
  n1["review<br/>code-reviewer"]
  n2{{"report<br/>report-writer"}}
  n0 -->|when| n2
  n1 -->|when| n2
`);
  });
});

describe('agents, approvals and status', () => {
  it('lists agents with what they do, and an action’s risk where it is not the agent’s', async () => {
    const capabilities = [{ name: 'preview', riskLevel: 'AUTO' }, { name: 'apply', riskLevel: 'APPROVAL_REQUIRED' }, { name: 'undo' }];
    await using control = await controlPlane({
      'GET /v1/agents': {
        body: [
          {
            name: '2/mender',
            version: '1.0.0',
            trust: 'untrusted',
            riskLevel: 'APPROVAL_REQUIRED',
            spec: { kind: 'coding', capabilities },
          },
        ],
      },
    });
    const { stdout } = await hive(['agents', '--url', control.url]);
    expect(stdout).toMatch(/2\/mender +1\.0\.0 +coding +untrusted +APPROVAL_REQUIRED +preview \(AUTO\) apply undo/);
  });

  it.each([
    [{ state: 'closed', failureCount: 0 }, 'closed'],
    [{ state: 'closed', failureCount: 2 }, 'closed, 2 failed'],
    [{ state: 'open', failureCount: 0, nextTrialAtMs: 0 }, 'open, trial due'],
    [{ state: 'open', failureCount: 0, nextTrialAtMs: 8_000_000_000_000 }, 'open, trial in \\d+'],
    [{ state: 'half-open', failureCount: 0 }, 'half-open'],
  ])('shows the breaker %o of an agent as "%s"', async (breaker, words) => {
    const spec = { kind: 'http', capabilities: [] };
    const agent = { name: 'frail', version: '1.0.0', trust: 'untrusted', riskLevel: 'AUTO', spec, breaker };
    await using control = await controlPlane({ 'GET /v1/agents': { body: [agent] } });
    expect((await hive(['agents', '--url', control.url])).stdout).toMatch(new RegExp(`frail .* ${words}`));
  });

  it('lists breakers with what opened them, and closes and opens them by name', async () => {
    const api = { kind: 'dependency', name: 'api', agents: ['reader', 'writer'], state: 'open', failureCount: 0, nextTrialAtMs: 0 };
    const listed = [{ ...api, sinceAtMs: 0, cause: 'DEPENDENCY_FAILED: api: 502' }];
    await using control = await controlPlane({ 'GET /v1/breakers': { body: listed }, 'PUT /v1/breakers/dependencies/api': { body: api } });
    const typed = async (...words: string[]) => (await hive(['breakers', ...words, '--url', control.url])).stdout;
    expect(await typed()).toMatch(/dependency:api +open, trial due .* reader writer +DEPENDENCY_FAILED: api: 502/);
    expect(await typed('close', 'dependency:api')).toContain('dependency:api is closed');
    expect(await typed('open', 'dependency:api', '--for', '10min', '--reason', 'moving')).toContain('nothing of reader, writer is started');
    expect(control.seen.slice(1).map(({ body }) => JSON.parse(body))).toEqual([
      { state: 'closed' },
      { state: 'open', forMs: 600_000, reason: 'moving' },
    ]);
    expect((await hive(['breakers', 'close', 'api', '--url', control.url])).exitCode).toBe(2);
  });

  it('lists budgets with what is left of them, and sets and removes them in dollars', async () => {
    const spent = { settledMicroUsd: 1_250_000, reservedMicroUsd: 500_000, leftMicroUsd: 3_250_000, burnMicroUsdPerHour: 250_000 };
    const budget = { id: 'bud_1', scope: 'workflow', name: 'review', period: 'day', capMicroUsd: 5_000_000, ...spent };
    await using control = await controlPlane({
      ...{ 'GET /v1/budgets': { body: [budget] }, 'PUT /v1/budgets': { body: { ...budget, capMicroUsd: 1_000 } } },
      'DELETE /v1/budgets/bud_1': { body: budget },
    });
    const typed = (...words: string[]) => hive(['budgets', ...words, '--url', control.url]);
    expect((await typed()).stdout).toMatch(/workflow:review +day +\$5\.00 +\$1\.25 +\$0\.50 +\$3\.25 +\$0\.25/);
    expect((await typed('set', 'workflow:review', '--per', 'day', '--usd', '0.001')).stdout).toContain(
      'workflow:review may spend $0.001000 per day.',
    );
    expect((await typed('remove', 'workflow:review', '--per', 'day')).stdout).toContain('workflow:review has no budget per day any more.');
    expect(control.seen.map(({ method, body }) => body || method)).toEqual([
      ...['GET', JSON.stringify({ scope: 'workflow', name: 'review', period: 'day', capMicroUsd: 1_000 })],
      ...['GET', 'DELETE'],
    ]);
    expect((await typed('remove', 'tenant', '--per', 'day')).exitCode).toBe(4);
    for (const words of [
      ['set', 'workflow', '--per', 'day', '--usd', '1'],
      ['set', 'tenant:x', '--per', 'day', '--usd', '1'],
      ['set', 'tenant', '--per', 'day', '--usd', '1.0000001'],
      ['set', 'tenant', '--usd', '1'],
    ])
      expect((await typed(...words)).exitCode).toBe(2);
  });

  it('registers an agent by its absolute path', async () => {
    await using control = await controlPlane({
      'POST /v1/agents': { body: { name: 'mine', version: '1.0.0', trust: 'untrusted', riskLevel: 'AUTO' } },
    });
    await hive(['agents', 'register', 'mine', '--url', control.url], { workingDirectory: directory });
    expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({ entryPath: join(directory, 'mine') });
  });

  it('removes an agent and says so', async () => {
    await using control = await controlPlane({ 'DELETE /v1/agents/mine': (response) => response.writeHead(204).end() });
    expect((await hive(['agents', 'remove', 'mine', '--url', control.url])).stdout).toBe('mine is removed.\n');
  });

  it.each([
    ['approve', 'APPROVED'],
    ['reject', 'REJECTED'],
  ])('%s sends the decision %s with its note', async (command, decision) => {
    await using control = await controlPlane({ 'POST /v1/approvals/apr_1/decision': { body: { id: 'apr_1', status: decision, runId } } });
    const { stdout } = await hive([command, 'apr_1', '--note', 'seen', '--url', control.url]);
    expect(stdout).toContain(`apr_1 is ${decision}.`);
    expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({ decision, notes: 'seen' });
  });

  it('lists what waits for a person, and all only when asked', async () => {
    await using control = await controlPlane({ 'GET /v1/approvals': { body: [] } });
    for (const args of [[], ['--status', 'ALL']]) await hive(['approvals', ...args, '--url', control.url]);
    expect(control.seen.map(({ url }) => url)).toEqual(['/v1/approvals?status=PENDING', '/v1/approvals']);
  });

  it('shows the workers and how busy they are', async () => {
    const worker = {
      ...{ id: 'wrk_1', name: 'w1', capabilities: ['node', 'sandbox'] },
      lacks: { container: 'neither podman nor docker is on the PATH' },
      maxParallel: 4,
      heldCount: 1,
      state: 'connected',
      lastSeenAtMs: Date.parse('2026-01-02T03:04:05Z'),
    };
    const body = {
      version: '0.1.0',
      epoch: 1,
      authentication: 'api-key',
      startedAtMs: Date.parse('2026-01-02T03:00:05Z'),
      runs: { RUNNING: 2 },
      tickets: { ready: 1, leased: 1, delayed: 0 },
      workers: [worker],
      health: {
        ready: true,
        canaries: [{ queue: 'node', isUnderWay: false, latencyMs: 120, endedAtMs: Date.parse('2026-01-02T03:04:00Z') }],
      },
    };
    await using control = await controlPlane({ 'GET /v1/status': { body } });
    const { stdout, stderr } = await hive(['status', '--url', control.url]);
    expect(stdout).toContain('2 RUNNING');
    expect(stdout).toMatch(/w1 +connected +1\/4 +now +node sandbox\nw1 runs no container: neither podman nor docker is on the PATH/);
    expect(stdout).toMatch(/^work +moves\ncanaries +node 0.1 s \(5 s ago\)$/m);
    expect(stderr).toBe('');
    const health = { ready: false, part: 'worker', detail: 'nothing moves, for 14 s', canaries: [] };
    await using stalled = await controlPlane({ 'GET /v1/status': { body: { ...body, health } } });
    const { screen } = await hive(['status', '--url', stalled.url]);
    expect(screen).toMatch(/^work +worker stands still: nothing moves, for 14 s$[^]*\nNext: hive doctor\n$/m);
  });

  it('gives what catches its output the answer alone, and hints to who sees the screen', async () => {
    await using control = await controlPlane({ 'POST /v1/workflows/nightly/runs': { status: 201, body: { id: runId } } });
    const { stdout, stderr } = await hive(['run', 'nightly', '--url', control.url]);
    expect([stdout, stderr]).toEqual([`${runId}\n`, `\nNext: hive run show ${runId}, hive logs ${runId} --follow, hive why ${runId}\n`]);
    const asDocument = await hive(['run', 'nightly', '--json', '--url', control.url]);
    expect([JSON.parse(asDocument.stdout), asDocument.stderr]).toEqual([{ id: runId }, '']);
  });
});

describe('the key', () => {
  const keyOf = async (args: readonly string[], environment: Readonly<Record<string, string>> = {}) => {
    await using control = await controlPlane({ 'GET /v1/agents': { body: [] } });
    await hive(['agents', '--url', control.url, ...args], { environment, workingDirectory: directory });
    return control.seen[0]?.headers.authorization;
  };

  it('comes from --token-file, else HIVE_TOKEN, else admin.key of the data directory', async () => {
    await writeFile(join(directory, 'admin.key'), 'admin\n');
    await writeFile(join(directory, 'mine.key'), 'mine\n');
    expect(await keyOf(['--token-file', join(directory, 'mine.key'), '--data', directory], { HIVE_TOKEN: 'told' })).toBe('Bearer mine');
    expect(await keyOf(['--data', directory], { HIVE_TOKEN: 'told' })).toBe('Bearer told');
    expect(await keyOf(['--data', directory])).toBe('Bearer admin');
    expect(await keyOf([], { HIVE_DATA: directory })).toBe('Bearer admin');
    expect(await keyOf([])).toBeUndefined();
  });

  it('in a file that cannot be read is an error, not an anonymous call', async () => {
    expect(await hive(['agents', '--token-file', join(directory, 'none')])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('CONFIGURATION_INVALID'),
    });
  });
});
