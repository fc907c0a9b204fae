// @module-tag needs-mosquitto
// @module-tag needs-openssl
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { guardLeaks, startMosquitto } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import { hive } from '../../stack/hive.ts';
import { rest, startStack, temporaryDirectory } from '../../stack/stack.ts';
import { agentFile, startAgent } from './agents.ts';

guardLeaks();

const run = promisify(execFile);

it('an agent and a control plane trust a broker by its certificate, and are known by their password', async () => {
  await using directory = await temporaryDirectory('tls');
  const [certificate, key, passwords] = ['cert.pem', 'key.pem', 'passwords'].map((name) => join(directory.path, name)) as [
    string,
    string,
    string,
  ];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject]);
  await run('mosquitto_passwd', ['-c', '-b', passwords, 'worker-bee', 'right']);
  await using broker = await startMosquitto([
    `certfile ${certificate}`,
    `keyfile ${key}`,
    `password_file ${passwords}`,
    'allow_anonymous false',
  ]);
  const plan = {
    ...{ directory: directory.path, broker: `mqtts://localhost:${broker.port}` },
    mqttKeys: 'username_env = "BEE_NAME"\npassword_env = "BEE_PASSWORD"',
  };
  const surroundings = { BEE_NAME: 'worker-bee', BEE_PASSWORD: 'right', NODE_EXTRA_CA_CERTS: certificate };
  {
    await using agent = await startAgent({ ...plan, surroundings });
    expect((await fetch(`${agent.url}/ready`)).status).toBe(200);
  }
  const settings = { MQTT_URL: plan.broker, MQTT_USERNAME: 'worker-bee', MQTT_PASSWORD: 'right', NODE_EXTRA_CA_CERTS: certificate };
  {
    await using stack = await startStack({ dataDirectory: join(directory.path, 'data'), workerCount: 0, environment: settings });
    await using agent = await startAgent({ ...plan, surroundings });
    const isThere = async () =>
      (await stack.client.agents()).some((each) => each.name === 'mqtt/echo' && 'state' in each && each.state === 'available');
    while (!(await isThere())) await rest();
    await agent.end('SIGTERM');
  }
  const file = await agentFile(plan);
  for (const [change, reason] of [
    [{ BEE_PASSWORD: 'wrong' }, /Not authorized/],
    [{ NODE_EXTRA_CA_CERTS: '' }, /self-signed certificate/],
  ] as const) {
    const agent = hive(['agent', 'run', file, '--port', '0', '--state', join(directory.path, 'other')], { ...surroundings, ...change });
    const { stdout } = agent.process;
    stdout?.once('data', () =>
      stdout.on('data', (piece: Buffer) => piece.includes('MQTT connection lost') && agent.process.kill('SIGTERM')),
    );
    const [log] = await Promise.all([stdout === null ? '' : text(stdout), agent.ended]);
    expect(log).toMatch(reason);
    expect(log).not.toContain('MQTT connected');
  }
});
