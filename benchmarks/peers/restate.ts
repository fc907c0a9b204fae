import { type AddressInfo } from 'node:net';
import { createServer } from 'node:http2';
import { HiveError } from '@hivekeeper/contract';
import { createEndpointHandler, RestatePromise, service, type Context } from '@restatedev/restate-sdk';
import { connect } from '@restatedev/restate-sdk-clients';
import { fileURLToPath } from 'node:url';
import type { Engine, EngineDefinition, EngineStart, Step } from '../harness/engine.ts';
import { freePort, startServer, untilReady } from '../harness/server.ts';
import { versionOf } from './package-version.ts';

const binary = fileURLToPath(new URL(`node_modules/@restatedev/restate-server-linux-${process.arch}/bin/restate-server`, import.meta.url));

/** Four partitions suit a machine with few cores; the default of 24 is slower there. */
const environmentOf = (ports: { ingress: number; admin: number; fabric: number }) => ({
  RESTATE_DEFAULT_NUM_PARTITIONS: '4',
  RESTATE_DISABLE_TELEMETRY: 'true',
  RESTATE_LISTEN_MODE: 'tcp',
  RESTATE_BIND_IP: '127.0.0.1',
  RESTATE_BIND_PORT: String(ports.fabric),
  RESTATE_INGRESS__BIND_PORT: String(ports.ingress),
  RESTATE_ADMIN__BIND_PORT: String(ports.admin),
  RESTATE_LOG_FILTER: 'error',
});

const definitionOf = (step: Step) =>
  service({
    name: 'bench',
    handlers: {
      sequence: async (context: Context, stepCount: number) => {
        for (let index = 0; index < stepCount; index += 1) await context.run(step);
      },
      fanOut: async (context: Context, width: number) => {
        await RestatePromise.all(Array.from({ length: width }, () => context.run(step)));
      },
    },
  });

async function start({ directory, step }: EngineStart): Promise<Engine> {
  const bench = definitionOf(step);
  const endpoint = createServer(createEndpointHandler({ services: [bench], logger: () => {} }));
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  const ports = { ingress: await freePort(), admin: await freePort(), fabric: await freePort() };
  const server = startServer({
    command: binary,
    args: ['--no-logo', '--base-dir', directory],
    directory,
    environment: environmentOf(ports),
  });
  await untilReady('Restate', () => register(ports.admin, (endpoint.address() as AddressInfo).port));
  const client = connect({ url: `http://127.0.0.1:${ports.ingress}` }).serviceClient(bench);
  await untilReady('Restate’s ingress', async () => client.sequence(1));
  return {
    durability: 'one node, 4 partitions, write-ahead log with fsync (its default)',
    runSequence: async (stepCount) => client.sequence(stepCount),
    runFanOut: async (width) => client.fanOut(width),
    stop: async () => {
      await server.stop();
      endpoint.close();
    },
  };
}

async function register(adminPort: number, endpointPort: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${endpointPort}` }),
  });
  if (!response.ok) throw new HiveError('INTERNAL', `registering the deployment: ${response.status} ${await response.text()}`);
}

export const engine: EngineDefinition = {
  name: 'Restate',
  version: versionOf('@restatedev/restate-server'),
  kind: 'workflows',
  isDurable: true,
  start,
};
