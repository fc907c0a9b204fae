import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from, to } from 'pg-copy-streams';
import { translated } from '../connection-errors.ts';

/** Rows that COPY … TO STDOUT gives. The connection is busy until they are read. Its errors are {@link translated}. */
export function copyOut(client: pg.Client, statement: string): Readable {
  const stream = heard(client.query(to(statement)));
  return Readable.from(withErrorsOfQueries(stream), { objectMode: false });
}

/** Feeds COPY … FROM STDIN, and gives the number of rows it took. Its errors are {@link translated}, those of `rows` unchanged. */
export async function copyIn(client: pg.Client, statement: string, rows: AsyncIterable<Buffer>): Promise<number> {
  const stream = heard(client.query(from(statement)));
  await pipeline(rows, stream).catch((error: unknown) => {
    throw translated(error);
  });
  return stream.rowCount;
}

/** One that was given up still hears that its connection was closed, when nobody listens any more: that must not end the process. */
const heard = <Stream extends NodeJS.EventEmitter>(stream: Stream): Stream => stream.on('error', () => {});

async function* withErrorsOfQueries(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  try {
    yield* stream;
  } catch (error) {
    throw translated(error);
  }
}
