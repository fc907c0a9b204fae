/** The file of an agent: agent-file.ts what may stand in it · read.ts how it is read, and what is said of faults. */
export { type AgentFile, type LlmSection, type McpEntry, type RoutingSection, type ScriptRule, type ToolEntry } from './agent-file.ts';
export { readAgentFile } from './read.ts';
