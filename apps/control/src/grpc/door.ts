import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { HiveError } from '@hivekeeper/contract';
import { callsFor, type CallsOptions } from './calls.ts';
import { type RegistryServices, serviceRegistry } from './service-registry.ts';

/** What the door is opened with. */
export interface GrpcOptions {
  readonly services: RegistryServices & CallsOptions;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** A door that is open. */
export interface GrpcDoor extends AsyncDisposable {
  readonly port: number;
}

const name = 'neural_hive.service_registry.ServiceRegistry';
const proto = fileURLToPath(new URL('./service_registry.proto', import.meta.url));
const messageLimitBytes = 1024 * 1024;

/** Serves Neural Hive's registry without TLS, as the front door is served. @throws HiveError PORT_IN_USE */
export async function openGrpcDoor({ services, host, port }: GrpcOptions): Promise<GrpcDoor> {
  const definition = loadSync(proto, { keepCase: true, longs: Number, enums: String, defaults: true });
  const server = new Server({ 'grpc.max_receive_message_length': messageLimitBytes });
  server.addService(definition[name] as ServiceDefinition, serviceRegistry(services, callsFor(services)));
  const bound = await new Promise<number>((resolve, reject) => {
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, taken) => {
      if (error === null) resolve(taken);
      else reject(new HiveError('PORT_IN_USE', `port ${port} on ${host} cannot be served: ${error.message}`, { cause: error }));
    });
  });
  return {
    port: bound,
    // Streams that are watched would never end by themselves.
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}
