import type { ApprovalView } from '@hivekeeper/contract';
import type { Redaction } from '../records/redaction/index.ts';

/** An approval as people are shown it. The hash is still that of the whole input. */
export const previewOf = (redaction: Redaction, { input, message, ...approval }: ApprovalView): ApprovalView => ({
  ...approval,
  input: redaction.value(input),
  ...(message !== undefined && { message: redaction.text(message) }),
});
