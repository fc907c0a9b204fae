/**
 * One task of an agent, in nine steps: judge.ts 1 to 6 · perform.ts 7, which turn.ts decides · conclude.ts 8 and 9 ·
 * progress.ts what is told meanwhile. model.ts and tool-box.ts are what it needs of the world.
 */
export { type Answer, conclude, errorAnswer } from './conclude.ts';
export { type InputMessage, judge, type Verdict } from './judge.ts';
export type { Message, Model, Question, Reply, ToolCall, ToolDescription, ToolOutput } from './model.ts';
export { type Means, perform } from './perform.ts';
export { progressOf } from './progress.ts';
export type { ToolBox } from './tool-box.ts';
export type { TaskEnd } from './turn.ts';
