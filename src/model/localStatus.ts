/**
 * Owns the read-outs of a box's own agent: what `branchbox status|plan|explain|check --json` print.
 * Does not own what is told to the controller (status.ts).
 */
import { z } from 'zod';
import { KERNEL_FEATURES } from './facts.ts';
import { KeyHolding } from './keyHolder.ts';
import { GatewayStatus, GatewayEvent } from './status.ts';
import { GatewayId, InterfaceName, PortLabel } from './ids.ts';

/** What the agent costs and how its lanes stand. */
export const AgentStatus = z.strictObject({
  version: z.string(),
  upMs: z.number(),
  residentBytes: z.number(),
  /** Of one processor, over the last minute or two. */
  cpuPercent: z.number(),
  childProcessesPerMinute: z.number(),
  /** What the box is held to. */
  source: z.enum(['factory', 'committed', 'trial']),
  lanes: z.array(
    z.strictObject({
      name: z.string(),
      /** undefined before its first run ended. */
      converged: z.boolean().optional(),
      items: z.int(),
      blocked: z.int(),
      failed: z.int(),
      durationMs: z.number(),
    }),
  ),
});
export type AgentStatus = z.output<typeof AgentStatus>;

export const LinkStatus = z.strictObject({
  connected: z.boolean(),
  /** By which it goes now. */
  uplink: InterfaceName.optional(),
  sinceMs: z.number(),
  lastProblem: z.string().optional(),
});

/** How far a modem is on its way to a connection; all but the first three want a person. */
export const MODEM_REASONS = [
  'connected',
  'starting',
  'connecting',
  'absent',
  'failed',
  'sim-missing',
  'sim-error',
  'pin-wanted',
  'pin-refused',
  'pin-last-try',
  'puk-wanted',
  'locked',
  'searching',
  'registration-denied',
  'apn-refused',
  'user-refused',
  'dial-failed',
  'no-ipv4',
  'unsupported',
  'no-manager',
] as const;
export type ModemReason = (typeof MODEM_REASONS)[number];

/** Stays on the box, but for the sentence, which is the controller's condition. */
export const ModemStatus = z.strictObject({
  port: PortLabel,
  ifname: InterfaceName.optional(),
  reason: z.enum(MODEM_REASONS),
  sentence: z.string(),
  /** As the network calls itself. */
  operator: z.string().optional(),
  technology: z.string().optional(),
  signalPercent: z.number().optional(),
  roaming: z.literal(true).optional(),
  imei: z.string().optional(),
  iccid: z.string().optional(),
});
export type ModemStatus = z.output<typeof ModemStatus>;

/** As told to the controller, and more; it is there before the box has an owner. */
export const LocalStatus = GatewayStatus.omit({ gatewayId: true, sequence: true, sentAtMs: true }).extend({
  gatewayId: GatewayId.optional(),
  readAtMs: z.number(),
  controller: LinkStatus,
  /** Those that are wanted; absent where none is. */
  modems: z.array(ModemStatus).optional(),
  agent: AgentStatus,
});
export type LocalStatus = z.output<typeof LocalStatus>;

export const LocalPlan = z.strictObject({
  /** Nothing to do in any lane, and all that is wanted was seen. */
  empty: z.boolean(),
  steps: z.array(
    z.strictObject({
      op: z.enum(['create', 'modify', 'delete']),
      id: z.string(),
      because: z.string().optional(),
    }),
  ),
  blocked: z.array(z.strictObject({ id: z.string(), missing: z.array(z.string()) })),
  /** Kinds of items that cannot be looked at now: what is to be done about them is not known. */
  unseen: z.array(z.strictObject({ kind: z.string(), reason: z.string() })),
  text: z.string(),
});
export type LocalPlan = z.output<typeof LocalPlan>;

export const Explanation = z.strictObject({
  id: z.string(),
  state: z.enum([
    'as-wanted',
    'different',
    'absent',
    'blocked',
    'failed',
    'not-wanted',
    // Of others.
    'there',
    // Of others, needed here and not there.
    'missing',
    'unknown',
  ]),
  sentence: z.string(),
  owner: z.enum(['us', 'external']).optional(),
  wanted: z.unknown().optional(),
  observed: z.unknown().optional(),
  needs: z.array(
    z.strictObject({
      id: z.string(),
      state: z.enum(['there', 'missing', 'blocked']),
      sentence: z.string().optional(),
    }),
  ),
  neededBy: z.array(z.string()),
  lastError: z.string().optional(),
  /** How to find the id that was meant. */
  mend: z.string().optional(),
  /** Of an unknown one: a few ids that are known and may have been meant, the nearest first. */
  nearest: z.array(z.string()).optional(),
});
export type Explanation = z.output<typeof Explanation>;

/** Every item that can be explained, by id. */
export const ItemList = z.strictObject({
  items: z.array(Explanation.pick({ id: true, state: true, sentence: true })),
});
export type ItemList = z.output<typeof ItemList>;

export const LocalCheck = z.strictObject({
  kernelRelease: z.string(),
  features: z.array(
    z.strictObject({
      feature: z.enum(KERNEL_FEATURES),
      present: z.boolean(),
      /** What it is for, and what happens without. */
      use: z.string(),
    }),
  ),
  tools: z.array(z.strictObject({ tool: z.string(), present: z.boolean(), use: z.string() })),
  engine: z.strictObject({ name: z.string(), version: z.string() }).optional(),
  /** What holds the keys that are made from now on, and why. */
  keys: KeyHolding,
});
export type LocalCheck = z.output<typeof LocalCheck>;

export const LocalEvents = z.strictObject({ events: z.array(GatewayEvent) });
export type LocalEvents = z.output<typeof LocalEvents>;
