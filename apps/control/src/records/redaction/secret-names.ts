const secretWord = /(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credential|authorization|cookie|apikey|accesskey|privatekey)$/;
const secretKey = /(?:api|access|private|secret|auth|signing|encryption|master|shared|client|account)key(?:id)?s?$/;

/**
 * True for what people call a secret: `dbPassword`, `API_KEY`, `x-auth-token`, `secrets`. Prefers to hide too much: any word of
 * the name counts.
 */
export function isSecretName(name: string): boolean {
  const words = name
    .slice(0, 200)
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .map((word) => word.replace(/\d+$/, '').replace(/(?<!s)s$/, ''));
  return words.includes('auth') || words.some((word) => secretWord.test(word)) || secretKey.test(words.join(''));
}

/** True where the name is that of a number that is secret itself; of `maxTokens` it is not. */
export const isSecretNumberName = (name: string): boolean => isSecretName(name) && !/token/i.test(name);
