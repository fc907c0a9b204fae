// @module-tag needs-bwrap
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { EffectView, JsonObject, RunView } from '@hivekeeper/contract';
import { seededRandom } from '@hivekeeper/testkit';
import { describe, expect, test } from 'vitest';
import { allGone, descendants, isAlive, killAll, rest, type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

const payer = resolve(import.meta.dirname, 'fixtures/payer');
const points = ['before-begin', 'after-begin', 'after-effect', 'after-finish'] as const;

interface Scene extends AsyncDisposable {
  stack: Stack;
  readonly restart: () => Promise<void>;
  readonly payments: () => Promise<readonly string[]>;
  /** Starts a run that pays once. */
  readonly pay: (context: JsonObject) => Promise<string>;
  /** Resolves when the first attempts for these keys stand where they were told to. */
  readonly stopped: (keys: readonly string[]) => Promise<void>;
  /** Resolves when the run has ended, or waits for a person. */
  readonly settled: (runId: string) => Promise<RunView>;
}

async function open(workerCount = 1): Promise<Scene> {
  const directory = await temporaryDirectory('effects');
  const records = join(directory.path, 'records');
  await mkdir(records, { mode: 0o777 });
  const begin = (port = 0) =>
    startStack({
      dataDirectory: join(directory.path, 'data'),
      ...{ port, workerCount, leaseMs: 2_500, roots: [directory.path] },
      environment: { HIVE_PARALLEL: '10' },
    });
  const scene: Scene = {
    stack: await begin(),
    restart: async () => {
      scene.stack = await begin(scene.stack.port);
    },
    payments: async () => (await readFile(join(records, 'payments'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
    pay: async (context) =>
      (await scene.stack.client.startRun('pay', { context: { stopAt: null, hasProbe: true, hasLedger: true, ...context } })).id,
    stopped: async (keys) => {
      while (keys.some((key) => !existsSync(join(records, `at-${key}`)))) await rest();
    },
    settled: async (runId) => {
      for (;;) {
        const run = await scene.stack.client.run(runId).catch(() => undefined);
        if (run !== undefined && (run.finishedAtMs !== undefined || run.blocker?.kind === 'effect_unknown')) return run;
        await rest();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await scene.stack.stop();
      await directory[Symbol.asyncDispose]();
    },
  };
  const { client } = scene.stack;
  await client.registerAgent({ entryPath: payer });
  const of = (...names: string[]) => Object.fromEntries(names.map((name) => [name, `{{ context.${name} }}`]));
  const retry = { maxAttempts: 5, backoffMs: 10, factor: 1, jitterRatio: 0 };
  await client.deployWorkflow({
    name: 'pay',
    nodes: [{ id: 'p', agent: 'payer', input: { directory: records, ...of('key', 'stopAt', 'hasProbe', 'hasLedger') }, retry }],
  });
  await client.deployWorkflow({
    name: 'payroll',
    nodes: [
      {
        ...{ id: 'p', agent: 'payer', map: '{{ context.keys }}', retry: { ...retry, maxAttempts: 20 } },
        input: { directory: records, key: '{{ item }}', payMs: 700 },
      },
    ],
  });
  return scene;
}

const effectsOf = (scene: Scene, runId: string): Promise<readonly EffectView[]> => scene.stack.client.effects({ run: runId, limit: 200 });

/** What is killed, and with what. */
const victims: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'its agent': async ({ stack }) => {
    const agents = await descendants(stack.pid, 'payer/index.ts');
    expect(agents.length).toBeGreaterThanOrEqual(8);
    killAll(agents);
  },
  'its worker': async ({ stack }) => {
    const workers = await descendants(stack.pid, 'apps/worker/src/main.ts');
    killAll(workers);
    await allGone(workers);
  },
  'the control plane': async (scene) => {
    const all = await descendants(scene.stack.pid);
    process.kill(scene.stack.pid, 'SIGKILL');
    await allGone([scene.stack.pid, ...all]);
    await scene.restart();
  },
};

describe('an effect whose attempt is killed with -9', () => {
  test.each(Object.keys(victims))('by the death of %s, before or after any step of it, happens once', async (victim) => {
    await using scene = await open();
    const cases = points.flatMap((point) => [true, false].map((hasProbe) => ({ point, hasProbe, key: `${point}-${hasProbe}` })));
    const runIds = await Promise.all(cases.map(({ point, hasProbe, key }) => scene.pay({ key, hasProbe, stopAt: point })));
    await scene.stopped(cases.map(({ key }) => key));
    await victims[victim]?.(scene);

    const ends = await Promise.all(runIds.map((runId) => scene.settled(runId)));
    // Without a probe nobody knows what became of what was under way: those runs wait for a person.
    const isParked = ({ point, hasProbe }: (typeof cases)[number]) => !hasProbe && (point === 'after-begin' || point === 'after-effect');
    expect(ends.map(({ status, blocker }) => blocker?.kind ?? status)).toEqual(
      cases.map((each) => (isParked(each) ? 'effect_unknown' : 'SUCCESS')),
    );
    const paid = await scene.payments();
    for (const { key, point, hasProbe } of cases)
      expect(paid.filter((line) => line === key).length, key).toBe(!hasProbe && point === 'after-begin' ? 0 : 1);

    // The person looks at the bank, and says what is there.
    for (const [index, { key }] of cases.entries()) {
      const { blocker } = ends[index]!;
      if (blocker?.kind !== 'effect_unknown') continue;
      const happened = paid.includes(key);
      await scene.stack.client.resolveEffect(blocker.effectId, { happened, ...(happened && { output: { paid: key } }) });
    }
    const last = await Promise.all(runIds.map((runId) => scene.settled(runId)));
    expect(last.map(({ status, nodes }) => [status, nodes[0]?.output])).toEqual(cases.map(({ key }) => ['SUCCESS', { paid: key }]));
    expect((await scene.payments()).toSorted()).toEqual(cases.map(({ key }) => key).toSorted());
    for (const [index, runId] of runIds.entries())
      expect(await effectsOf(scene, runId), cases[index]!.key).toMatchObject([{ state: 'confirmed', tool: 'bank.pay' }]);
  });

  test('happens twice without the ledger: what the others are measured against', async () => {
    await using scene = await open();
    const runId = await scene.pay({ key: 'twice', stopAt: 'after-effect', hasLedger: false });
    await scene.stopped(['twice']);
    killAll(await descendants(scene.stack.pid, 'payer/index.ts'));
    expect((await scene.settled(runId)).status).toBe('SUCCESS');
    expect(await scene.payments()).toEqual(['twice', 'twice']);
    expect(await effectsOf(scene, runId)).toEqual([]);
  });
});

describe('an effect', () => {
  test('that times out after it happened is found by its probe; without one its run waits for a person', async () => {
    await using scene = await open();
    const [found, parked] = [
      await scene.pay({ key: 'found', stopAt: 'time-out' }),
      await scene.pay({ key: 'parked', stopAt: 'time-out', hasProbe: false }),
    ];
    expect(await scene.settled(found)).toMatchObject({ status: 'SUCCESS', nodes: [{ output: { paid: 'found' }, attempts: [{}] }] });
    expect((await scene.settled(parked)).blocker).toMatchObject({ kind: 'effect_unknown', tool: 'bank.pay' });
    expect((await effectsOf(scene, parked))[0]).toMatchObject({ state: 'unknown', reason: 'RangeError: the bank does not answer' });
    expect((await scene.payments()).toSorted()).toEqual(['found', 'parked']);
  });

  test('of workers that are stopped and continued is not made again by the attempt that follows', async () => {
    await using scene = await open(2);
    const cases = (['after-begin', 'after-effect', 'after-finish'] as const).map((point) => ({ point, key: `stopped-${point}` }));
    const runIds = await Promise.all(cases.map(({ point, key }) => scene.pay({ key, stopAt: point })));
    await scene.stopped(cases.map(({ key }) => key));
    const workers = await descendants(scene.stack.pid, 'apps/worker/src/main.ts');
    const attempts = async () => Promise.all(runIds.map(async (runId) => (await scene.stack.client.run(runId)).nodes[0]!.attempts));
    for (const pid of workers) process.kill(pid, 'SIGSTOP');
    // Their leases run out while their agents live: the next attempts begin beside them.
    while ((await attempts()).some(([first]) => first?.status !== 'LOST')) await rest();
    for (const pid of workers) process.kill(pid, 'SIGCONT');
    const ends = await Promise.all(runIds.map((runId) => scene.settled(runId)));
    expect(ends.map(({ status, nodes }) => [status, nodes[0]!.attempts.length])).toEqual(cases.map(() => ['SUCCESS', 2]));
    expect((await scene.payments()).toSorted()).toEqual(cases.map(({ key }) => key).toSorted());
  });
});

/** The agents themselves, without the processes that confine them. */
async function agentsOf({ stack }: Scene): Promise<readonly number[]> {
  const pids = await descendants(stack.pid, 'payer/index.ts');
  const programs = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, index) => programs[index]!.split('\0')[0]!.endsWith('/node'));
}

// More of them, among much else: `npm run test:chaos`.
const paymentCount = 60;
const killCount = 100;

describe(`${paymentCount} payments while ${killCount} processes are killed with -9`, () => {
  test('are made once each', async () => {
    await using scene = await open();
    const seed = 7;
    const random = seededRandom(seed);
    const keys = Array.from({ length: paymentCount }, (_, index) => `employee-${index}`);
    const { id: runId } = await scene.stack.client.startRun('payroll', { context: { keys } });
    const kills = { agents: 0, workers: 0, controlPlanes: 0 };
    const total = () => kills.agents + kills.workers + kills.controlPlanes;
    // A slot that loses five leases fails, so all else is killed four times; the rest are agents.
    const others = [
      { after: 15, kind: 'workers', kill: victims['its worker']! },
      { after: 40, kind: 'controlPlanes', kill: victims['the control plane']! },
      { after: 65, kind: 'workers', kill: victims['its worker']! },
      { after: 85, kind: 'workers', kill: victims['its worker']! },
    ] as const;
    const dueAtMs = new Map<number, number>();
    while (total() < killCount) {
      const other = others[kills.workers + kills.controlPlanes];
      if (other !== undefined && total() >= other.after) {
        await other.kill(scene);
        kills[other.kind] += 1;
        dueAtMs.clear();
      }
      const agents = await agentsOf(scene);
      if (agents.length === 0 && (await scene.stack.client.run(runId)).finishedAtMs !== undefined) break;
      for (const pid of agents) {
        // Each lives for a random time, from its first moments to past its end.
        const dueMs = dueAtMs.get(pid) ?? performance.now() + random.next() * 1_300;
        dueAtMs.set(pid, dueMs);
        if (dueMs > performance.now() || total() >= killCount || !(await isAlive(pid))) continue;
        killAll([pid]);
        kills.agents += 1;
      }
      await rest();
    }
    const { status, nodes, effects: counts } = await scene.settled(runId);
    const paid = await scene.payments();
    const effects = await effectsOf(scene, runId);
    // Kills that met an effect under way: it was told twice, or its probe found it.
    const met = effects.filter(({ dispatchCount, resolvedBy }) => dispatchCount > 1 || resolvedBy !== undefined).length;
    const figures = { ...kills, attempts: nodes[0]!.attempts.length, met, paid: paid.length, doubled: paid.length - new Set(paid).size };
    process.stdout.write(`${paymentCount} payments, seed ${seed}: ${JSON.stringify(figures)}\n`);
    expect({ status, doubled: figures.doubled, paid: figures.paid, counts }).toEqual({
      ...{ status: 'SUCCESS', doubled: 0, paid: paymentCount },
      counts: { confirmed: paymentCount },
    });
    expect(kills).toEqual({ agents: killCount - 4, workers: 3, controlPlanes: 1 });
    expect(met).toBeGreaterThanOrEqual(10);
  });
});
