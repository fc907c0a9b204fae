import { entry, type ErrorEntry } from './error-entry.ts';

/** What goes wrong between callers, the model gateway and the providers behind it: part of the catalogue. */
export const modelErrors = {
  MODELS_NOT_CONFIGURED: entry(404, ['caller', 'pause'], {
    cause: 'This control plane has no model gateway: no file of models was given to it.',
    remedy: 'Write a models file and name it in HIVE_MODELS; docs/models.md shows one.',
  }),
  MODEL_UNKNOWN: entry(404, ['caller', 'terminal'], {
    cause: 'No model and no class of models has this name.',
    remedy: 'Ask for a class or a model that the models file names.',
  }),
  MODEL_NOT_DECLARED: entry(403, ['agent', 'terminal'], {
    cause: 'The agent called a model that its manifest does not name.',
    remedy: 'Add the class or model to `models` in agent.json, and register the agent again.',
  }),
  MODEL_DIALECT_MISSING: entry(422, ['caller', 'terminal'], {
    cause: 'No model of the class is reached by this API: calls are passed on in the API they were made in, never translated.',
    remedy: 'Call the route that the models speak, or add a model that speaks this one to the class.',
  }),
  MODEL_PRICE_UNKNOWN: entry(422, ['caller', 'pause'], {
    cause: 'What the model costs is not known, so that nobody could say what the call may spend.',
    remedy: 'Give the model a price in the models file, or set allowUnknownPrices there.',
  }),
  BUDGET_EXHAUSTED: entry(402, ['caller', 'pause'], {
    cause: 'What this may spend at most is more than a budget has left.',
    remedy: 'Wait until its window turns, or raise it with an admin key: PUT /v1/budgets.',
  }),
  MODEL_UNAVAILABLE: entry(503, ['platform', 'retry'], {
    cause: 'Every model that could answer is resting: its breaker is open, or its provider said when to come back.',
    remedy: 'Try again later, or add a model of another provider to the class.',
  }),
  MODEL_TIMED_OUT: entry(504, ['platform', 'retry'], {
    cause: 'No model answered in the time it has.',
    remedy: 'Look at the provider’s status; the limits of the models file say how long it has.',
  }),
  MODEL_STREAM_CUT: entry(502, ['platform', 'retry'], {
    cause: 'The model’s answer broke off in the middle; what was received is not all of it.',
    remedy: 'Throw away what was received, and ask again.',
  }),
} as const satisfies Record<string, ErrorEntry>;
