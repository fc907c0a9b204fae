/** Directories of agents at work, of which none stays behind: also not after `kill -9`. */
export { openRoom, type Place, type Room, temporaryBase } from './room.ts';
