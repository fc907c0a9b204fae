import { z } from 'zod';

/** Tokens of one call. `inputTokens` counts all of them, those from and into the provider's cache included. */
export interface Usage {
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
}

/** A count that can be believed. */
export const tokenCount = z.int().min(0).max(1_000_000_000);

// About as many characters as a token has in English; only where the provider says nothing.
const charactersPerToken = 4;
/** The fields in which the answers of all dialects carry what the model wrote. */
const written = /"(?:content|text|delta|arguments|partial_json|thinking|reasoning_content)"\s*:\s*"((?:[^"\\]|\\.)*)"/g;

/** How many characters a model wrote in this piece of an answer. */
export function writtenCharacters(json: string): number {
  let count = 0;
  for (const match of json.matchAll(written)) count += match[1]?.length ?? 0;
  return count;
}

/** What a call used, by the length of what was sent and received. */
export const estimatedUsage = (sentCharacters: number, receivedCharacters: number): Usage => ({
  inputTokens: Math.ceil(sentCharacters / charactersPerToken),
  cachedInputTokens: 0,
  outputTokens: Math.ceil(receivedCharacters / charactersPerToken),
});
