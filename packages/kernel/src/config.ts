/** One variable a process reads: its environment name, its option, what it means, and how its text becomes a value. */
export interface Setting<T> {
  readonly variable: string;
  readonly option?: string;
  readonly description: string;
  /** As text, as a person would set it; absent means the setting may stay unset. */
  readonly defaultText?: string;
  /** @throws RangeError with what is wrong; the reader adds the variable's name. */
  readonly parse: (text: string) => T;
}

/** A table of settings. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;
/** The values of a table: `undefined` where unset and without default. */
export type SettingValues<S extends Settings> = {
  readonly [Name in keyof S]: S[Name] extends Setting<infer T> ? T | (S[Name] extends { defaultText: string } ? never : undefined) : never;
};

/** What was wrong with one variable. */
export interface SettingFault {
  readonly variable: string;
  /** Where the value came from: the option where one was given, else the variable. */
  readonly source: string;
  readonly message: string;
}

/** Reads a table: option before environment before default; an empty text counts as unset. Collects every fault. */
export function readSettings<S extends Settings>(
  settings: S,
  sources: {
    readonly options: Readonly<Record<string, string | undefined>>;
    readonly environment: Readonly<Record<string, string | undefined>>;
  },
): { readonly values: SettingValues<S>; readonly faults: readonly SettingFault[] } {
  const faults: SettingFault[] = [];
  const values = Object.entries(settings).map(([name, setting]) => {
    const text = [sources.options[name], sources.environment[setting.variable], setting.defaultText].find(
      (candidate) => candidate !== undefined && candidate !== '',
    );
    if (text === undefined) return [name, undefined];
    try {
      return [name, setting.parse(text)];
    } catch (error) {
      const source = text === sources.options[name] ? (setting.option ?? setting.variable) : setting.variable;
      faults.push({ variable: setting.variable, source, message: error instanceof Error ? error.message : String(error) });
      return [name, undefined];
    }
  });
  return { values: Object.freeze(Object.fromEntries(values)) as SettingValues<S>, faults };
}

/** Parsers for {@link Setting}. */
export const parseSetting = {
  text: (text: string): string => text,
  flag: (text: string): boolean => {
    if (text === 'true' || text === '1') return true;
    if (text === 'false' || text === '0') return false;
    throw new RangeError(`expected true or false, got "${text}"`);
  },
  integer:
    (least: number, most: number) =>
    (text: string): number => {
      const value = Number(text);
      if (!Number.isInteger(value) || value < least || value > most)
        throw new RangeError(`expected a whole number from ${least} to ${most}, got "${text}"`);
      return value;
    },
  oneOf:
    <Word extends string>(...words: readonly Word[]) =>
    (text: string): Word => {
      const word = words.find((candidate) => candidate === text);
      if (word === undefined) throw new RangeError(`expected one of ${words.join(', ')}, got "${text}"`);
      return word;
    },
};
