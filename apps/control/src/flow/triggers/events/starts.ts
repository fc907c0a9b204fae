import { declaredEventsOf, type EventTrigger, HiveError, type Issue, type JsonObject, type WorkflowDefinition } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import type { StoredWorkflow, WorkflowRegistry } from '../../../records/registry/index.ts';
import type { Expressions } from '../../runs/index.ts';
import type { Triggers } from '../triggers.ts';
import type { StoredEvent } from './event-store.ts';
import { matchesPattern } from './pattern.ts';

/** What {@link EventStarts} needs. */
export interface EventStartsOptions {
  readonly workflows: WorkflowRegistry;
  readonly triggers: Triggers;
  readonly evaluate: Expressions['evaluate'];
  readonly log: Log;
}

/** Where runs of an event are found again by its id. */
const route = 'event';

/** Starts the runs that an event means, each once: the key of a run is the event's id and the workflow's. */
export class EventStarts {
  readonly #options: EventStartsOptions;

  constructor(options: EventStartsOptions) {
    this.#options = options;
  }

  /** The active workflows whose triggers mean the event. */
  async meant(event: Omit<StoredEvent, 'id' | 'receivedAtMs' | 'publishedBy'>): Promise<readonly StoredWorkflow[]> {
    const active = await this.#options.workflows.active(event.tenantId);
    return active.filter(({ definition, name }) =>
      declaredEventsOf(definition.trigger).some((trigger) => this.#means(trigger, event, name)),
    );
  }

  /**
   * Starts them, each for itself; repeat it where one failed, it starts nothing twice.
   * @throws HiveError DATABASE_UNAVAILABLE, and whatever else may pass
   */
  async start(event: StoredEvent): Promise<void> {
    const failed: unknown[] = [];
    for (const { id, name } of await this.meant(event))
      await this.#options.triggers
        .fire({
          tenantId: event.tenantId,
          workflow: { id },
          context: contextOf(event),
          kind: `event:${event.type}`,
          by: event.publishedBy,
          idempotency: { route, key: `${event.id} ${id}` },
        })
        .catch((error: unknown) => {
          // What is terminal, waiting makes neither better nor worse.
          if (!HiveError.is(error) || error.entry.consequence !== 'terminal') failed.push(error);
          else this.#options.log.warn({ err: error, eventId: event.id, workflow: name }, 'an event could not start a run');
        });
    if (failed.length > 0) throw failed[0];
  }

  #means({ pattern, when }: EventTrigger, event: Parameters<EventStarts['meant']>[0], workflow: string): boolean {
    const { type, subject, key, source, payload } = event;
    if (![type, subject].some((text) => text !== undefined && matchesPattern(pattern, text))) return false;
    if (when === undefined) return true;
    const scope = { event: payload, type, subject: subject ?? null, key: key ?? null, source: source ?? null };
    try {
      return this.#options.evaluate(when, scope) === true;
    } catch (error) {
      this.#options.log.warn(
        { err: error, type, workflow },
        'the condition of a trigger cannot be judged; the event does not count for it',
      );
      return false;
    }
  }
}

/** What the run is given. `event` is the payload, as CommandCenter's workflows expect it. */
function contextOf({ id, type, subject, key, source, payload, receivedAtMs }: StoredEvent): JsonObject {
  return {
    event: payload,
    eventId: id,
    type,
    timestamp: new Date(receivedAtMs).toISOString(),
    ...(subject !== undefined && { subject }),
    ...(key !== undefined && { key }),
    ...(source !== undefined && { source }),
  };
}

/** What is wrong with the conditions of a workflow's triggers, each with its place in the workflow. */
export function eventIssuesOf({ trigger }: Pick<WorkflowDefinition, 'trigger'>, parse: Expressions['parse']): Issue[] {
  const isList = Array.isArray((trigger as JsonObject | undefined)?.['event']);
  return declaredEventsOf(trigger).flatMap(({ when }, index) => {
    const message = when === undefined ? undefined : parse(when);
    return message === undefined ? [] : [{ path: `/trigger/event${isList ? `/${index}` : ''}/when`, message }];
  });
}
