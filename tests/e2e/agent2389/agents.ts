import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Surroundings, hive } from '../../stack/hive.ts';

/** A line of an agent's log. */
export interface LogLine {
  readonly level: string;
  readonly target: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly span?: Readonly<Record<string, unknown>>;
}

/** An agent as a process. */
export interface RunningAgent extends AsyncDisposable {
  readonly url: string;
  readonly log: LogLine[];
  /** Resolves when a line passes, of those written and of those to come. */
  line(passes: (line: LogLine) => boolean): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and gives the exit status, null where the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** How to start one. */
export interface AgentPlan {
  readonly directory: string;
  readonly broker: string;
  readonly id?: string;
  /** The replica's own directory; `state-<id>` where absent. */
  readonly state?: string;
  /** Sections of the file besides `[agent]` and `[mqtt]`. */
  readonly sections?: string;
  readonly agentKeys?: string;
  readonly mqttKeys?: string;
  readonly surroundings?: Surroundings;
}

const simulated = '[llm]\nprovider = "simulated"\nmodel = "echo"\n';

/** Writes the file of an agent and gives its path. */
export async function agentFile({ directory, broker, id = 'echo', ...plan }: AgentPlan): Promise<string> {
  const path = join(directory, `${id}.toml`);
  await writeFile(
    path,
    [
      `[agent]\nid = "${id}"\ndescription = "An agent under test"\ncapabilities = ["test"]\n${plan.agentKeys ?? ''}`,
      `[mqtt]\nbroker_url = "${broker}"\n${plan.mqttKeys ?? ''}`,
      plan.sections ?? simulated,
    ].join('\n'),
  );
  return path;
}

/** Starts one with `hive agent run`, and waits until it has said that it is there. */
export async function startAgent(plan: AgentPlan): Promise<RunningAgent> {
  const { directory, id = 'echo', state = `state-${id}`, surroundings = {} } = plan;
  const file = await agentFile(plan);
  const started = hive(['agent', 'run', file, '--port', '0', '--state', join(directory, state)], surroundings);
  const log: LogLine[] = [];
  const { stdout } = started.process;
  if (stdout === null) throw new AgentDidNotStart('it has no stdout');
  const lines = createInterface({ input: stdout }).on('line', (text) => log.push(JSON.parse(text) as LogLine));
  const line = async (passes: (candidate: LogLine) => boolean) => {
    for (;;) {
      const found = log.find(passes);
      if (found !== undefined) return found;
      await Promise.race([once(lines, 'line'), started.ended.then(({ said }) => Promise.reject(new AgentDidNotStart(said)))]);
    }
  };
  const { fields } = await line((candidate) => candidate.fields['message'] === 'Agent started');
  await line((candidate) => candidate.fields['message'] === 'MQTT connected and subscribed');
  return {
    ...{ log, line, url: `http://127.0.0.1:${String(fields['probe_port'])}` },
    signal: (signal) => void started.process.kill(signal),
    end: async (signal) => {
      started.process.kill(signal);
      return (await started.ended).status;
    },
    [Symbol.asyncDispose]: async () => {
      started.process.kill('SIGKILL');
      await started.ended;
    },
  };
}

/** The agent ended before it was there; the message is what it said. */
class AgentDidNotStart extends Error {}
