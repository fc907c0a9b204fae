import { breakerRuleSchema, HiveError, type Issue } from '@hivekeeper/contract';
import { z } from 'zod';
import { type DialectName, dialectNames } from './dialects/index.ts';

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/, 'expected a name of letters, digits and . _ : / -');
const microUsd = z.int().min(0).max(1_000_000_000_000);
const atMs = (mostMs: number) => z.int().min(10).max(mostMs);

/** Only TLS leaves the machine: the key goes along with every call. */
const baseUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.search !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname));
}, 'expected an address that begins with https:// (http:// only for loopback), without user, query and fragment');

const keySchema = z.union([z.strictObject({ env: z.string().regex(/^[A-Z_][A-Z0-9_]*$/) }), z.strictObject({ file: z.string().min(1) })]);

const providerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('openai'), baseUrl, key: keySchema }),
  z.strictObject({ kind: z.literal('openai-compatible'), baseUrl, key: keySchema.optional() }),
  z.strictObject({ kind: z.literal('anthropic'), baseUrl, key: keySchema }),
  z.strictObject({ kind: z.literal('simulated') }),
]);

const priceSchema = z.strictObject({
  inputMicroUsd: microUsd,
  cachedInputMicroUsd: microUsd.optional(),
  outputMicroUsd: microUsd,
});

const modelSchema = z.strictObject({
  provider: name,
  /** As the provider calls it. */
  name: z.string().min(1).max(200),
  /** The APIs it is good for, where that is not all that its provider speaks. */
  dialects: z.array(z.enum(dialectNames)).min(1).optional(),
  /** Micro-dollars for a million tokens. */
  price: priceSchema.optional(),
  /** What it writes at most where the caller sets no limit. */
  mostOutputTokens: z.int().min(0).max(10_000_000),
});

const limitsSchema = z.strictObject({
  /** From the call to the first event of a stream. */
  firstEventMs: atMs(3_600_000).default(60_000),
  /** From one event of a stream to the next. */
  idleMs: atMs(3_600_000).default(60_000),
  /** From the call to the end of the answer. */
  answerMs: atMs(86_400_000).default(600_000),
  answerBytes: z.int().min(1_000).max(1_000_000_000).default(33_554_432),
  /** How long the same model is waited for where no other is left; what a provider's Retry-After exceeds is not waited for. */
  retryWaitMs: z.int().min(0).max(600_000).default(5_000),
});

const fileSchema = z.strictObject({
  version: z.literal(1),
  providers: z.record(name, providerSchema),
  models: z.record(name, modelSchema),
  classes: z.record(name, z.array(name).min(1).max(20)).default({}),
  allowUnknownPrices: z.boolean().default(false),
  limits: limitsSchema.prefault({}),
  breaker: breakerRuleSchema.prefault({}),
});

/** The models file as it was checked. */
export type ModelsFile = z.output<typeof fileSchema>;
/** {@link providerSchema} */
export type Provider = z.output<typeof providerSchema>;
/** Where a provider's key is found. */
export type KeySource = z.output<typeof keySchema>;
/** How long, how much. */
export type ModelLimits = z.output<typeof limitsSchema>;

/** A model that can be called. */
export interface ModelTarget extends z.output<typeof modelSchema> {
  /** Its name in the file. */
  readonly id: string;
}

const spoken: Readonly<Record<Provider['kind'], readonly DialectName[]>> = {
  openai: ['chat-completions', 'responses', 'embeddings'],
  'openai-compatible': ['chat-completions', 'embeddings'],
  anthropic: ['messages'],
  simulated: dialectNames,
};

/** Reads a models file. @throws HiveError CONFIGURATION_INVALID with every fault's JSON pointer */
export function parseModelsFile(text: string): ModelsFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid([{ path: '', message: `it is not JSON: ${String(cause)}` }]);
  }
  const { data, error } = fileSchema.safeParse(value);
  if (data === undefined) throw invalid(error.issues.map(({ path, message }) => ({ path: pointer(path), message })));
  const faults = faultsIn(data);
  if (faults.length > 0) throw invalid(faults);
  return data;
}

const pointer = (path: readonly PropertyKey[]): string => path.map((part) => `/${String(part).replaceAll('/', '~1')}`).join('');

const invalid = (issues: readonly Issue[]): HiveError =>
  new HiveError('CONFIGURATION_INVALID', `HIVE_MODELS: ${issues.map(({ path, message }) => `${path}: ${message}`).join('; ')}`, { issues });

/** What names something that is not there, or two things at once. */
function faultsIn({ providers, models, classes }: ModelsFile): Issue[] {
  const faults: Issue[] = [];
  const fault = (path: readonly string[], message: string) => void faults.push({ path: pointer(path), message });
  for (const [id, { provider, dialects = [] }] of Object.entries(models)) {
    const kind = providers[provider]?.kind;
    if (kind === undefined) fault(['models', id, 'provider'], `there is no provider "${provider}"`);
    else if (dialects.some((each) => !spoken[kind].includes(each)))
      fault(['models', id, 'dialects'], `a provider of kind "${kind}" speaks ${spoken[kind].join(', ')}`);
  }
  for (const [id, members] of Object.entries(classes)) {
    if (models[id] !== undefined) fault(['classes', id], 'a model has this name, too');
    for (const member of members) if (models[member] === undefined) fault(['classes', id], `there is no model "${member}"`);
  }
  return faults;
}

/**
 * The models that may answer, in the order in which they are asked.
 *
 * @throws HiveError MODEL_UNKNOWN, MODEL_DIALECT_MISSING, MODEL_PRICE_UNKNOWN
 */
export function candidatesFor(file: ModelsFile, asked: string, dialect: DialectName): readonly ModelTarget[] {
  // A name such as "constructor" is in no file.
  const members = Object.hasOwn(file.classes, asked) ? (file.classes[asked] ?? []) : Object.hasOwn(file.models, asked) ? [asked] : [];
  if (members.length === 0) throw new HiveError('MODEL_UNKNOWN', `there is no model and no class "${asked}"`);
  const targets = [...new Set(members)].flatMap((id) => {
    const model = file.models[id];
    return model === undefined ? [] : [{ ...model, id }];
  });
  const fluent = targets.filter(({ provider, dialects }) => {
    const kind = file.providers[provider]?.kind;
    return kind !== undefined && (dialects ?? spoken[kind]).includes(dialect);
  });
  if (fluent.length === 0) throw new HiveError('MODEL_DIALECT_MISSING', `no model of "${asked}" is reached by ${dialect}`);
  const priced = fluent.filter(({ price }) => price !== undefined || file.allowUnknownPrices);
  if (priced.length === 0) throw new HiveError('MODEL_PRICE_UNKNOWN', `what "${asked}" costs is not known`);
  return priced;
}
