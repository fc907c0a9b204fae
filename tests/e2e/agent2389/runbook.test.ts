// @module-tag needs-mosquitto
// @module-tag needs-mosquitto_sub
// @module-tag needs-jq
// @module-tag needs-curl
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { guardLeaks, type Mosquitto, startMosquitto } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hive } from '../../stack/hive.ts';
import { temporaryDirectory } from '../../stack/stack.ts';
import { agentFile, type RunningAgent, startAgent } from './agents.ts';
import { type Line, listen } from './line.ts';
import { answerTo, send, taskFor } from './tasks.ts';

guardLeaks();

const sections = `
[llm]
provider = "simulated"
model = "script"
[[llm.script]]
when = "fail"
fail = "the API answers 500"
[[llm.script]]
when = "^user: look"
tool = "slow"
arguments = {}
[[llm.script]]
when = "take your time"
reply = "took it"
delay_ms = 5100
[tools]
slow = { impl = "command", timeout_ms = 50, config = { command = ["sleep", "5"], description = "d", parameters = {} } }
`;

/** What stands for the cluster: the commands below are the runbook's own. */
const cluster = `
curl() { command curl "\${@//localhost:8080/$AGENT}"; }
mosquitto_sub() { command mosquitto_sub -p "$BROKER_PORT" "$@"; }
kubectl() {
  if [ "$1" = logs ]; then cat "$AGENT_LOG"; return; fi
  while [ "$1" != -- ]; do shift; done
  shift; "$@"
}
docker() { shift 2; "$@"; }
`;

describe('the runbook of 2389 agents', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let broker: Mosquitto;
  let line: Line;
  let agent: RunningAgent;
  const failing = taskFor({ instruction: 'fail' });
  const slow = taskFor({ instruction: 'take your time', task_id: '550e8400-e29b-41d4-a716-446655440000' });

  beforeAll(async () => {
    directory = await temporaryDirectory('runbook');
    broker = await startMosquitto(['sys_interval 1']);
    line = await listen(broker.url, ['/#']);
    agent = await startAgent({ directory: directory.path, broker: broker.url, sections });
    const tasks = [taskFor(), failing, taskFor({ instruction: 'look' }), slow];
    await send(line, ...tasks);
    // The slow one takes five seconds, which the first commands are typed in.
    for (const task of tasks.slice(0, -1)) await answerTo(line, task);
    await agent.line(({ span }) => span?.['task_id'] === slow.task_id);
    await keepLog();
  });
  afterAll(async () => {
    await agent[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const keepLog = () => writeFile(join(directory.path, 'agent.log'), agent.log.map((entry) => `${JSON.stringify(entry)}\n`).join(''));

  async function shell(command: string): Promise<{ readonly status: number | null; readonly said: string }> {
    const child = spawn('bash', ['-o', 'pipefail', '-c', `${cluster}\n${command}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {
        ...{ PATH: process.env['PATH'], AGENT: agent.url.replace('http://', ''), BROKER_PORT: String(broker.port) },
        AGENT_LOG: join(directory.path, 'agent.log'),
      },
    });
    const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
    return { status, said: said.trim() };
  }

  const typed = async (command: string, said: RegExp) =>
    expect(await shell(command)).toEqual({ status: 0, said: expect.stringMatching(said) as string });

  it.each([
    ['curl -f http://localhost:8080/health && echo "✅ HEALTHY" || echo "❌ UNHEALTHY"', /✅ HEALTHY$/],
    [`curl -s http://localhost:8080/health | jq '.checks.mqtt.status'`, /^"healthy"$/],
    [`curl -s http://localhost:8080/health | jq '.checks.task_processing'`, /"message": "Recent task activity"/],
    ['kubectl exec -n agent2389 agent -- curl -sf http://localhost:8080/health | jq .status', /^"healthy"$/],
    [`kubectl exec -n agent2389 deploy/mqtt-broker -- mosquitto_sub -t '#' -C 1 -W 5`, /"status":"available"/],
    [
      `curl -s http://localhost:8080/metrics | jq '
  (.tasks.tasks_failed / .tasks.tasks_received) * 100
'`,
      /^25$/,
    ],
    [`curl -s http://localhost:8080/metrics | jq '.mqtt.connected'`, /^true$/],
    [
      `curl -s http://localhost:8080/metrics | \\
    jq '{tasks_received: .tasks.tasks_received, tasks_completed: .tasks.tasks_completed}'`,
      /"tasks_received": 4,\s+"tasks_completed": [23]/,
    ],
    [`kubectl logs -n agent2389 -l app=agent --tail=100 | jq 'select(.level=="ERROR")'`, /"reason": "SIMULATED the API answers 500"/],
    [`kubectl logs -n agent2389 -l app=agent --since=1h | jq 'select(.level=="ERROR")'`, /"task_processing"/],
    [
      `kubectl logs -n agent2389 -l app=agent --tail=500 | \\
  jq 'select(.target | contains("mqtt"))'`,
      /"MQTT connected and subscribed"/,
    ],
    [`docker exec mqtt-broker mosquitto_sub -t '$SYS/#' -C 5`, /mosquitto version/],
    [`docker exec mqtt-broker mosquitto_sub -t '$SYS/broker/clients/connected' -C 1`, /^\d+$/],
    [`curl -s http://localhost:8080/metrics | jq '.mqtt'`, /"publish_failures": 0/],
    [`curl -s http://localhost:8080/health | jq '.checks'`, /"mqtt"/],
    [`kubectl logs -n agent2389 -l app=agent --tail=500 | jq 'select(.span.name=="task_processing")'`, /"Task started"/],
    [
      `curl -s http://localhost:8080/metrics | jq '
  {
    received: .tasks.tasks_received,
    failed: .tasks.tasks_failed,
    error_rate: ((.tasks.tasks_failed / .tasks.tasks_received) * 100)
  }
'`,
      /"error_rate": 25/,
    ],
    [
      `kubectl logs -n agent2389 -l app=agent --since=10m | jq 'select(.level=="ERROR") | .fields.message' | sort | uniq -c`,
      /1 "Task failed"/,
    ],
    [`curl -s http://localhost:8080/metrics | jq '.tools.tool_stats'`, /"success_rate": 0/],
    [
      `curl -s http://localhost:8080/metrics | jq '.tools.tool_stats | to_entries[] | select(.value.timeouts > 0)'`,
      /"key": "slow"[\s\S]*"timeouts": 1/,
    ],
    [`curl -s http://localhost:8080/metrics | jq '.mqtt.publish_failures'`, /^0$/],
    [`curl -s http://localhost:8080/metrics | jq '.tasks.current_pipeline_depth'`, /^[01]$/],
    [
      `curl -s http://localhost:8080/metrics | jq '.tools.tool_stats | to_entries[] | {tool: .key, avg_time: .value.avg_execution_time_ms}'`,
      /"tool": "slow",\s+"avg_time": \d+/,
    ],
    [`curl -s http://localhost:8080/metrics | jq '.tasks.tasks_processing'`, /^[01]$/],
    [`curl -s http://localhost:8080/metrics | jq "{tasks: .tasks, mqtt: .mqtt}"`, /"messages_received": [5-9]/],
    [`curl -sf http://localhost:8080/ready | jq .ready`, /^true$/],
    [`curl -sf http://localhost:8080/live | jq .alive`, /^true$/],
    [`kubectl logs -n agent2389 -l app=agent --tail=20 | grep "Configuration loaded"`, /echo\.toml/],
  ])('M17 %s', typed);

  it('is served by series of the names that its alert rules use', async () => {
    const scrape = (path: string, accept: string) => fetch(agent.url + path, { headers: { accept } }).then((answer) => answer.text());
    for (const body of [await scrape('/metrics', 'text/plain;version=0.0.4'), await scrape('/metrics/prometheus', '*/*')]) {
      for (const [series, value] of [
        ['tasks_received', 4],
        ['tasks_failed', 1],
        ['mqtt_connected', 1],
      ] as const)
        expect(body).toContain(`\nagent2389_${series} ${value}\n`);
      expect(body).toMatch(/\nagent2389_processing_time_p95_ms \d+/);
    }
  });

  it('is rotated by a signal that does not end the agent', async () => {
    const rotated = agent.line(({ fields }) => String(fields['message']).startsWith('SIGUSR1'));
    agent.signal('SIGUSR1');
    await rotated;
    expect((await fetch(`${agent.url}/live`)).status).toBe(200);
  });

  describe('and the commands beside an agent', () => {
    const said = async (args: readonly string[]) => {
      await using command = hive(args, { MQTT_URL: broker.url });
      const { stdout } = command.process;
      const [told, { status, said: errors }] = await Promise.all([stdout === null ? '' : text(stdout), command.ended]);
      return { status, told, errors };
    };

    it('validate a file with 0 or 1, and show it', async () => {
      const good = await agentFile({ directory: directory.path, broker: broker.url, id: 'good', sections });
      const bad = await agentFile({ directory: directory.path, broker: broker.url, id: 'bad', agentKeys: 'concurency = 3' });
      expect(await said(['agent', 'validate', good])).toMatchObject({ status: 0 });
      expect(await said(['agent', 'validate', bad])).toMatchObject({
        status: 1,
        errors: expect.stringContaining('did you mean "concurrency"?'),
      });
      expect(await said(['agent', 'config', good, '--show'])).toMatchObject({
        status: 0,
        told: expect.stringContaining('task_timeout_secs = 300'),
      });
    });

    it('send a task and wait for its answer, and a monitor shows both', async () => {
      await using monitor = hive(['agent', 'monitor', '--format', 'json', '--filter', 'good morning'], { MQTT_URL: broker.url });
      const { stdout } = monitor.process;
      if (stdout === null) return expect.unreachable();
      const shown: string[] = [];
      createInterface({ input: stdout }).on('line', (one) => shown.push(one));
      const inject = () => said(['agent', 'inject', '--agent-id', 'echo', '--message', 'good morning', '--wait-ms', '5000', '--json']);
      let last = await inject();
      // It may have come after the first task.
      while (shown.length === 0) last = await inject();
      expect(last.status).toBe(0);
      expect(JSON.parse(last.told)).toMatchObject({
        topic: '/control/agents/echo/input',
        answer: { response: 'SIMULATED reply to user: Process this message: good morning\nInput data: {"message":"good morning"}' },
      });
      expect(JSON.parse(shown[0] ?? '')).toMatchObject({ message_type: expect.stringMatching(/INPUT|CONVERSATION/) as string });
    });
  });

  describe('when a slow task is done', () => {
    beforeAll(async () => {
      await agent.line(({ fields }) => (fields['duration_ms'] as number) > 5_000);
      await keepLog();
    });

    it.each([
      [`curl -s http://localhost:8080/metrics | jq '.tasks.tasks_completed'`, /^[4-9]$/],
      [`curl -s http://localhost:8080/metrics | jq '.tasks.avg_processing_time_ms'`, /^\d{3,}(\.\d+)?$/],
      [
        `kubectl logs -n agent2389 -l app=agent --tail=1000 | \\
  jq 'select(.span.task_id=="550e8400-e29b-41d4-a716-446655440000")'`,
        /"Task completed"/,
      ],
      [
        `kubectl logs -n agent2389 -l app=agent --tail=1000 | \\
  jq 'select(.fields.duration_ms > 5000)'`,
        /"duration_ms": 5\d{3}/,
      ],
      [
        `curl -s http://localhost:8080/metrics | jq '.tasks | {avg: .avg_processing_time_ms, p50: .processing_time_p50_ms, p95: .processing_time_p95_ms, p99: .processing_time_p99_ms}'`,
        /"p99": \d{4}/,
      ],
      [`curl -s http://localhost:8080/metrics | jq '.tasks.tasks_processing'`, /^0$/],
    ])('M17 %s', typed);
  });
});
