/**
 * Owns what the actions of bootstrap's states are given. Does not own putting it together (main.ts).
 */
import type { Cables } from './cables.ts';
import type { BranchboxError } from '../model/errors.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { Waker } from '../system/waker.ts';
import type { Activation } from './activation.ts';
import type { TrustedClock } from './clockFloor.ts';
import type { DeadLeases } from './deadLeases.ts';
import type { Server } from './discover.ts';
import type { Enrolment } from './enrol.ts';
import type { FactoryIdentity } from './factory.ts';
import type { Https } from './https.ts';
import type { MediumDesk } from './medium.ts';
import type { Moves } from './moves.ts';
import type { Notices } from './notices.ts';
import type { OwnedEntry } from './ownedEntry.ts';
import type { OwnerRevocations } from './ownerRevocations.ts';
import type { OwnerStore } from './ownerStore.ts';
import type { BootstrapPaths, CredentialPaths } from './paths.ts';
import type { Progress } from './progress.ts';
import type { QuarantineMark } from './quarantineMark.ts';
import type { StandingLooks } from './standingLooks.ts';
import type { SztpClient } from './sztp.ts';
import type { TimeWitness } from './timeWitness.ts';
import type { Uplink, Uplinks } from './uplink.ts';

export interface StateContext {
  readonly factory: FactoryIdentity;
  readonly uplinks: Uplinks;
  readonly cables: Cables;
  readonly owners: OwnerStore;
  readonly enrolment: Enrolment;
  readonly activation: Activation;
  readonly medium: MediumDesk;
  readonly revocations: OwnerRevocations;
  readonly ldevid: CredentialPaths;
  readonly sztp: SztpClient;
  readonly https: Https;
  readonly deadLeases: Pick<DeadLeases, 'gaveNothing' | 'saidComeAgain' | 'enoughInMs' | 'leadsSomewhere'>;
  /** Whether a captive portal says that it is one, or answers in a server's place where one is named. */
  readonly probePortal: (
    server: Server | undefined,
    uplink: Uplink,
    signal: AbortSignal,
  ) => Promise<BranchboxError | undefined>;
  /** Bootstrap servers that the network's DNS lists (RFC 8572 4.2), `host:port`. */
  readonly listedServers: (uplink: Uplink) => Promise<readonly string[]>;
  readonly clock: TrustedClock;
  readonly owned: OwnedEntry;
  readonly monotonicMs: () => number;
  readonly waker: Waker;
  readonly log: Logger;
  readonly notices: Notices;
}

/** Of a box that has its certificate. */
export interface ServiceContext extends StateContext {
  readonly files: Files;
  readonly paths: BootstrapPaths;
  readonly next: CredentialPaths;
  /** In [0, 1); one draw a certificate spreads renewals. */
  readonly random: () => number;
  readonly progress: Progress;
  readonly quarantine: QuarantineMark;
  readonly looks: StandingLooks;
  readonly moves: Moves;
  readonly timeWitness: TimeWitness;
}
