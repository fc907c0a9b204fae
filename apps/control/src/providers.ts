/** The model gateway, where a models file is set; loaded only then. A part of the composition root. */
import { readFile } from 'node:fs/promises';
import { HiveError } from '@hivekeeper/contract';
import { idMaker, type Log, systemClock, systemRandom } from '@hivekeeper/kernel';
import type { KeySource, ModelBudget, ModelCallStore, ModelGateway, ModelsFile } from './flow/models/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A gateway, and the variables that hold its providers' keys: nobody else is given them. */
export interface OpenedModels {
  readonly gateway: ModelGateway;
  readonly keyVariables: readonly string[];
}

interface Surroundings {
  readonly stack: AsyncDisposableStack;
  readonly environment: Environment;
  readonly store: ModelCallStore;
  readonly budget: ModelBudget;
  readonly log: Log;
}

/** Opens it. @throws HiveError CONFIGURATION_INVALID where the file or a key cannot be used; it never repeats a key */
export async function openModels(
  path: string | undefined,
  { stack, environment, store, budget, log }: Surroundings,
): Promise<OpenedModels | undefined> {
  if (path === undefined) return undefined;
  const { CallLog, ModelGateway, parseModelsFile } = await import('./flow/models/index.ts');
  const file = parseModelsFile(await readFile(path, 'utf8').catch((cause: unknown) => Promise.reject(unreadable(path, cause))));
  const newId = idMaker(systemClock, systemRandom);
  const keys = await readKeys(file, environment);
  const calls = stack.use(new CallLog({ store, clock: systemClock, log }));
  const gateway = new ModelGateway({
    file,
    keys,
    budget,
    record: (call) => calls.add(call),
    newCallId: () => newId('call'),
    clock: systemClock,
    log,
  });
  log.info({ models: Object.keys(file.models), classes: Object.keys(file.classes) }, 'the model gateway is open');
  return { gateway, keyVariables: sourcesIn(file).flatMap(({ source }) => ('env' in source ? [source.env] : [])) };
}

const unreadable = (path: string, cause: unknown): HiveError =>
  new HiveError('CONFIGURATION_INVALID', `HIVE_MODELS: ${path} cannot be read`, { cause });

const sourcesIn = ({ providers }: ModelsFile): readonly { readonly id: string; readonly source: KeySource }[] =>
  Object.entries(providers).flatMap(([id, provider]) =>
    'key' in provider && provider.key !== undefined ? [{ id, source: provider.key }] : [],
  );

async function readKeys(file: ModelsFile, environment: Environment): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>();
  for (const { id, source } of sourcesIn(file)) {
    const key = 'env' in source ? environment[source.env] : await readFile(source.file, 'utf8').catch(() => undefined);
    if (key === undefined || key.trim() === '')
      throw new HiveError(
        'CONFIGURATION_INVALID',
        `HIVE_MODELS: the key of provider "${id}" is not there (${'env' in source ? source.env : source.file})`,
      );
    keys.set(id, key.trim());
  }
  return keys;
}
