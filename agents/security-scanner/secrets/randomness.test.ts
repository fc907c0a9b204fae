import { describe, expect, it } from 'vitest';
import { entropyOf, isName, looksRandom } from './randomness.ts';

it.each([
  ['aaaa', 0],
  ['abab', 1],
  ['abcd', 2],
])('measures the entropy of %s as %d bits', (value, bits) => expect(entropyOf(value)).toBeCloseTo(bits));

describe('looksRandom', () => {
  it.each(['q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo0QwI', 'Zk3+x9Qm/7Lr0dUe1Xo2nVqJcT3kWm9sYpB8hGf4iZaQ=='])('takes %s for drawn', (value) =>
    expect(looksRandom(value)).toBe(true),
  );
  it.each([
    'quickBrownFoxJumpsOverTheLazyDogBy1984AndVexedWizards',
    'Emit_a_UTF8_Byte_Order_Mark_in_the_Beginning_of_Output_Files_6022',
    '0123456789abcdef0123456789abcdef01234567',
  ])('takes %s for written', (value) => expect(looksRandom(value)).toBe(false));
});

describe('isName', () => {
  it.each(['x-request-token-v2', 'app.token.name', '/run/secrets/token2', './token2', 'https://host/a9'])('takes %s for a name', (value) =>
    expect(isName(value)).toBe(true),
  );
  it.each(['Kx7-mandolin-Q2', '9f8a7b6c5d'])('does not take %s for a name', (value) => expect(isName(value)).toBe(false));
});
