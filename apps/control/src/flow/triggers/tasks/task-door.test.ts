import { agentManifestSchema, type AgentSpec, HiveError } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import type { TaskAnswer } from './task-answer.ts';
import { TaskDoor } from './task-door.ts';
import type { TaskLineListener } from './task-line.ts';

const agent = (name: string): AgentSpec => ({
  ...agentManifestSchema.parse({ name, version: '1.0.0', overMqtt: true }),
  trust: 'untrusted',
});

let clock: FakeClock;
let agents: AgentSpec[];
/** What was done, in its order: lines that were opened and closed, and what was published. */
let done: string[];
let isHeld: boolean;
let listener: TaskLineListener;
let taken: () => Promise<TaskAnswer | undefined>;
let door: TaskDoor;

beforeEach(() => {
  [clock, agents, done, isHeld, taken] = [new FakeClock(), [], [], false, async () => undefined];
  door = new TaskDoor({
    tasks: { agents: () => agents, take: () => taken() },
    openLine: (ids, heard) => {
      done.push(`open ${ids.join(' ')}`);
      listener = heard;
      return {
        isConnected: () => true,
        publish: async ({ topic, payload }) => {
          if (isHeld) return new Promise(() => {});
          const { status } = JSON.parse(payload) as { readonly status?: string };
          done.push(`${topic}${status === undefined ? '' : ` ${status}`}`);
        },
        [Symbol.asyncDispose]: async () => void done.push('close'),
      };
    },
    clock,
    log: newLog({ level: 'silent', component: 'test' }),
  });
});

it('has a line while agents take tasks, for these agents; they say that they are there, and that they go', async () => {
  await clock.advance(5_000);
  expect(done).toEqual([]);
  agents = [agent('a'), agent('b')];
  await clock.advance(1_000);
  listener.connected();
  expect(done).toEqual(['open a b', '/control/agents/a/status available', '/control/agents/b/status available']);
  done.length = 0;
  agents = [agent('b')];
  await clock.advance(1_000);
  expect(done).toEqual(['/control/agents/a/status unavailable', 'close', 'open b']);
  done.length = 0;
  await clock.advance(20_000);
  expect(done).toEqual(['/control/agents/b/status available']);
  done.length = 0;
  await door[Symbol.asyncDispose]();
  expect(done).toEqual(['/control/agents/b/status unavailable', 'close']);
});

it('lets the broker keep a task until its run is stored, and says what is to be said before that', async () => {
  agents = [agent('a')];
  await clock.advance(1_000);
  let tries = 0;
  taken = async () => {
    tries += 1;
    if (tries < 3) throw new HiveError('DATABASE_UNAVAILABLE');
    return { topic: '/conversations/c/a', body: {} };
  };
  let isTaken = false;
  const taking = listener.take('/control/agents/a/input', Buffer.from('{}')).then(() => (isTaken = true));
  await clock.advance(149);
  expect([tries, isTaken]).toEqual([2, false]);
  await clock.advance(1);
  await taking;
  expect([tries, done.at(-1)]).toEqual([3, '/conversations/c/a']);
});

it('leaves a task to the broker where it ends before that, and where an answer cannot be said', async () => {
  agents = [agent('a')];
  await clock.advance(1_000);
  [isHeld, taken] = [true, async () => ({ topic: '/conversations/c/a', body: {} })];
  const taking = listener.take('/control/agents/a/input', Buffer.from('{}'));
  const refused = expect(taking).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  const saying = expect(door.say({ topic: '/conversations/c/a', body: {} })).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
  await clock.advance(5_000);
  await saying;
  const ended = door[Symbol.asyncDispose]();
  await clock.advance(5_000);
  await Promise.all([ended, refused]);
});

it('drops a task that meets a bug again and again, so that the next is taken', async () => {
  agents = [agent('a')];
  await clock.advance(1_000);
  let tries = 0;
  taken = async () => {
    tries += 1;
    throw new RangeError('a bug');
  };
  const taking = listener.take('/control/agents/a/input', Buffer.from('{}'));
  await clock.advance(5_000);
  await taking;
  expect(tries).toBe(5);
});
