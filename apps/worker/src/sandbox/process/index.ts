/** Runs one command at a time, each confined as tightly as the machine allows. The map is in README.md. */
export {
  type Command,
  type CommandEnd,
  type CommandHooks,
  type CommandLimits,
  type CommandResult,
  type Runner,
  type VisiblePath,
} from './command.ts';
export { type ProbeOptions, type SandboxProbe, type SandboxReport, findProgram, probeSandbox } from './probe.ts';
export { type PlainRunnerOptions, newPlainRunner } from './plain.ts';
export { giveToAgent } from './visible.ts';
export { closeInheritedDescriptors } from './descriptors.ts';
