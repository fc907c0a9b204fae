import type { JsonObject, JsonValue } from '@hivekeeper/contract';
import { redacted, withoutForms } from './secret-forms.ts';
import { isSecretName, isSecretNumberName } from './secret-names.ts';

// Shorter ones are words of other texts, and taking them out there would hide what is to be decided.
const minLength = 6;

/**
 * Takes secrets out of what people are shown before they decide: by the name of a field, by the form of a value, and by the
 * values themselves, wherever they stand. It shows; what is stored, handed to agents and hashed stays whole.
 */
export class Redaction {
  readonly #declared: () => readonly string[];

  /** @param declared values that are known to be secret, asked for each time */
  constructor(declared: () => readonly string[]) {
    this.#declared = declared;
  }

  /** The value, with `[redacted]` where a secret stood. */
  value(value: JsonValue): JsonValue {
    const found = new Set(this.#declared());
    collect(value, found);
    return shown(value, replacerOf(found));
  }

  /** A text by itself. */
  text(text: string): string {
    return replacerOf(new Set(this.#declared()))(text);
  }
}

type Replace = (text: string) => string;

/** A secret may stand as it is, in an address, or in base64. */
function replacerOf(secrets: ReadonlySet<string>): Replace {
  const needles = [...secrets]
    .filter((secret) => secret.length >= minLength)
    .flatMap((secret) => [
      secret,
      encodeURIComponent(secret.toWellFormed()),
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      Buffer.from(secret).toString('base64url'),
    ]);
  // The longest first: one may hold another.
  const ordered = [...new Set(needles)].sort((a, b) => b.length - a.length);
  return (text) => withoutForms(ordered.reduce((left, needle) => left.replaceAll(needle, redacted), text));
}

/** Gathers the texts that stand where a name says that a secret does. */
function collect(value: JsonValue, found: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const { item, isSecret } of partsOf(value)) {
    if (isSecret) collectTexts(item, found);
    else collect(item, found);
  }
}

function collectTexts(value: JsonValue, found: Set<string>): void {
  if (typeof value === 'string') found.add(value);
  else if (typeof value === 'object' && value !== null) for (const { item } of partsOf(value)) collectTexts(item, found);
}

function shown(value: JsonValue, replace: Replace): JsonValue {
  if (typeof value === 'string') return replace(value);
  if (typeof value !== 'object' || value === null) return value;
  const parts = partsOf(value).map(({ key, item, isSecret }) => [replace(key), isSecret ? redacted : shown(item, replace)] as const);
  return Array.isArray(value) ? parts.map(([, item]) => item) : (Object.fromEntries(parts) as JsonObject);
}

interface Part {
  readonly key: string;
  readonly item: JsonValue;
  readonly isSecret: boolean;
}

function partsOf(value: readonly JsonValue[] | JsonObject): Part[] {
  if (isList(value)) {
    return value.map((item, index) => ({ key: '', item, isSecret: typeof item === 'string' && isSecretOption(value[index - 1]) }));
  }
  // { name: 'API_KEY', value: '…' } is a field too.
  const named = value['name'] ?? value['key'] ?? value['header'];
  return Object.entries(value).map(([key, item]) => ({
    key,
    item,
    isSecret: hides(key, item) || (key === 'value' && typeof named === 'string' && hides(named, item)),
  }));
}

const isList = (value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] => Array.isArray(value);

/** `--password` before its value, in a list of arguments. */
const isSecretOption = (before: JsonValue | undefined): boolean =>
  typeof before === 'string' && /^--?[\w-]{1,100}$/.test(before) && isSecretName(before);

/** What is empty, absent or a yes or no hides nothing. */
function hides(name: string, item: JsonValue): boolean {
  if (item === null || item === '' || typeof item === 'boolean') return false;
  return typeof item === 'number' ? isSecretNumberName(name) : isSecretName(name);
}
