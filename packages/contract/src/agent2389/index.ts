/**
 * The words of the 2389 agent protocol (agents over MQTT). Types, schemas and pure rules.
 *
 * topics.ts  who listens where · envelope.ts  tasks, and how they are read · messages.ts  answers, status, progress
 */
export {
  type ProgressCategory,
  agentOfInputTopic,
  canonicalTopic,
  conversationIdSchema,
  conversationTopic,
  everyStatusFilter,
  inputTopic,
  mqttAgentIdSchema,
  progressTopic,
  statusTopic,
} from './topics.ts';
export {
  type Addressee,
  type Envelope,
  type EnvelopeV1,
  type EnvelopeV2,
  type NextTask,
  type ReadEnvelope,
  type WorkflowContext,
  envelopeV1Schema,
  envelopeV2Schema,
  isV2,
  maxNestedTasks,
  maxRememberedSteps,
  nestedTasks,
  readEnvelope,
  taskKeyOf,
  workflowContextSchema,
  workflowStepSchema,
} from './envelope.ts';
export {
  type AgentStatus,
  type ErrorMessage,
  type ProgressMessage,
  type ResponseMessage,
  type TaskErrorCode,
  agentStatusSchema,
  answerMessageSchema,
  errorMessageSchema,
  progressMessageSchema,
  responseMessageSchema,
  safeErrorText,
  taskErrorCodeSchema,
} from './messages.ts';
