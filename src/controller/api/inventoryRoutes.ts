/**
 * Owns the routes of the inventory: which factory identities may become boxes of this fleet.
 */
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { InventoryEntry } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Serial = InventoryEntry.shape.serial;
const Params = z.object({ serial: Serial });
const NewEntry = z.strictObject({
  serial: Serial,
  model: z.string().min(1).max(64).optional(),
  /** false: the box gets its certificate only after an operator approved it, or an installer's code. */
  approved: z.boolean().optional(),
  /** An installer's code approves it; `approved` is then false unless it says otherwise. */
  twoFactor: z.boolean().default(false),
});
const Change = z.strictObject({
  approved: z.boolean().optional(),
  twoFactor: z.boolean().optional(),
  revoked: z.boolean().optional(),
});

export function registerInventoryRoutes(
  api: Api,
  { store, fleet, onInventoryChange, clock }: ApiContext,
): void {
  const find = async (serial: string): Promise<InventoryEntry> => {
    const entry = await store.inventory.get(serial);
    if (entry !== undefined) return entry;
    throw new BranchboxError('controller/not-found', {
      message: `the inventory does not hold ${serial}`,
      mend: 'make it known with POST /api/v1/inventory or `branchbox fleet inventory SERIAL`',
    });
  };
  const audit = (action: string, serial: string, detail = '') =>
    store.records.audit({ atMs: clock.nowMs(), actor: ADMIN, action, subject: serial, detail });

  api.get(
    '/inventory',
    {
      schema: {
        operationId: 'listInventory',
        summary: 'All known boxes',
        response: { 200: z.array(InventoryEntry), ...ERROR_RESPONSES },
      },
    },
    async () => [...(await store.inventory.list())],
  );
  api.post(
    '/inventory',
    {
      schema: {
        operationId: 'addToInventory',
        summary: 'Makes a serial known',
        body: NewEntry,
        response: { 201: InventoryEntry, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { serial, model, twoFactor, approved = !twoFactor } = request.body;
      if (!(await store.inventory.add(serial, { model, approved, twoFactor }, clock.nowMs()))) {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} is known already`,
          mend: `change it with PATCH /api/v1/inventory/${serial}`,
        });
      }
      // It may have waited by a rule, unknown; one that is not approved waits on, by the key that it came with.
      if (approved) await store.pending.remove(serial);
      await audit('inventory-added', serial);
      return reply.code(201).send(await find(serial));
    },
  );
  api.get(
    '/inventory/:serial',
    {
      schema: {
        operationId: 'getInventoryEntry',
        summary: 'One box',
        params: Params,
        response: { 200: InventoryEntry, ...ERROR_RESPONSES },
      },
    },
    async (request) => find(request.params.serial),
  );
  api.patch(
    '/inventory/:serial',
    {
      schema: {
        operationId: 'changeInventoryEntry',
        summary: 'Approves a box, asks for a second factor, or revokes it',
        params: Params,
        body: Change,
        response: { 200: InventoryEntry, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const { serial } = request.params;
      const { approved, twoFactor, revoked } = request.body;
      const entry = await find(serial);
      // Nothing is asked for, so nothing is looked at anew and nobody did anything.
      if (Object.keys(request.body).length === 0) return entry;
      const state = revoked === true ? 'revoked' : entry.identity === undefined ? 'expected' : 'enrolled';
      await store.inventory.update(serial, {
        ...(approved === undefined ? {} : { approved }),
        ...(twoFactor === undefined ? {} : { twoFactor }),
        ...(revoked === undefined ? {} : { state }),
      });
      // One that has no place yet waits on for that, and nothing else would list it.
      const isPlaced = async () => (await fleet.places()).some((held) => held.serial === serial);
      if (approved === true && (await isPlaced())) await store.pending.remove(serial);
      onInventoryChange();
      await audit('inventory-changed', serial, JSON.stringify(request.body));
      return find(serial);
    },
  );
  api.delete(
    '/inventory/:serial',
    {
      schema: {
        operationId: 'removeFromInventory',
        summary: 'Forgets a box and the identity bound to its serial',
        params: Params,
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      await find(request.params.serial);
      await store.inventory.remove(request.params.serial);
      onInventoryChange();
      await audit('inventory-removed', request.params.serial);
      return reply.code(204).send();
    },
  );
}
