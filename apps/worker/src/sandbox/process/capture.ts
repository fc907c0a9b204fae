import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';

const tailBytes = 4_096;
const maxLineLength = 16_384;

/** Keeps what a stream gives up to `limitBytes`; beyond that calls `onOverflow` once and keeps draining. */
export function captureOutput(stream: Readable, limitBytes: number, onOverflow: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let keptBytes = 0;
  let hasOverflowed = false;
  stream.on('error', ignore).on('data', (chunk: Buffer) => {
    const kept = chunk.subarray(0, limitBytes - keptBytes);
    if (kept.length > 0) chunks.push(kept);
    keptBytes += kept.length;
    if (kept.length === chunk.length || hasOverflowed) return;
    hasOverflowed = true;
    onOverflow();
  });
  return () => Buffer.concat(chunks);
}

/** Hands on each line as it comes, and keeps the last 4 KB. An endless line costs no more memory than a long one. */
export function captureLines(stream: Readable, onLine: (line: string) => void = ignore): () => string {
  const decoder = new StringDecoder('utf8');
  let tail: Buffer = Buffer.alloc(0);
  let pending = '';
  const take = (text: string) => {
    const [first = '', ...rest] = text.split('\n');
    pending = (pending + first).slice(0, maxLineLength);
    for (const next of rest) {
      onLine(pending);
      pending = next.slice(0, maxLineLength);
    }
  };
  stream
    .on('error', ignore)
    .on('data', (chunk: Buffer) => {
      tail = Buffer.concat([tail, chunk.subarray(-tailBytes)]).subarray(-tailBytes);
      take(decoder.write(chunk));
    })
    .on('end', () => {
      take(decoder.end());
      if (pending !== '') onLine(pending);
    });
  return () => tail.toString('utf8');
}

function ignore(): void {
  // A pipe whose other end was killed: how the command ended says it all.
}
