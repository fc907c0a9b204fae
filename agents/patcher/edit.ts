import { HiveError } from '@hivekeeper/contract';
import { applyEdits, modify, parse as parseWithComments, type ParseError } from 'jsonc-parser';
import semver from 'semver';
import type { Changes, PatchInput } from './input.ts';

/** The new text of a file; null where it is to be deleted. */
export type NewText = string | null;
/** Gives the new text from the old one; null stands for a file that is not there. Pure. */
export type Edit = (text: string | null) => NewText;

/** The file that the operation changes, relative to the target, and how. */
export interface PlannedEdit {
  readonly file: string;
  readonly edit: Edit;
}

/**
 * What the operation does, decided without looking at the disk.
 *
 * @throws INVALID_REQUEST where `changes` lacks what the operation needs.
 */
export function planEdit({ operation, file, changes }: Pick<PatchInput, 'operation' | 'file' | 'changes'>): PlannedEdit {
  switch (operation) {
    case 'update-deps':
    case 'dependency-update':
      return { file: file ?? 'package.json', edit: dependencyEdit(changes) };
    case 'security-patch':
      if (changes.version !== undefined) return { file: file ?? 'package.json', edit: dependencyEdit(changes) };
      return { file: needed(file, 'file', operation), edit: replaceEdit(changes, operation) };
    case 'simple-refactor':
      return { file: needed(file, 'file', operation), edit: replaceEdit(changes, operation) };
    case 'config-update':
      return configEdit(needed(file, 'file', operation), changes);
  }
}

const dependencySections = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;

/** Sets the range in every section that has the dependency, and leaves each other byte of the file alone. */
function dependencyEdit(changes: Changes): Edit {
  const name = needed(changes.oldValue, 'changes.oldValue (the name of the dependency)', 'a dependency update');
  const range = needed(changes.version, 'changes.version (the new range)', 'a dependency update');
  if (semver.validRange(range) === null)
    throw new HiveError('INVALID_REQUEST', `changes.version ${JSON.stringify(range)} is not a semantic version range`);
  return (text) => {
    const manifest = parseJsonObject(existing(text));
    const sections = dependencySections.filter((section) => isObject(manifest[section]) && Object.hasOwn(manifest[section], name));
    if (sections.length === 0) throw new HiveError('NOT_FOUND', `${JSON.stringify(name)} is not among the dependencies`);
    return sections.reduce((edited, section) => applyEdits(edited, modify(edited, [section, name], range, {})), existing(text));
  };
}

function replaceEdit(changes: Changes, operation: string): Edit {
  const oldValue = needed(changes.oldValue, 'changes.oldValue', operation);
  const newValue = needed(changes.newValue, 'changes.newValue', operation);
  return (text) => {
    if (!existing(text).includes(oldValue)) throw new HiveError('NOT_FOUND', 'changes.oldValue does not occur in the file');
    // A function, because "$&" in a replacement text would be an instruction.
    return existing(text).replaceAll(oldValue, () => newValue);
  };
}

function configEdit(file: string, changes: Changes): PlannedEdit {
  const { content } = changes;
  const replace = content === undefined ? replaceEdit(changes, 'config-update without changes.content') : undefined;
  const edit: Edit = replace ?? ((text) => content ?? remove(text));
  return { file, edit: (text) => sound(file, text, edit(text)) };
}

/** Refuses to write JSON that cannot be read; comments are allowed where the file is not plain JSON already. */
function sound(file: string, before: string | null, after: NewText): NewText {
  if (!file.toLowerCase().endsWith('.json') || after === null) return after;
  if (before !== null && isJson(before) ? isJson(after) : isJsonWithComments(after)) return after;
  throw new HiveError('INVALID_REQUEST', `${file} would no longer be JSON`);
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

function isJsonWithComments(text: string): boolean {
  const errors: ParseError[] = [];
  parseWithComments(text, errors, { allowTrailingComma: true });
  return errors.length === 0;
}

function parseJsonObject(text: string): Record<string, unknown> {
  if (!isJson(text)) throw new HiveError('INVALID_REQUEST', 'the file is not JSON');
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new HiveError('INVALID_REQUEST', 'the file is not a JSON object');
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function existing(text: string | null): string {
  if (text === null) throw new HiveError('NOT_FOUND', 'the file does not exist');
  return text;
}

const remove = (text: string | null): null => (existing(text), null);

function needed(value: string | undefined, field: string, operation: string): string {
  if (value === undefined) throw new HiveError('INVALID_REQUEST', `${operation} needs ${field}`);
  return value;
}
