import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { openRoom, type Place, type Room, temporaryBase } from '../room/index.ts';

/** Where the sockets of this worker's agents lie. */
export interface SocketRoom extends Omit<Room, 'makePlace'> {
  /** Makes an empty directory for one agent; it is the agent's alone. */
  makePlace(): SocketPlace;
}

/** One agent's directory, and the socket in it. */
export interface SocketPlace extends Place {
  readonly path: string;
}

/** The kernel takes 107 bytes for a socket's path; the rest is for our own names. */
const longestBaseBytes = 60;

/** Makes the room of this process, and removes those of killed ones. */
export function openSocketRoom(base: string = baseDirectory()): SocketRoom {
  const room = openRoom('sockets', base);
  return {
    ...room,
    makePlace: () => {
      const place = room.makePlace();
      return { ...place, path: join(place.directory, 'hive.sock') };
    },
  };
}

const baseDirectory = (): string => {
  const own = temporaryBase();
  return Buffer.byteLength(own) <= longestBaseBytes ? own : realpathSync('/tmp');
};
