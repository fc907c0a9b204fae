import type { NodeWait } from '@hivekeeper/contract';
import type { NodeState, RunState, SlotState, Wait } from './state.ts';

/** What the node's own slots wait for, in their order; behind each that called another one, what that one waits for. */
export function waitsOf({ slots, approvals }: RunState, state: NodeState): NodeWait[] {
  if (state.phase === 'gated') return approvalWait(approvals, state.approval, 0);
  if (state.phase !== 'running') return [];
  const { firstSlot, slotCount } = state;
  return Array.from({ length: slotCount }, (_, slot) => {
    const waits: NodeWait[] = [];
    for (let slotAt: number | undefined = firstSlot + slot; slotAt !== undefined;) {
      const own: SlotState | undefined = slots[slotAt];
      if (own?.phase === 'backoff') waits.push({ kind: 'retry', slot, untilMs: own.dueAtMs });
      if (own?.phase !== 'suspended') break;
      const { wait }: { readonly wait: Wait } = own;
      waits.push(...(wait.kind === 'approval' ? approvalWait(approvals, wait.approval, slot) : [waitOf(wait, slot, slots)]));
      slotAt = wait.kind === 'agent' ? wait.slotAt : undefined;
    }
    return waits;
  }).flat();
}

function approvalWait(approvals: RunState['approvals'], approval: number, slot: number): NodeWait[] {
  const asked = approvals[approval];
  return asked === undefined ? [] : [{ kind: 'approval', slot, approvalId: asked.approvalId }];
}

function waitOf(wait: Exclude<Wait, { readonly kind: 'approval' }>, slot: number, slots: RunState['slots']): NodeWait {
  switch (wait.kind) {
    case 'timer':
      return { kind: 'timer', slot, untilMs: wait.dueAtMs };
    case 'signal':
      return { kind: 'signal', slot, name: wait.name, untilMs: wait.expiresAtMs, ...(wait.key !== undefined && { key: wait.key }) };
    case 'effect':
      return { kind: 'effect', slot, effectId: wait.effectId, tool: wait.tool };
    case 'agent': {
      const called = slots[wait.slotAt];
      return { kind: 'agent', slot, agent: (called !== undefined && 'task' in called ? called.task.instead?.agent : undefined) ?? '' };
    }
  }
}
