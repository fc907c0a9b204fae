/**
 * Watching runs: each watcher is told every notice once and in order, whichever control plane commits it.
 *
 * notices.ts       numbers, and what a journal tells    · watched-run.ts  one run, told without gap or repeat
 * notice-board.ts  who watches what; reads the journal  · peers.ts        what control planes tell each other
 */
export { NoticeBoard } from './notice-board.ts';
export type { NumberedNotice, RunNews } from './notices.ts';
export { type PeerLine, type PeerMessage, Peers } from './peers.ts';
export type { Watcher } from './watched-run.ts';
