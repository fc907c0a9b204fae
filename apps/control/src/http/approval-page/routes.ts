import { type ApprovalView, HiveError } from '@hivekeeper/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Link } from '../../records/links/index.ts';
import { answerFault, faultOf } from '../faults.ts';
import { type Html, pageHeaders, pageOf } from '../page.ts';
import { previewOf } from '../preview.ts';
import { answers, type App, noQuery, textAnswer } from '../route.ts';
import type { Services } from '../services.ts';
import { decisionFormSchema, parseForm } from './form.ts';
import { decidedPage, questionPage, refusalPage } from './page.ts';

const tags = ['approvals'];
const form = 'application/x-www-form-urlencoded';

/** The address of a link's page. */
export const linkPath = (link: string): string => `/approve/${link}`;

/**
 * The page behind a signed link: GET shows what is to be decided and changes nothing, since mail scanners follow links; POST
 * decides. The link is all the authority there is, and so also what keeps other sites from posting.
 */
export function addApprovalPage(app: App, services: Services): void {
  const schema = {
    tags,
    params: z.strictObject({ link: z.string().max(200).describe('`lnk_….<secret>`') }),
    querystring: noQuery,
    response: answers({ 200: textAnswer('text/html', 'A page for people; errors are pages too, unless JSON is asked for') }),
  };
  const options = {
    config: { access: 'open' },
    errorHandler: (error: unknown, request: FastifyRequest, reply: FastifyReply) => refuse(error, { request, reply, services }),
  } as const;
  void app.register(async (plain) => {
    const scope = plain.withTypeProvider<ZodTypeProvider>();
    scope.addContentTypeParser(form, { parseAs: 'buffer' }, async (_request: unknown, body: Buffer | string) =>
      parseForm(Buffer.from(body)),
    );
    scope.get(linkPath(':link'), { ...options, schema: { ...schema, summary: 'What a link asks to decide' } }, async (request, reply) =>
      send(reply, questionPage(await questionOf(services, await services.links.open(request.params.link)))),
    );
    scope.post(
      linkPath(':link'),
      {
        ...options,
        schema: { ...schema, summary: 'Decide by a link, once', consumes: [form, 'application/json'], body: decisionFormSchema },
      },
      async (request, reply) =>
        send(reply, decidedPage(await decide(services, await services.links.open(request.params.link), request.body))),
    );
  });
}

/** The approval, where it may be decided by this link now. */
async function questionOf(services: Services, link: Link): Promise<ApprovalView> {
  const { tenantId, approvalId, inputSha256, createdBy } = link;
  await services.orders.mayDecide({ tenantId, approvalId, inputSha256, by: deciderOf(link), subject: createdBy });
  return previewOf(services.redaction, await approvalOf(services, link));
}

async function decide(
  services: Services,
  link: Link,
  { decision, name, notes }: z.infer<typeof decisionFormSchema>,
): Promise<ApprovalView> {
  const { tenantId, approvalId, inputSha256, createdBy } = link;
  await services.orders.decideApproval({
    tenantId,
    approvalId,
    inputSha256,
    approved: decision === 'APPROVED',
    by: deciderOf(link, name?.trim()),
    subject: createdBy,
    notes: notes?.trim() === '' ? undefined : notes,
    isOneTime: true,
  });
  return approvalOf(services, link);
}

async function approvalOf({ runStore }: Services, { tenantId, approvalId }: Link): Promise<ApprovalView> {
  const approval = await runStore.approval(tenantId, approvalId);
  if (approval === undefined) throw new HiveError('NOT_FOUND', 'the approval is gone');
  return approval;
}

/** A typed name is a claim; whose link it was is known. */
function deciderOf({ createdBy }: Link, name = ''): string {
  const link = `link:${createdBy.replace(/^key:/, '')}`;
  return name === '' ? link : `${name} via ${link}`;
}

const send = (reply: FastifyReply, body: Html): FastifyReply => reply.headers(pageHeaders).send(pageOf('Approval · Hivekeeper', body));

function refuse(
  error: unknown,
  { request, reply, services }: { readonly request: FastifyRequest; readonly reply: FastifyReply; readonly services: Services },
): FastifyReply {
  const fault = faultOf(error);
  // People get a page; what is our fault is written down, and told as everywhere.
  if (fault.entry.httpStatus >= 500 || request.headers.accept?.includes('application/json') === true)
    return answerFault(error, reply, services.log);
  return reply
    .code(fault.entry.httpStatus)
    .headers(pageHeaders)
    .send(pageOf('Approval · Hivekeeper', refusalPage(fault)));
}
