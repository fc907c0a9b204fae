import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { HiveError } from '@hivekeeper/contract';
import { Aedes } from 'aedes';

/** A broker inside this process. */
export interface EmbeddedBroker extends AsyncDisposable {
  readonly url: string;
}

const host = '127.0.0.1';

/**
 * Starts an MQTT 3.1.1 broker on loopback: no MQTT 5, no shared subscriptions, nobody is asked who they are, and what it keeps it
 * keeps in memory. @throws HiveError PORT_IN_USE
 */
export async function startEmbeddedBroker(port: number): Promise<EmbeddedBroker> {
  const broker = await Aedes.createBroker();
  const server = createServer(broker.handle);
  // Small messages that wait for each other's acknowledgement took 40 ms where the kernel gathered them.
  server.on('connection', (socket) => socket.setNoDelay(true));
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    await closed(broker);
    if ((cause as { readonly code?: string }).code !== 'EADDRINUSE') throw cause;
    throw new HiveError('PORT_IN_USE', `port ${port} on ${host} is taken, so the MQTT broker cannot listen`, { cause });
  }
  return {
    url: `mqtt://${host}:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      const ended = once(server, 'close');
      server.close();
      // Ends the connections, which the server waits for.
      await closed(broker);
      await ended;
    },
  };
}

const closed = (broker: Aedes): Promise<void> => new Promise((resolve) => broker.close(() => resolve()));
