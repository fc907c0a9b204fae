/**
 * One task of an agent, in nine steps: judge.ts 1 to 6 · perform.ts 7, which turn.ts decides · conclude.ts 8 and 9, and
 * route.ts where a router chooses who goes on · progress.ts what is told meanwhile. model.ts, tool-box.ts and router.ts are
 * what it needs of the world.
 */
export { addresseeOf, type Answer, conclude, errorAnswer, repeated, responseAnswer } from './conclude.ts';
export { type InputMessage, judge, type Verdict } from './judge.ts';
export type { Message, Model, Question, Reply, ToolCall, ToolDescription, ToolOutput } from './model.ts';
export { type Means, perform } from './perform.ts';
export { progressOf } from './progress.ts';
export { type Neighbour, routed, routingRequest, type Standing } from './route.ts';
export { type Router, type RoutingDecision, type RoutingRequest, routingDecisionSchema } from './router.ts';
export type { ToolBox } from './tool-box.ts';
export type { TaskEnd } from './turn.ts';
