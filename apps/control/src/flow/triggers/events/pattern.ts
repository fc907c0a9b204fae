/** Whether the dotted text is one that the pattern means: `*` is one word, `>` is one and all that follow. */
export function matchesPattern(pattern: string, text: string): boolean {
  const [wanted, words] = [pattern.split('.'), text.split('.')];
  const isOpen = wanted.at(-1) === '>';
  const fixed = isOpen ? wanted.slice(0, -1) : wanted;
  if (isOpen ? words.length <= fixed.length : words.length !== fixed.length) return false;
  return fixed.every((word, index) => words[index] !== '' && (word === '*' || word === words[index]));
}
