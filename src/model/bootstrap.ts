/**
 * Owns the words of bootstrap that box, controller and screen share: states, the journal, the owner record.
 * Does not own the protocol (bootstrap/*) nor the signed artefacts (pki/*).
 */
import { z } from 'zod';
import { DnsName, Port } from './addresses.ts';
import { GatewayId } from './ids.ts';
import { KeyHolding } from './keyHolder.ts';
import { shownWord } from './shownWord.ts';

/** In the order of a clean run; each is journalled before it is acted on. */
export const BOOTSTRAP_STATES = [
  'FACTORY',
  'LINK',
  'ADDR',
  'CLOCK_FLOOR',
  'DISCOVER',
  'PROVISIONAL',
  'OWNED',
  'ENROLLING',
  'LDEVID',
  'STRICT',
  'CONFIG_STAGED',
  'TRIAL',
  'OPERATIONAL',
  'RENEW',
  'RECOVER',
  'MIGRATE',
  'QUARANTINED',
  'WIPE',
] as const;
export type BootstrapState = (typeof BOOTSTRAP_STATES)[number];

/** For a person: what the state waits for, and what to do when it lasts. */
export const BOOTSTRAP_SENTENCES: Readonly<
  Record<BootstrapState, { readonly waitsFor: string; readonly mend: string }>
> = {
  FACTORY: { waitsFor: 'the start of bootstrap', mend: 'nothing to do' },
  LINK: { waitsFor: 'a cable on a WAN port', mend: 'plug in a WAN cable; its LED must light' },
  ADDR: { waitsFor: 'an address on a WAN port', mend: 'check that the provider gives addresses by DHCP' },
  CLOCK_FLOOR: { waitsFor: 'a lower bound of the time', mend: 'nothing to do' },
  DISCOVER: {
    waitsFor: 'the name of a bootstrap server',
    mend: 'ask the operator for a bootstrap stick; or check DHCP option 143, DNS (_sztp._tcp) or the built-in list',
  },
  PROVISIONAL: {
    waitsFor: 'a bootstrap server to answer with signed data',
    mend: "ask the operator whether the controller's inventory has this box, by its serial",
  },
  OWNED: { waitsFor: 'the enrolment server of its owner', mend: 'check that the controller is reachable' },
  ENROLLING: { waitsFor: 'its certificate', mend: 'an operator may have to approve this box' },
  LDEVID: {
    waitsFor: 'a connection under its own certificate',
    mend: 'check that the controller is reachable',
  },
  STRICT: { waitsFor: 'its first desired state', mend: 'describe this gateway in the fleet' },
  CONFIG_STAGED: { waitsFor: 'the trial to begin', mend: 'nothing to do' },
  TRIAL: {
    waitsFor: 'proof that the controller is still reachable',
    mend: 'nothing to do: the box goes back by itself',
  },
  OPERATIONAL: { waitsFor: 'nothing', mend: 'nothing to do' },
  RENEW: { waitsFor: 'a new certificate', mend: 'nothing to do' },
  RECOVER: {
    waitsFor: 'a new certificate in place of an expired one',
    mend: 'check that the controller is reachable',
  },
  MIGRATE: {
    waitsFor: 'the next controller: its certificate, then its first desired state',
    mend: 'nothing to do: where the next controller does not take it in time, the box stays with the present one',
  },
  QUARANTINED: {
    waitsFor: 'an operator, with the traffic of tenants off',
    mend: 'an operator must release or replace this box: branchbox fleet release, branchbox fleet replace',
  },
  WIPE: {
    waitsFor: 'the end of a factory reset, which erases its data',
    mend: 'leave it plugged in: it starts again by itself, as on its first day',
  },
};

/** A code that the installer types: whether the enrolment server asks for one, and what became of the last. */
export const SecondFactor = z.strictObject({
  /** held: typed, and not yet judged. refused: typed, and not taken; another one may be. */
  state: z.enum(['wanted', 'held', 'refused']),
  /** Why it was refused, in the words of the server. */
  message: z.string().max(200).optional(),
});
export type SecondFactor = z.output<typeof SecondFactor>;

/** What became of the last bootstrap medium that was plugged in. */
export const MediumReport = z.strictObject({
  state: z.enum(['taken', 'refused']),
  /** A whole sentence: why it was refused, or until when it would have been good. */
  message: z.string().max(600),
});
export type MediumReport = z.output<typeof MediumReport>;

/** A medium can tell a box its owner before there is any way out. */
const KNOWN_AND_OFFLINE: ReadonlySet<BootstrapState> = new Set(['OWNED', 'ENROLLING', 'LDEVID']);

/**
 * The words of a state, where it matters with those of the second factor: the same on page, screen and command line.
 * `offline`: no WAN port has an address.
 */
export function sentencesOf(
  state: BootstrapState,
  secondFactor: SecondFactor | undefined,
  offline = false,
): { readonly waitsFor: string; readonly mend: string } {
  if (offline && KNOWN_AND_OFFLINE.has(state)) {
    return {
      waitsFor: 'an address on a WAN port; whose box this is is known already',
      mend: 'plug in a WAN cable; where one is in, check its line, and what a stick said of it; it goes on by itself',
    };
  }
  if (state !== 'ENROLLING' || secondFactor === undefined) return BOOTSTRAP_SENTENCES[state];
  if (secondFactor.state === 'held') return { waitsFor: 'the verdict on the code', mend: 'nothing to do' };
  return {
    waitsFor: 'the activation code, or an approval',
    mend: 'on a LAN port of the box open the link that was mailed, and type the code; or an operator approves this box',
  };
}

/** In one line: a progress report, an event, the controller's overview. */
export const renderState = (told: {
  readonly state: BootstrapStanding['state'];
  readonly waitsFor: string;
  readonly mend: string;
}): string => `${told.state}: waits for ${told.waitsFor}; ${told.mend}`;

/** Nothing comes of these before the agent reaches its broker. */
const NEED_BROKER: ReadonlySet<BootstrapState> = new Set(['STRICT', 'CONFIG_STAGED', 'TRIAL']);
export const needsBroker = (state: BootstrapState): boolean => NEED_BROKER.has(state);

/** From STRICT on the box has an owner, and a page for installers is nobody's business any more. */
export const isBeforeEnrolment = (state: BootstrapState): boolean =>
  BOOTSTRAP_STATES.indexOf(state) < BOOTSTRAP_STATES.indexOf('STRICT');

export const Pem = z
  .string()
  .max(64 * 1024)
  .startsWith('-----BEGIN ');

/** Where things of the owner are; inside the signed onboarding information, and kept as owner.json. */
export const Owner = z.strictObject({
  schema: z.literal(1),
  gatewayId: GatewayId,
  est: z.strictObject({ host: DnsName, port: Port, label: z.string().max(64).optional() }),
  mqtt: z.strictObject({ host: DnsName, port: Port }),
  /** HTTPS of the controller for boxes, mutual TLS by LDevID: bundles, trial proof. */
  device: z.strictObject({ host: DnsName, port: Port }),
  /**
   * Of `device`, without a credential: the revocation lists of the owner's CAs, complete, PEM (RFC 5280, RFC 7468). There: the owner
   * says that it has one, and a box wants it before it tells its servers anything. Absent: servers are not asked for one.
   */
  revocationListsPath: z
    .string()
    .max(256)
    .regex(/^\/[\x21-\x7e]*$/, 'a path')
    .optional(),
  /** The domain CA that the voucher pinned: anchor of TLS, desired states and renewal. */
  domainAnchorPem: Pem,
});
export type Owner = z.output<typeof Owner>;

/** One line of the journal: the state entered and what was known then. */
export const JournalEntry = z.strictObject({
  state: z.enum(BOOTSTRAP_STATES),
  enteredAtMs: z.number(),
  /** Progress that a restart goes on from; never a secret. */
  note: z.record(z.string(), z.string()).default({}),
});
export type JournalEntry = z.output<typeof JournalEntry>;

export const Journal = z.strictObject({
  schema: z.literal(1),
  entries: z.array(JournalEntry).min(1).max(200),
});
export type Journal = z.output<typeof Journal>;

/**
 * The mark of a box that its owner no longer trusts (quarantine.json): while the file is there, the agent lets no
 * traffic of tenants pass.
 */
export const Quarantine = z.strictObject({
  schema: z.literal(1),
  sinceMs: z.number(),
  /** In the controller's words. */
  why: z.string().max(1000),
});
export type Quarantine = z.output<typeof Quarantine>;

/**
 * Of a move to another controller. enrolling: all is as it was, a certificate of the next owner is had. trying: the agent
 * speaks to the next controller and tries its first desired state; nothing of the present owner is gone. done: decided,
 * the next owner's takes the place.
 */
export const MOVE_STAGES = ['enrolling', 'trying', 'done'] as const;

export const MoveEnd = z.strictObject({
  outcome: z.enum(['moved', 'returned']),
  generation: z.int().min(1),
  atMs: z.number(),
  /** Host of the controller that it went to, or was to go to. */
  to: z.string().max(253),
  /** Why it is back. */
  why: z.string().max(1000).optional(),
});
export type MoveEnd = z.output<typeof MoveEnd>;

/** How a move stands, and how the last one ended. */
export const MoveStatus = z.strictObject({
  now: z
    .strictObject({
      stage: z.enum(MOVE_STAGES),
      to: z.string().max(253),
      /** What the box will be there. */
      gatewayId: GatewayId,
      deadlineAtMs: z.number(),
    })
    .optional(),
  last: MoveEnd.optional(),
});
export type MoveStatus = z.output<typeof MoveStatus>;

/** More is for the log. */
export const NOTICES_MAX = 8;
export const NOTICE_MAX_LENGTH = 600;

/** Read-out of `branchbox bootstrap status --json`. */
export const BootstrapStatus = z.strictObject({
  state: z.enum(BOOTSTRAP_STATES),
  /** By the clock as it is now, where the box was not started anew since. See isKnownMoment (moment.ts). */
  sinceMs: z.number(),
  waitsFor: z.string(),
  mend: z.string(),
  /** The last thing that went wrong in this state. */
  lastProblem: z.string().optional(),
  /** What did not stop it and is worth a look: each a sentence with its mend. */
  notices: z.array(z.string().max(NOTICE_MAX_LENGTH)).max(NOTICES_MAX).optional(),
  serial: z.string(),
  /** Short form of the factory key, for `branchbox fleet claim`. */
  claimCode: z.string().max(64).optional(),
  /** What holds the keys of this box; told by the identity process alone. */
  keys: KeyHolding.optional(),
  gatewayId: GatewayId.optional(),
  secondFactor: SecondFactor.optional(),
  medium: MediumReport.optional(),
  /** Where the box is on its way to another controller, or was. */
  move: MoveStatus.optional(),
  history: z.array(JournalEntry),
});
export type BootstrapStatus = z.output<typeof BootstrapStatus>;

/** Of it what a box in its owner's hands tells its controller, which may be older than the box. */
export const BootstrapStanding = BootstrapStatus.pick({
  state: true,
  sinceMs: true,
  waitsFor: true,
  mend: true,
  lastProblem: true,
}).extend({ state: shownWord(BOOTSTRAP_STATES) });
export type BootstrapStanding = z.output<typeof BootstrapStanding>;
