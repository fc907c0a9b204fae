import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, VisiblePath } from '../../sandbox/process/index.ts';

/**
 * A checkout of its own is a clone that borrows the objects of the repository (`--shared`), read only. Not `git worktree`: that
 * writes into the repository itself, and whoever may commit in one may change the hooks and branches of all. Every git command
 * runs in the sandbox, because what a repository or an agent configures would run with it.
 */
export interface Checkout {
  /** The agent's working tree. */
  readonly tree: string;
  /** What git is told besides a repository's own configuration. */
  readonly configFile: string;
}

/** What all commands of one checkout have in common. */
export type Frame = Pick<Command, 'environment' | 'limits'>;

const prepareScript = `set -eu
base=$(git -C "$1" rev-parse --verify --end-of-options "$2^{commit}")
git clone --quiet --shared --no-checkout -- "$1" tree
cd tree
git checkout --quiet --detach "$base"
cp .git/index ../index
printf '%s\\n' "$base"
cat .git/objects/info/alternates`;

// Another git directory than the agent's, which may be what the agent made of it; and the index from before, so that only what
// changed is read. Of a repository that the agent made in the tree, git would show a commit that is gone with the checkout.
const differenceScript = `set -eu
git init --quiet --bare ../out.git
printf '%s\\n' "$2" > ../out.git/objects/info/alternates
export GIT_DIR=../out.git GIT_WORK_TREE=. GIT_INDEX_FILE=../index
git add --all
if nested=$(git diff --cached --no-renames --diff-filter=AT --raw "$1" | grep '^:[0-7]* 160000 '); then
  printf 'a repository lies in the tree, and its files are in no diff:\\n%s\\n' "$nested" >&2
  exit 1
fi
git diff --cached --no-renames --numstat -z "$1"
printf '\\0'
git diff --cached --no-renames --no-ext-diff --no-textconv --no-color --binary --full-index "$1"`;

const configuration = `[safe]
	directory = *
[user]
	name = agent
	email = agent@localhost
[gc]
	auto = 0
[core]
	quotePath = true
`;

/** Makes room for a checkout in a new directory. */
export function layOut(directory: string): Checkout {
  const configFile = join(directory, 'gitconfig');
  writeFileSync(configFile, configuration, { mode: 0o644 });
  return { tree: join(directory, 'tree'), configFile };
}

/** Variables by which git asks nobody, and reads no configuration but ours. */
export const gitVariables = ({ configFile }: Checkout): Readonly<Record<string, string>> => ({
  GIT_CONFIG_GLOBAL: configFile,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
});

/** Clones into the directory, which becomes the command's own; prints the commit and where its objects are. */
export const prepareCommand = (
  frame: Frame,
  { directory, repository, ref }: { readonly directory: string; readonly repository: Reading; readonly ref: string },
): Command => ({
  ...shell(prepareScript, [repository.path, ref], frame),
  workingDirectory: directory,
  visiblePaths: [...repository.visiblePaths, { path: directory, access: 'write', isNew: true, isPrivate: true }],
  hiddenPaths: repository.hiddenPaths,
});

/** The repository, and what of it is to be seen. */
export interface Reading {
  readonly path: string;
  readonly visiblePaths: readonly VisiblePath[];
  readonly hiddenPaths: readonly string[];
}

/** Prints what changed in the tree since the commit. */
export const differenceCommand = (
  frame: Frame,
  {
    directory,
    tree,
    base,
    objects,
  }: { readonly directory: string; readonly tree: string; readonly base: string; readonly objects: string },
): Command => ({
  ...shell(differenceScript, [base, objects], frame),
  workingDirectory: tree,
  visiblePaths: [
    { path: objects, access: 'read' },
    { path: directory, access: 'write' },
  ],
  hiddenPaths: [],
});

const shell = (
  script: string,
  args: readonly string[],
  frame: Frame,
): Omit<Command, 'workingDirectory' | 'visiblePaths' | 'hiddenPaths'> => ({
  ...frame,
  file: '/bin/sh',
  args: ['-c', script, 'sh', ...args],
  stdin: '',
  network: false,
});
