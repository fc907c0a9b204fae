/** Shannon entropy in bits per character. */
export function entropyOf(value: string): number {
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - (count / value.length) * Math.log2(count / value.length), 0);
}

/**
 * True where a string looks drawn rather than written. Entropy alone takes long camelCase names for keys; in those the
 * kind of character changes about once in three, in base64 noise about twice in three.
 */
export function looksRandom(value: string): boolean {
  return entropyOf(value) >= 4.3 && /[a-z]/.test(value) && /[A-Z]/.test(value) && /\d.*\d/.test(value) && changesOfKind(value) >= 0.45;
}

function changesOfKind(value: string): number {
  const kinds = [...value.replaceAll(/[^a-z0-9]/gi, '')].map((character) =>
    /[a-z]/.test(character) ? 'lower' : /[A-Z]/.test(character) ? 'upper' : 'digit',
  );
  return kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length / value.length;
}

const standIn =
  /example|sample|dummy|placeholder|change[-_ ]?me|your[-_]|redacted|todo|<[^>]*>|\$\{|\$\(|\{\{|%\(|process\.env|environ|x{4}|\*{3}|\.{3}|abcdef|123456|0{6}/i;
const standInWord = /fake|mock|(^|[^a-z])(test|dev|demo|local|none|null|undefined|true|false)([^a-z]|$)/i;

/** True for what documentation and templates put where a secret goes. */
export const isPlaceholder = (value: string): boolean => standIn.test(value) || new Set(value).size <= 4;

/** As {@link isPlaceholder}, for values without a form of their own, where more words give a placeholder away. */
export const isPlaceholderPassword = (value: string): boolean => isPlaceholder(value) || standInWord.test(value);

/** True for names, paths and addresses: words joined by marks, `my-app-token-v2`. */
export const isName = (value: string): boolean =>
  /^[a-z]+([-_.:/@][a-z]*\d{0,2})*$/i.test(value) || /^(\/|\.{0,2}\/|[a-z]+:\/\/)/i.test(value);
