import type { EffectId, RunId, WorkflowInput } from '@hivekeeper/contract';
import { Recorder } from './recorder.ts';

type NodeInput = WorkflowInput['nodes'][number];

const recorderOf = (name: string, nodes: NodeInput[], more: Partial<WorkflowInput> = {}): Recorder =>
  new Recorder({ name, nodes, ...more });
const node = (id: string, more: Partial<NodeInput> = {}): NodeInput => ({ id, agent: 'worker', ...more });
const steady = { maxAttempts: 3, backoffMs: 1_000, factor: 2, jitterRatio: 0 };
const effectId = 'eff_01JD0000000000000000000000' as EffectId;
const otherRunId = 'run_01JD0000000000000000000001' as RunId;

/** What is recorded, by the name of its file: together every kind of event, and every way a run or node ends. */
export const scenarios: Readonly<Record<string, { readonly about: string; readonly record: () => Recorder }>> = {
  graph: {
    about: 'A graph with a condition, a map, retries with jitter, a lost lease, a fallback and templates',
    record: () => {
      const run = recorderOf('graph', [
        node('scan', { action: 'scan', input: { path: '{{ context.path }}' }, retry: { ...steady, jitterRatio: 0.3 } }),
        node('each', { needs: ['scan'], map: '{{ scan.output.files }}', input: { file: '{{ item }}', of: '{{ scan.output.files.0 }}' } }),
        node('never', { needs: ['scan'], when: 'size(scan.output.files) > 5' }),
        node('soft', { needs: ['scan'], onFailure: 'fallback', fallbackOutput: { total: 0 } }),
        node('report', { needs: ['each', 'soft'], input: { text: 'of {{ each.output }}: {{ soft.output.total + 1 }}' } }),
      ]);
      run.start({ context: { path: '/src' }, deadlineAtMs: 900_000 });
      run.commit(run.failed('scan')).commit(run.woken(500));
      run.commit(run.lost('scan'));
      run.commit(run.settled('scan', { files: ['a.ts', 'b.ts'] }));
      run.commit(run.settled('each', 2, 1), run.failed('soft', { code: 'NODE_TIMED_OUT', message: '300 s' }));
      run.commit(run.settled('each', 1, 0));
      return run.commit(run.settled('report', { ok: true }));
    },
  },
  failure: {
    about: 'A node fails for good, takes its slots and what depends on it along, and another branch goes on',
    record: () => {
      const run = recorderOf('failure', [
        node('many', { map: '{{ context.list }}', retry: steady }),
        node('after', { needs: ['many'] }),
        node('beside', { onFailure: 'continue', retry: { maxAttempts: 1 } }),
        node('last', { needs: ['beside'], input: { code: '{{ beside.error.code }}' } }),
        node('broken', { input: { x: '{{ context.missing }}' } }),
      ]);
      run.start({ context: { list: [1, 2, 3] } });
      run.commit(run.failed('many', {}, 1));
      run.commit(run.failed('many', { code: 'AGENT_INPUT_SCHEMA', message: 'no list' }, 2), run.failed('beside'));
      return run.commit(run.settled('last'));
    },
  },
  losses: {
    about: 'A lease is lost too often',
    record: () => {
      const run = recorderOf('losses', [node('a')]).start();
      for (let count = 0; count < 5; count += 1) run.commit(run.lost('a'));
      return run;
    },
  },
  approvals: {
    about: 'Approvals of the workflow and of an agent: approved, rejected with notes, expired in each way, of a map',
    record: () => {
      const term = { expiresAfterMs: 60_000 };
      const run = recorderOf('approvals', [
        node('deploy', { approval: { ...term, message: 'Deploy?', excludeRequester: true }, input: { to: '{{ context.to }}' } }),
        node('refused', { approval: true, onFailure: 'continue' }),
        node('late', { approval: { ...term, onExpiry: 'fail' }, onFailure: 'continue' }),
        node('spared', { approval: { ...term, onExpiry: 'skip' } }),
        node('anyway', { approval: { ...term, onExpiry: 'approve' }, map: '{{ context.list }}' }),
        node('risky'),
      ]);
      run.start({ context: { to: 'prod', list: [1, 2] }, gatedNodeIds: ['risky'] });
      run.commit(run.decided('deploy', true)).commit(run.decided('refused', false, 'not on a Friday'));
      run.commit(run.settled('deploy', 'done')).commit(run.woken(60_000));
      run.commit(run.settled('anyway', 1, 0), run.settled('anyway', 2, 1));
      run.commit(run.decided('risky', true));
      return run.commit(run.settled('risky'));
    },
  },
  waits: {
    about: 'Nodes that wait for signals and events, early, late, twice, with keys, and never; and nodes that sleep',
    record: () => {
      const run = recorderOf('waits', [
        { id: 'paid', wait: { signal: 'paid', key: '{{ context.id }}' } },
        { id: 'early', needs: ['paid'], wait: { signal: 'early' } },
        { id: 'invoice', wait: { event: 'invoice.sent', key: '{{ context.id }}' } },
        { id: 'each', wait: { signal: 'part', key: '{{ item }}' }, map: '{{ context.parts }}' },
        { id: 'never', wait: { signal: 'never', expiresAfterMs: 30_000 }, onFailure: 'continue' },
        { id: 'nap', sleep: { forMs: 20_000 } },
        { id: 'until', needs: ['nap'], sleep: { until: '{{ context.until }}' } },
        node('end', { needs: ['early', 'invoice', 'each', 'until'], input: { payload: '{{ paid.output }}' } }),
      ]);
      run.start({ context: { id: 7, parts: ['x', 'y'], until: '1970-01-01T00:01:00Z' } });
      run.commit(run.signalled('early', 's1', { payload: 'before' }));
      run.commit(run.signalled('paid', 's2', { key: '8' }), run.signalled('paid', 's3', { key: '7', payload: { sum: 3 } }));
      run.commit(run.signalled('paid', 's3', { key: '7', payload: 'again' }));
      run.commit(run.signalled('event:invoice.sent', 'evt_1', { key: '7', payload: { no: 1 } }));
      run.commit(run.signalled('part', 's4', { key: 'y', payload: 2 })).commit(run.woken(15_000));
      run.commit(run.signalled('part', 's5', { key: 'x', payload: 1 })).commit(run.woken(40_000));
      return run.commit(run.settled('end'));
    },
  },
  suspended: {
    about: 'An agent waits for a time, signals, a person, other agents (one of them asks, one calls another) and an effect',
    record: () => {
      const run = recorderOf('suspended', [node('agent', { retry: { maxAttempts: 2, backoffMs: 0 } })]).start();
      run.commit(run.suspended('agent', { kind: 'timer', step: 'nap', forMs: 5_000 })).commit(run.woken(4_000));
      run.commit(run.suspended('agent', { kind: 'signal', step: 'go', name: 'go', key: 'k', expiresAfterMs: 60_000 }));
      run.commit(run.signalled('go', 's1', { key: 'k', payload: 1 }));
      run.commit(run.suspended('agent', { kind: 'signal', step: 'go#2', name: 'go', expiresAfterMs: 1_000 })).commit(run.woken());
      run.commit(run.failed('agent')).commit(run.lost('agent'));
      run.commit(run.suspended('agent', { kind: 'approval', step: 'ok', message: 'Go on?', input: { sum: 3 }, expiresAfterMs: 60_000 }));
      run.commit(run.decided('agent', false, 'too much'));
      run.commit(run.suspended('agent', { kind: 'agent', step: 'scan', agent: 'scanner', action: 'scan', input: { n: 1 } }));
      run.commit(run.suspended('agent', { kind: 'agent', step: 'deep', agent: 'deeper', input: {} }, 1));
      run.commit(run.settled('agent', 'deep', 2)).commit(run.failed('agent', { code: 'AGENT_INPUT_SCHEMA' }, 1));
      run.commit(run.suspended('agent', { kind: 'agent', step: 'patch', agent: 'patcher', input: {}, isGated: true }));
      run.commit(run.decided('agent', true)).commit(run.settled('agent', 'patched', 3));
      run.commit(run.suspended('agent', { kind: 'effect', step: 'pay', effectId, tool: 'bank.transfer' }));
      run.commit({ type: 'effect.resolved', atMs: run.nowMs, effectId, by: 'key:ann' });
      return run.commit(run.settled('agent', { done: true }));
    },
  },
  orders: {
    about: 'A run is paused, given another priority, resumed and cancelled with a reason, while it does everything at once',
    record: () => {
      const run = recorderOf('orders', [
        node('a'),
        node('b', { needs: ['a'] }),
        node('asks', { approval: true }),
        node('fails', { retry: steady }),
        { id: 'waits', wait: { event: 'e', key: 'k' } },
        { id: 'sleeps', sleep: { forMs: 1_000_000 } },
        node('pays'),
      ]);
      run.start().commit(run.ordered('run.paused', 'look'));
      run.commit({ type: 'run.reprioritised', atMs: run.nowMs, by: 'key:ann', reason: 'urgent', priority: 50 });
      run.commit(run.settled('a'), run.failed('fails'));
      run.commit(run.suspended('pays', { kind: 'effect', step: 'pay', effectId, tool: 'bank.transfer' }));
      run.commit(run.ordered('run.resumed'));
      return run.commit(run.ordered('run.cancelled', 'enough'));
    },
  },
  unfinished: {
    about: 'A run in the middle of everything, as an upgrade may find it',
    record: () => {
      const run = recorderOf('unfinished', [
        node('a'),
        node('asks', { approval: true }),
        node('fails', { retry: { ...steady, backoffMs: 86_000_000 } }),
        { id: 'waits', wait: { signal: 's' } },
        { id: 'sleeps', sleep: { forMs: 9_000_000 } },
        node('calls'),
        node('next', { needs: ['a', 'asks'] }),
      ]);
      run.start({ deadlineAtMs: 99_000_000 }).commit(run.failed('fails'));
      run.commit(run.suspended('calls', { kind: 'agent', step: 's', agent: 'scanner', input: {} }));
      return run.commit(run.signalled('later', 's1')).commit(run.ordered('run.paused'));
    },
  },
  queued: {
    about: 'A run waits for its turn, hears a signal meanwhile, and is admitted',
    record: () => {
      const run = recorderOf('queued', [{ id: 'go', wait: { signal: 'go' } }, node('a', { needs: ['go'] })]);
      run.start({ queue: { key: 'deploy', limit: 1 }, deadlineAtMs: 99_000 }).commit(run.signalled('go', 's1'));
      run.commit({ type: 'run.admitted', atMs: run.nowMs });
      return run.commit(run.settled('a'));
    },
  },
  'timed-out': {
    about: 'A queued run does not get its turn in time',
    record: () => {
      const run = recorderOf('timed-out', [node('a')]);
      run.start({ queue: { key: 'deploy', limit: 1 }, deadlineAtMs: 31_000, carried: [] });
      return run.commit(run.woken(30_000));
    },
  },
  undone: {
    about: 'A run fails after deeds that can be undone, one of them without a value that undoing needs',
    record: () => failedWithDeeds().commit({ type: 'run.compensated', atMs: 99_000, byRunId: otherRunId }),
  },
  undoing: {
    about: 'A run undoes another one: asks first, fails once, and goes on to the end',
    record: () => {
      const run = recorderOf('deeds', deeds());
      run.start({ by: 'platform', compensation: failedWithDeeds().leftovers().toUndo, gatedNodeIds: ['b'] });
      run.commit(run.decided('b', true));
      run.commit(run.failed('b'));
      return run.commit(run.settled('a', 'undone'));
    },
  },
  'went-on': {
    about: 'A run goes on from a failed one',
    record: () => {
      const run = recorderOf('deeds', deeds());
      run.start({ carried: failedWithDeeds().leftovers().carried });
      return run.commit(run.settled('d', 'better'));
    },
  },
};

const deeds = (): NodeInput[] => [
  node('a', { compensate: { agent: 'undoer', action: 'undo', input: { of: '{{ a.output }}' } } }),
  node('b', { needs: ['a'], compensate: { agent: 'undoer', input: { from: '{{ a.output }}' } }, retry: { maxAttempts: 1 } }),
  node('c', { needs: ['b'], compensate: { agent: 'undoer', input: { id: '{{ c.output.id }}' } } }),
  node('soft', { onFailure: 'continue' }),
  node('d', { needs: ['c', 'soft'] }),
];

function failedWithDeeds(): Recorder {
  const run = recorderOf('deeds', deeds()).start();
  run.commit(run.settled('a', 1), run.failed('soft'));
  run.commit(run.settled('b', 2)).commit(run.settled('c', {}));
  return run.commit(run.failed('d'));
}
