/**
 * The CommandCenter-compatible API under `/api`. It translates at the edge and owns no logic.
 *
 * agents.ts, workflows.ts, runs.ts, approvals.ts  the routes
 * schemas.ts     bodies and answers as that API has them
 * definition.ts  its nodes → our workflow definition      · rows.ts  our records → its rows
 * faults.ts      errors in its shape · renamed.ts, refusal.ts  the texts and statuses its clients look for
 */
import type { App } from '../route.ts';
import type { Services } from '../services.ts';
import { addFacadeAgents } from './agents.ts';
import { addFacadeApprovals } from './approvals.ts';
import { addFacadeRuns } from './runs.ts';
import { addFacadeWorkflows } from './workflows.ts';

export { type FacadeErrorBody, facadeErrorBodyOf, isFacadeAddress } from './faults.ts';
export { facadeComponents } from './schemas.ts';

/** Adds every route under `/api` but the probe. */
export function addFacade(app: App, services: Services): void {
  for (const add of [addFacadeAgents, addFacadeWorkflows, addFacadeRuns, addFacadeApprovals]) add(app, services);
}
