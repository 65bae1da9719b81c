/**
 * Owns the words of a move to another controller: what the next owner gives for it, and the record that the identity
 * process keeps and the agent follows. Does not own the order that begins one (mqtt.ts) nor what is done (bootstrap/migrate).
 *
 * The next owner's word is RFC 8572's onboarding information, signed as ever; in the place of the voucher, which says whose
 * a new box is, stands the order of the present owner, which pins the next one's domain CA.
 */
import { z } from 'zod';
import { MOVE_STAGES, MoveEnd, Owner, Pem } from './bootstrap.ts';
import { GatewayId, Serial } from './ids.ts';

/** How long a box may be on its way: an enrolment, a first desired state and its trial (reconcile/trial) are in it. */
export const MOVE_WITHIN_S = { min: 60, usual: 900, max: 3600 } as const;

/** Two CMS messages of some 2 KB each; what travels as base64 within an order stays below its cap. */
const Artefact = z
  .base64()
  .min(4)
  .max(8 * 1024);

export const nextOwnerShape = {
  /** The next owner's domain CA: what a voucher would pin. */
  domainAnchorPem: Pem.max(4 * 1024),
  /** RFC 8572 3.1 and 3.2, CMS in DER. */
  conveyedInformation: Artefact,
  ownerCertificate: Artefact,
};

/** As one controller writes it to a file and another reads it: the next owner wants this box. */
export const Invitation = z.strictObject({
  schema: z.literal(1),
  serial: Serial,
  /** What it will be there. */
  gatewayId: GatewayId,
  ...nextOwnerShape,
});
export type Invitation = z.output<typeof Invitation>;
export const INVITATION_MAX_BYTES = 32 * 1024;

export const Move = z.strictObject({
  stage: z.enum(MOVE_STAGES),
  /** Of the order; the agent's records of this move stand under it. */
  generation: z.int().min(1),
  orderedAtMs: z.number(),
  /** Back by itself then. */
  deadlineAtMs: z.number(),
  /** The next one. */
  owner: Owner,
});
export type Move = z.output<typeof Move>;

/** move.json: its stage is the one thing that decides, for both processes. */
export const MoveRecord = z.strictObject({
  schema: z.literal(1),
  /** The last order that was taken, by the SHA-256 of the domain CA that stood for it: none is taken twice. */
  generations: z.record(z.string().regex(/^[0-9a-f]{64}$/), z.int()),
  move: Move.optional(),
  last: MoveEnd.optional(),
});
export type MoveRecord = z.output<typeof MoveRecord>;

/** Of the identity directory. The certificate of the next owner stays here until it takes the place of the present one. */
export const MOVE_FILES = {
  record: 'move.json',
  key: 'move-ldevid.key',
  certificate: 'move-ldevid.crt',
} as const;
export const MOVE_RECORD_MAX_BYTES = 160 * 1024;

/** Of the agent's directory: what it records of desired states of the next owner. */
export const moveDirectory = (generation: number): string => `move-${generation}`;
export const isMoveDirectory = (name: string): boolean => /^move-\d{1,16}$/.test(name);

/** Of the identity process, to the agent that hands an order on. */
export const MoveAnswer = z.strictObject({ ok: z.boolean(), message: z.string().max(4000) });
export type MoveAnswer = z.output<typeof MoveAnswer>;
