/**
 * Owns where the identity process keeps and finds things. Other processes know some of these paths too
 * (docs/bootstrap.md lists which). Does not own what is in them.
 */

import { MOVE_FILES, moveDirectory } from '../model/move.ts';

export interface BootstrapPaths {
  /** Written at the factory, read-only here. */
  readonly factory: string;
  /** Owned by this process; the agent reads. */
  readonly state: string;
  /** The agent's; this process only looks whether a state is on trial or committed. */
  readonly agent: string;
  readonly socket: string;
  /** What the installer's page may ask. */
  readonly installerSocket: string;
  /** Where the agent tells which ports there are, to whoever stands before the box. */
  readonly portsSocket: string;
  /** Of a factory reset (firmware/factory-reset): of a box with partitions, and where the data is a directory. */
  readonly resetMarks: readonly string[];
  /** The kernel's, a directory each. */
  readonly hardwareClocks: string;
  /** What is known of the time, for the other processes of the box; gone at the next boot. */
  readonly knownTime: string;
}

export const BOOTSTRAP_PATHS: BootstrapPaths = {
  factory: '/etc/branchbox/factory',
  state: '/var/lib/branchbox/identity',
  agent: '/var/lib/branchbox/agent',
  socket: '/run/branchbox/identity.sock',
  installerSocket: '/run/branchbox/installer/identity.sock',
  portsSocket: '/run/branchbox/installer/agent.sock',
  resetMarks: ['/run/branchbox/factory-reset', '/var/lib/branchbox-factory-reset'],
  hardwareClocks: '/sys/class/rtc',
  knownTime: '/run/branchbox/known-time.json',
};

export const journalPath = (paths: BootstrapPaths): string => `${paths.state}/journal.json`;
/** A lower bound of the time, milliseconds since 1970 as text. */
export const clockFloorPath = (paths: BootstrapPaths): string => `${paths.state}/clock-floor`;
/** What the voucher and the onboarding information said, until a strict connection proved it. */
export const pendingOwnerPath = (paths: BootstrapPaths): string => `${paths.state}/pending-owner.json`;
/** What a bootstrap medium said of the network; the agent reads it. */
export const networkPath = (paths: BootstrapPaths): string => `${paths.state}/network.json`;
/** The artefacts of the medium that was taken, for when it is pulled out; gone once the box is in service. */
export const keptMediumPath = (paths: BootstrapPaths): string => `${paths.state}/medium.json`;
/** The agent's signal to start: written last. */
export const ownerPath = (paths: BootstrapPaths): string => `${paths.state}/owner.json`;
export const domainAnchorPath = (paths: BootstrapPaths): string => `${paths.state}/domain-anchor.pem`;

/** What the owner revoked, as it said last (PEM); the agent reads it. */
export const ownerListsPath = (paths: BootstrapPaths): string => `${paths.state}/revocation-lists.pem`;

/** There while the owner does not trust this box (model Quarantine); the agent follows it. */
export const quarantinePath = (paths: BootstrapPaths): string => `${paths.state}/quarantine.json`;

/** How a move to another controller stands (model MoveRecord); the agent follows it. */
export const moveRecordPath = (paths: BootstrapPaths): string => `${paths.state}/${MOVE_FILES.record}`;
/** Where the agent commits the first desired state of the next owner. */
export const movedCommittedPath = (paths: BootstrapPaths, generation: number): string =>
  `${paths.agent}/${moveDirectory(generation)}/committed.jws`;

/** A key and its certificate, in two files; the certificate's file holds its chain too. */
export interface CredentialPaths {
  readonly key: string;
  readonly certificate: string;
}
export const ldevidPaths = (paths: BootstrapPaths): CredentialPaths => ({
  key: `${paths.state}/ldevid.key`,
  certificate: `${paths.state}/ldevid.crt`,
});
/** A renewal in the making: moved over the LDevID only when it has proved itself. */
export const nextLdevidPaths = (paths: BootstrapPaths): CredentialPaths => ({
  key: `${paths.state}/ldevid-next.key`,
  certificate: `${paths.state}/ldevid-next.crt`,
});
/** Of the next owner, until the move is done. */
export const movedLdevidPaths = (paths: BootstrapPaths): CredentialPaths => ({
  key: `${paths.state}/${MOVE_FILES.key}`,
  certificate: `${paths.state}/${MOVE_FILES.certificate}`,
});
