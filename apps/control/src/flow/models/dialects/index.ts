/** The APIs in which models are called, one file each; dialect.ts says what an API is to the gateway. */
import { chatCompletions } from './chat-completions.ts';
import type { Dialect, DialectName } from './dialect.ts';
import { embeddings } from './embeddings.ts';
import { messages } from './messages.ts';
import { responses } from './responses.ts';

export { type Dialect, type DialectName, dialectNames, type ReadEvent, type StreamEvent } from './dialect.ts';
export { objectIn } from './json.ts';

/** Each by its name. */
export const dialects: Readonly<Record<DialectName, Dialect>> = { 'chat-completions': chatCompletions, messages, responses, embeddings };
