/**
 * Owns the routes of a box's second factor: making a code with its link, seeing how it stands, taking it back.
 * Nobody mails anything here: what to send is in the answer, and how it is sent is the operator's.
 */
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { ACTIVATION_LIMITS } from '../activation.ts';
import { InventoryEntry } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const { codeLength, validS, tries } = ACTIVATION_LIMITS;
const Params = z.object({ serial: InventoryEntry.shape.serial });
const Wanted = z.strictObject({
  /** Characters. */
  codeLength: z.int().min(codeLength.min).max(codeLength.max).default(codeLength.usual),
  validS: z.int().min(validS.min).max(validS.max).default(validS.usual),
  /** false: the code is enough by itself, for where there is no mail. */
  link: z.boolean().default(true),
});
const Made = z.strictObject({
  serial: z.string(),
  /** Told once, and kept by nobody. */
  code: z.string(),
  link: z.string().optional(),
  endsAtMs: z.number(),
  tries: z.int(),
  /** To be mailed; undefined where there is no link. */
  mail: z.string().optional(),
  /** To be told by another way. */
  message: z.string(),
});
const Standing = z.strictObject({
  endsAtMs: z.number(),
  withLink: z.boolean(),
  /** More than one: another box says to have this serial. */
  keysTried: z.int(),
  /** Of all keys. */
  triesTaken: z.int(),
  /** The latest first. */
  keys: z.array(
    z.strictObject({
      spkiSha256: z.string(),
      triesTaken: z.int(),
      triesLeft: z.int(),
      lastTryAtMs: z.number(),
    }),
  ),
});

export function registerActivationRoutes(api: Api, { store, activations, clock }: ApiContext): void {
  const audit = (action: string, serial: string, detail = ''): Promise<void> =>
    store.records.audit({ atMs: clock.nowMs(), actor: ADMIN, action, subject: serial, detail });

  api.post(
    '/inventory/:serial/activation',
    {
      schema: {
        operationId: 'makeActivation',
        summary:
          'Makes the code, and the link, by which an installer activates a box; replaces an earlier one',
        params: Params,
        body: Wanted.prefault({}),
        response: { 201: Made, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { serial } = request.params;
      const entry = await store.inventory.get(serial);
      if (entry === undefined) throw unknown(serial);
      const patch = `PATCH /api/v1/inventory/${serial}`;
      if (!entry.twoFactor) {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} needs no second factor`,
          mend: `first ${patch} with { "twoFactor": true, "approved": false } or \`branchbox fleet inventory ${serial} --two-factor --change\``,
        });
      }
      if (entry.state === 'revoked') {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} is revoked: a code would change nothing`,
          mend: `trust it again first: branchbox fleet release ${serial}`,
        });
      }
      if (entry.approved) {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} is approved already: a code would change nothing`,
          mend: `${patch} with { "approved": false } asks for a code at its next enrolment`,
        });
      }
      const { link: withLink, ...wanted } = request.body;
      const made = await activations.make(serial, { ...wanted, withLink });
      const ends = new Date(made.endsAtMs).toISOString();
      await audit('activation-made', serial, `until ${ends}${withLink ? '' : ', without a link'}`);
      const code = made.code.reveal();
      return reply
        .code(201)
        .header('Cache-Control', 'no-store')
        .send({
          serial,
          code,
          endsAtMs: made.endsAtMs,
          tries: tries.perKey,
          ...(made.link === undefined ? {} : { link: made.link, mail: mailText(serial, made.link, ends) }),
          message: messageText(serial, code, ends),
        });
    },
  );
  api.get(
    '/inventory/:serial/activation',
    {
      schema: {
        operationId: 'getActivation',
        summary: 'How the code of a box stands, without the code: how many keys tried it, and how often',
        params: Params,
        response: { 200: Standing, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const known = await store.activations.get(request.params.serial);
      if (known === undefined) throw none(request.params.serial);
      const { serial, endsAtMs, linkSha256 } = known;
      const keys = await store.activations.tries(serial);
      return {
        endsAtMs,
        withLink: linkSha256 !== undefined,
        keysTried: keys.length,
        triesTaken: keys.reduce((sum, { taken }) => sum + taken, 0),
        keys: keys.map(({ spkiSha256, taken, lastAtMs }) => ({
          spkiSha256,
          triesTaken: taken,
          triesLeft: tries.perKey - taken,
          lastTryAtMs: lastAtMs,
        })),
      };
    },
  );
  api.delete(
    '/inventory/:serial/activation',
    {
      schema: {
        operationId: 'removeActivation',
        summary: 'Takes the code of a box back',
        params: Params,
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { serial } = request.params;
      if (!(await store.activations.remove(serial))) throw none(serial);
      await audit('activation-removed', serial);
      return reply.code(204).send();
    },
  );
}

/** Pure. */
const mailText = (serial: string, link: string, ends: string): string =>
  [
    `To activate the Branchbox with the serial ${serial}:`,
    '1. Plug the WAN cable in, and connect a phone (by a USB adapter) or a laptop to a LAN port of the box.',
    `2. On that device open ${link}`,
    '3. Type the code that you are told by another way.',
    `The link is valid until ${ends} and only on the box itself.`,
  ].join('\n');

/** Pure. */
const messageText = (serial: string, code: string, ends: string): string =>
  `Code for the Branchbox ${serial}: ${code} (until ${ends}, ${tries.perKey} tries)`;

const unknown = (serial: string): BranchboxError =>
  new BranchboxError('controller/not-found', {
    message: `the inventory does not hold ${serial}`,
    mend: 'make it known with POST /api/v1/inventory or `branchbox fleet inventory SERIAL --two-factor`',
  });

const none = (serial: string): BranchboxError =>
  new BranchboxError('controller/not-found', {
    message: `there is no code for ${serial}`,
    mend: `make one with POST /api/v1/inventory/${serial}/activation or \`branchbox fleet activation ${serial}\``,
  });
