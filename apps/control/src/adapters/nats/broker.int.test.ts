import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { guardLeaks } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import { NatsBroker } from './broker.ts';

guardLeaks();

const brokerAt = (port: number) =>
  new NatsBroker({
    url: `nats://127.0.0.1:${port}`,
    subjects: ['graph.>'],
    take: async () => 'stored',
    clock: systemClock,
    log: newLog({ level: 'silent', component: 'test' }),
  });

it('a broker that says nothing is not connected, publishes nothing, and holds up no end', async () => {
  await using server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const broker = brokerAt((server.address() as AddressInfo).port);
  const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
  expect(broker.isConnected()).toBe(false);
  await expect(broker.publish({ subject: 'workflow.run.completed', id: 'run_1', body: {} })).rejects.toThrow('not connected');
  const beganMs = performance.now();
  await broker[Symbol.asyncDispose]();
  expect(performance.now() - beganMs).toBeLessThan(4_000);
  socket.destroy();
});

it('a broker that is not there holds up no end either', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await server[Symbol.asyncDispose]();
  const broker = brokerAt(port);
  await broker[Symbol.asyncDispose]();
  expect(broker.isConnected()).toBe(false);
});
