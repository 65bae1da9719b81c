/**
 * Owns what a box says of itself: to its controller (retained status, events) and to its own page and CLI.
 * Does not own how health is judged (telemetry/health).
 */
import { z } from 'zod';
import { Ipv4, Ipv4Interface, Ipv6, Ipv6Interface } from './addresses.ts';
import { BootstrapStanding } from './bootstrap.ts';
import { Facts } from './facts.ts';
import { ToldFirmware } from './firmware.ts';
import {
  AppName,
  GatewayId,
  InterfaceName,
  PathId,
  PortLabel,
  SegmentId,
  TenantName,
  UplinkName,
} from './ids.ts';
import { shownWord } from './shownWord.ts';

export const STATUS_SCHEMA = 1;

/** Codes of conditions, and the sentence's subject. docs/status.md lists them. */
export const HEALTH_CODES = [
  'quarantined',
  'moving',
  'move-returned',
  'controller-unreachable',
  'uplink-down',
  'path-down',
  'no-path',
  'clock-behind',
  'item-blocked',
  'item-failed',
  'desired-refused',
  'desired-rolled-back',
  'app-down',
  'engine-unreachable',
  'overlay-down',
  'events-dropped',
  'firmware-refused',
  'firmware-rolled-back',
  'data-plain',
  'data-full',
  'root-corrupted',
  'keys-beside-tpm',
  'process-crashed',
  'ssh-open',
  'modem',
] as const;

export const Condition = z.strictObject({
  code: shownWord(HEALTH_CODES),
  severity: z.enum(['info', 'warning', 'error']),
  /** What it is about: an uplink's name, a path's id, an item's id. */
  subject: z.string(),
  /** For a person: what, where, why, and what mends it. */
  sentence: z.string(),
  sinceMs: z.number(),
});
export type Condition = z.output<typeof Condition>;

export const UplinkStatus = z.strictObject({
  name: UplinkName,
  port: PortLabel,
  ifname: InterfaceName.optional(),
  carrier: z.boolean(),
  address: Ipv4Interface.optional(),
  gateway: Ipv4.optional(),
  address6: Ipv6Interface.optional(),
  gateway6: Ipv6.optional(),
  /** up: at least one of its paths is alive. */
  state: z.enum(['up', 'degraded', 'down']),
});
export const PathStatus = z.strictObject({
  id: PathId,
  uplink: UplinkName,
  peer: GatewayId,
  state: z.enum(['up', 'down']),
  /** Whether traffic to the peer's VTEP takes it now. */
  active: z.boolean(),
  preference: z.number(),
  /** Seconds since the last WireGuard handshake. */
  handshakeAgeS: z.number().optional(),
});
export const SegmentStatus = z.strictObject({
  id: SegmentId,
  tenant: TenantName,
  vni: z.number(),
  /** degraded: it carries traffic, but not that of every port it is to have. */
  state: z.enum(['up', 'degraded', 'down', 'blocked']),
  /** As wanted. */
  ports: z.array(PortLabel),
  /** Those of them that are not attached; undefined from a version that does not tell yet. */
  portsMissing: z.array(PortLabel).optional(),
  /** VTEPs of other sites that the segment reaches. */
  remoteVteps: z.array(Ipv4),
});
export const AppStatus = z.strictObject({
  name: AppName,
  tenant: TenantName,
  segment: SegmentId,
  address: Ipv4Interface,
  state: z.enum(['running', 'starting', 'stopped', 'failed', 'blocked']),
  restarts: z.number(),
  /** As wanted. While it is not on the box yet the old one runs on, and health says so. */
  image: z.string(),
});

export const GatewayStatus = z.strictObject({
  schema: z.literal(STATUS_SCHEMA),
  gatewayId: GatewayId,
  /** Grows by one for each status sent; starts again with bootId. */
  sequence: z.int(),
  sentAtMs: z.number(),
  /** What is committed; undefined before the first. */
  committed: z.strictObject({ epoch: z.int(), generation: z.int(), digest: z.string() }).optional(),
  /** What is on trial now. */
  trial: z
    .strictObject({ epoch: z.int(), generation: z.int(), digest: z.string(), endsAtMs: z.number() })
    .optional(),
  /** The last desired state that was not taken, and why. */
  refused: z
    .strictObject({
      digest: z.string(),
      epoch: z.int().optional(),
      generation: z.int().optional(),
      reason: shownWord(['malformed', 'stale', 'other-box', 'untrusted', 'rolled-back', 'not-yet']),
      problems: z.array(z.strictObject({ path: z.string(), message: z.string() })),
      /** When what the box holds was published again after it: since then there is nothing to mend. */
      overAtMs: z.number().optional(),
    })
    .optional(),
  health: z.strictObject({ state: z.enum(['ok', 'degraded', 'failed']), conditions: z.array(Condition) }),
  uplinks: z.array(UplinkStatus),
  paths: z.array(PathStatus),
  segments: z.array(SegmentStatus),
  apps: z.array(AppStatus),
  facts: Facts,
  /** undefined from a version that does not tell yet. */
  firmware: ToldFirmware.optional(),
  /** Where the identity process is; undefined from a version that does not tell yet, and until that process answered once. */
  bootstrap: BootstrapStanding.optional(),
});
export type GatewayStatus = z.output<typeof GatewayStatus>;

export const EVENT_MAX_CHARS = { subject: 200, sentence: 2000 } as const;

/** One thing that happened; kept in the outbox until the controller has it. */
export const GatewayEvent = z.strictObject({
  /** `<outbox>/<number>`, never used twice: lets the controller drop a repeat. */
  id: z.string().max(80),
  atMs: z.number(),
  kind: shownWord([
    'agent-started',
    'desired-received',
    'desired-refused',
    'desired-committed',
    'desired-rolled-back',
    'condition-raised',
    'condition-cleared',
    'path-changed',
    'app-changed',
    'bootstrap-state',
    'events-dropped',
    'firmware-refused',
    'firmware-trial',
    'firmware-committed',
    'firmware-rolled-back',
  ]),
  subject: z.string().max(EVENT_MAX_CHARS.subject),
  sentence: z.string().max(EVENT_MAX_CHARS.sentence),
});
export type GatewayEvent = z.output<typeof GatewayEvent>;
