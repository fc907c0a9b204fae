import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type AgentSpec, HiveError } from '@hivekeeper/contract';
import { findProgram } from '../../sandbox/process/index.ts';
import { isBelow, isProtected, type Workspace } from '../process/index.ts';

/** A program to start, and the directory besides /usr that it needs to see. */
export interface Program {
  readonly file: string;
  readonly paths: readonly string[];
}

/** The canonical directory of a coding agent's manifest. @throws HiveError AGENT_NOT_RUNNABLE */
export function directoryOf({ name, directory }: AgentSpec, workspace: Workspace): string {
  const own = directory === undefined ? undefined : real(directory);
  if (own === undefined) throw notRunnable(`${directory} of agent ${name} is not present on this worker`);
  if (isProtected(own, workspace)) throw notRunnable(`${own} of ${name} is kept from agents`);
  return own;
}

/** Finds a program: beside the manifest, or on the PATH. @throws HiveError AGENT_NOT_RUNNABLE */
export function programOf(program: string, directory: string, searchPath: string): Program {
  const isOwn = program.startsWith('./');
  const found = isOwn ? resolve(directory, program) : findProgram(program, searchPath);
  const file = found === undefined ? undefined : real(found);
  if (file === undefined) throw notRunnable(`there is no ${program} ${isOwn ? `in ${directory}` : 'on this worker’s PATH'}`);
  if (isOwn && !isBelow(file, directory)) throw notRunnable(`${resolve(directory, program)} lies outside of ${directory}`);
  return { file, paths: isBelow(file, '/usr') ? [] : [dirname(file)] };
}

const notRunnable = (message: string) => new HiveError('AGENT_NOT_RUNNABLE', message);

function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
