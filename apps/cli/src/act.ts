import type { Session } from './session.ts';

/** What a command ends with: its exit status, 0 where it says none. */
export type Ending = number | void;

/** Makes a command's action: it gets a session, the options, and the arguments as they were typed. */
export type Act = <Options>(
  work: (session: Session, options: Options, ...args: string[]) => Promise<Ending>,
) => (...received: unknown[]) => Promise<void>;

/** For options that may be repeated. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
