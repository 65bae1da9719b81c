/**
 * Owns what the controller remembers of each thing: its fields, and what each of them means.
 * Does not own what is asked of the store (store.ts) nor how any of it is kept (sqlite*.ts).
 */
import { z } from 'zod';
import { BoxClaims, ClaimCode } from '../../model/assignment.ts';
import { Fleet } from '../../model/fleet.ts';
import { GatewayId, Serial } from '../../model/ids.ts';
import type { GatewayEvent, GatewayStatus } from '../../model/status.ts';
import { Allocations } from '../allocations.ts';

export const FleetRevision = z.strictObject({
  revision: z.int(),
  fleet: Fleet,
  allocations: Allocations,
});
export type FleetRevision = z.output<typeof FleetRevision>;

/** Which box has which place. */
export const HeldPlace = z.object({ id: GatewayId, serial: Serial.optional() });
export type HeldPlace = z.output<typeof HeldPlace>;

/** What is known of a fleet also where it breaks a rule that came after it was stored. */
export interface FleetOutline {
  readonly revision: number;
  readonly places: readonly HeldPlace[];
  readonly allocations: Allocations;
}

/** A stored fleet that nobody held against a rule. */
export interface FleetDocument {
  readonly revision: number;
  readonly document: Readonly<Record<string, unknown>>;
}

/** The last order by which a box was sent to another controller; it goes when the box enrols here again. */
export const InventoryMove = z.strictObject({
  /** Host of the other controller, and what the box is there. */
  to: z.string().max(253),
  becomes: GatewayId,
  generation: z.int().min(1),
  orderedAtMs: z.number(),
  /** When the box itself said that it is there, by the certificate it had of here. */
  movedAtMs: z.number().optional(),
});
export type InventoryMove = z.output<typeof InventoryMove>;

export const InventoryEntry = z.strictObject({
  serial: Serial,
  model: z.string().max(64).optional(),
  /** false: EST answers 202 until an operator approves, or an installer's code does. */
  approved: z.boolean(),
  /** A code that an installer types approves this box. */
  twoFactor: z.boolean(),
  /** The IDevID bound at first enrolment; another key under this serial is quarantined. */
  identity: z
    .strictObject({
      issuerKeyId: z.string(),
      spkiSha256: z.string(),
      boundAtMs: z.number(),
    })
    .optional(),
  state: z.enum(['expected', 'enrolled', 'revoked']),
  /** Keys that claimed this serial and are not the one bound. */
  quarantined: z.array(
    z.strictObject({ spkiSha256: z.string(), firstSeenMs: z.number(), reason: z.string() }),
  ),
  /** The last progress this box reported (RFC 8572 7.3). */
  progress: z.strictObject({ type: z.string(), message: z.string().optional(), atMs: z.number() }).optional(),
  /** No fleet file gave it its place: by what it was let in. Its place outlives a fleet file that does not tell serials. */
  joined: z.enum(['rule', 'operator', 'claim']).optional(),
  move: InventoryMove.optional(),
  createdAtMs: z.number(),
});
export type InventoryEntry = z.output<typeof InventoryEntry>;

/** A box that is in no inventory and fits a rule, by the key that it came with. */
export const PendingBox = z.strictObject({
  /** Of its certificate, as the key: proved. */
  serial: InventoryEntry.shape.serial,
  spkiSha256: z.string(),
  issuerKeyId: z.string(),
  /** Short form of the key, as on the box's page and label. */
  claimCode: z.string(),
  state: z.enum(['waiting', 'denied']),
  /** Where it sent from when it was seen last. */
  address: z.string().optional(),
  /** What it says of itself: anybody can say it. */
  unproven: z.strictObject({ 'hw-model': z.string().optional(), ...BoxClaims.shape }),
  /** The rule that fitted last. */
  rule: z.string().optional(),
  firstSeenMs: z.number(),
  lastSeenMs: z.number(),
});
export type PendingBox = z.output<typeof PendingBox>;

/** A claim code that an operator typed before its box was seen. */
export const OpenClaim = z.strictObject({ code: ClaimCode, gatewayId: GatewayId, endsAtMs: z.number() });
export type OpenClaim = z.output<typeof OpenClaim>;

/** A code for one box, as a digest. */
export interface ActivationRecord {
  readonly serial: string;
  /** Base64, as both digests. */
  readonly salt: string;
  /** scrypt of the code. */
  readonly codeDigest: string;
  /** Of the link that it goes with; undefined where it is enough by itself. */
  readonly linkSha256: string | undefined;
  readonly endsAtMs: number;
}

/** What one key tried of the code that there is for its serial. */
export const ActivationTries = z.object({
  spkiSha256: z.string(),
  taken: z.int(),
  lastAtMs: z.number(),
});
export type ActivationTries = z.output<typeof ActivationTries>;

/** One try: what was tried, and how many this key has left; or why there is none for it. */
export type TakenTry =
  | { readonly kind: 'taken'; readonly record: ActivationRecord; readonly triesLeft: number }
  | { readonly kind: 'no-code' | 'used-up' | 'too-many-keys' };

export interface DesiredRecord {
  readonly gatewayId: string;
  readonly epoch: number;
  readonly generation: number;
  /** SHA-256 of the signed message as it is sent: what a box names as committed. */
  readonly digest: string;
  /** SHA-256 of the spec alone: equal means nothing to publish. */
  readonly specDigest: string;
  readonly jws: string;
}

export interface StatusRecord {
  readonly gatewayId: string;
  readonly receivedAtMs: number;
  readonly status: GatewayStatus;
}

/** Of a list that grows at its end and loses its oldest: what is between the two, both excluded. */
export interface Page {
  readonly limit: number;
  /** The first after it; absent: the last. */
  readonly after?: number | undefined;
  readonly before?: number | undefined;
}

export interface StoredEvent extends GatewayEvent {
  /** Grows with each that is stored. */
  readonly number: number;
  readonly gatewayId: string;
  readonly receivedAtMs: number;
}

export interface IssuedCertificate {
  readonly fingerprintSha256: string;
  readonly number: string;
  readonly kind: 'ldevid' | 'server' | 'client';
  readonly subject: string;
  readonly serial: string | undefined;
  readonly notAfterMs: number;
  readonly pem: string;
}

export interface LdevidRecord {
  readonly fingerprintSha256: string;
  readonly number: string;
  readonly gatewayId: string;
  readonly serial: string | undefined;
  readonly revokedAtMs: number | undefined;
}

export interface AuditEntry {
  readonly atMs: number;
  /** `admin`, `gateway:<id>`, `serial:<serial>`, `controller`. */
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
}

export interface ReportedKey {
  readonly gatewayId: string;
  readonly serial: string;
  readonly publicKey: string;
}
