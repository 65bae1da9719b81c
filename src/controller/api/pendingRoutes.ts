/**
 * Owns the routes of boxes that nobody named: those that wait, approving and denying them, and claim codes.
 */
import { z } from 'zod';
import { ClaimCode } from '../../model/assignment.ts';
import { BranchboxError } from '../../model/errors.ts';
import { GatewayId } from '../../model/ids.ts';
import { InventoryEntry, OpenClaim, PendingBox } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Params = z.object({ serial: InventoryEntry.shape.serial });
/** Needed only where more than one key came with that serial. */
const Key = z.union([z.string().regex(/^[0-9a-f]{8,64}$/), ClaimCode], {
  error: 'a claim code such as ABCD-EFGH-JKLM, or the first 8 digits or more of a fingerprint',
});
const Approval = z.strictObject({ gateway: GatewayId.optional(), key: Key.optional() });
const Denial = z.strictObject({ key: Key.optional() });
const NewClaim = z.strictObject({ code: ClaimCode, gateway: GatewayId });
const Claimed = z.strictObject({
  code: z.string(),
  gateway: GatewayId,
  /** The box was waiting and may enrol now. */
  serial: z.string().optional(),
  /** The box was not seen yet; until then it may come. */
  endsAtMs: z.number().optional(),
});

export function registerPendingRoutes(api: Api, { store, pending, clock }: ApiContext): void {
  api.get(
    '/pending',
    {
      schema: {
        operationId: 'listPending',
        summary: 'Boxes that fit a rule and wait for an approval; what is `unproven` anybody can say',
        response: { 200: z.array(PendingBox), ...ERROR_RESPONSES },
      },
    },
    async () => [...(await store.pending.list())],
  );
  api.post(
    '/pending/:serial/approve',
    {
      schema: {
        operationId: 'approvePending',
        summary:
          'Lets a box in, at a named gateway or at the place of its rule, by the key that it came with',
        params: Params,
        body: Approval,
        response: { 200: InventoryEntry, ...ERROR_RESPONSES },
      },
    },
    async (request) => pending.approve(request.params.serial, { ...request.body, actor: ADMIN }),
  );
  api.post(
    '/pending/:serial/deny',
    {
      schema: {
        operationId: 'denyPending',
        summary: 'Refuses the key that came with that serial; another key is another box',
        params: Params,
        body: Denial,
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      await pending.deny(request.params.serial, { ...request.body, actor: ADMIN });
      return reply.code(204).send();
    },
  );
  api.delete(
    '/pending/:serial',
    {
      schema: {
        operationId: 'forgetPending',
        summary: 'Forgets a box that waits or was denied; when it comes again, rules decide anew',
        params: Params,
        querystring: Denial,
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      await pending.forget(request.params.serial, { ...request.query, actor: ADMIN });
      return reply.code(204).send();
    },
  );
  api.get(
    '/claims',
    {
      schema: {
        operationId: 'listClaims',
        summary: 'Claim codes whose boxes did not come yet',
        response: { 200: z.array(OpenClaim), ...ERROR_RESPONSES },
      },
    },
    async () => {
      const nowMs = clock.nowMs();
      return (await store.claims.list()).filter(({ endsAtMs }) => endsAtMs > nowMs);
    },
  );
  api.post(
    '/claims',
    {
      schema: {
        operationId: 'claimBox',
        summary: 'Lets in the box with that code on its label or page, now or when it comes',
        body: NewClaim,
        response: { 201: Claimed, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { code, gateway } = request.body;
      const done = await pending.claim(code, gateway, ADMIN);
      const told = 'serial' in done ? { serial: done.serial } : { endsAtMs: done.endsAtMs };
      return reply.code(201).send({ code, gateway, ...told });
    },
  );
  api.delete(
    '/claims/:code',
    {
      schema: {
        operationId: 'removeClaim',
        summary: 'Takes a claim back whose box did not come yet',
        params: z.object({ code: ClaimCode }),
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { code } = request.params;
      if (!(await store.claims.remove(code))) {
        throw new BranchboxError('controller/not-found', {
          message: `nobody claimed ${code}`,
          mend: 'GET /api/v1/claims lists what was claimed',
        });
      }
      const audit = { atMs: clock.nowMs(), actor: ADMIN, action: 'claim-removed', subject: code, detail: '' };
      await store.records.audit(audit);
      return reply.code(204).send();
    },
  );
}
