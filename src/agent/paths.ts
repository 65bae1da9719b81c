/**
 * Owns where the agent keeps and finds things. Does not own what is in them.
 */

export interface AgentPaths {
  /** Written at the factory. */
  readonly factory: string;
  readonly models: string;
  /** The identity process's; read only. */
  readonly identity: string;
  readonly state: string;
  /** Of updates; outlives them. */
  readonly firmware: string;
  /** Release keys this box trusts, on its read-only root. */
  readonly releaseAnchors: string;
  /** Public half of the key by which the SSH server is known; made by firmware/ssh-host-key. */
  readonly sshHostKey: string;
  /** Gone at the next boot. */
  readonly run: string;
  readonly socket: string;
  /** What the installer's page may ask. */
  readonly installerSocket: string;
  /** For who may look, and nothing else. */
  readonly lookSocket: string;
  readonly engineSocket: string;
  /** Of the identity process. */
  readonly identitySocket: string;
}

export const AGENT_PATHS: AgentPaths = {
  factory: '/etc/branchbox/factory',
  models: '/usr/lib/branchbox/models',
  identity: '/var/lib/branchbox/identity',
  state: '/var/lib/branchbox/agent',
  firmware: '/var/lib/branchbox/firmware',
  releaseAnchors: '/usr/lib/branchbox/release-anchors.pem',
  sshHostKey: '/var/lib/branchbox/ssh/host_ed25519.pub',
  run: '/run/branchbox',
  socket: '/run/branchbox/agent.sock',
  installerSocket: '/run/branchbox/installer/agent.sock',
  lookSocket: '/run/branchbox/look/agent.sock',
  engineSocket: '/run/docker.sock',
  identitySocket: '/run/branchbox/identity.sock',
};

/** The identity process's: how far the box is on its way into service. */
export const journalPath = (paths: AgentPaths): string => `${paths.identity}/journal.json`;
/** The identity process's mark of a box that its owner does not trust. */
export const quarantinePath = (paths: AgentPaths): string => `${paths.identity}/quarantine.json`;
/** The identity process's: what the owner revoked. */
export const ownerListsPath = (paths: AgentPaths): string => `${paths.identity}/revocation-lists.pem`;
export const wireguardKeyPath = (paths: AgentPaths): string => `${paths.state}/wireguard.key`;
/** Which PINs went to which SIMs. */
export const modemPinsPath = (paths: AgentPaths): string => `${paths.state}/modem-pins.json`;
/** Of this box's WireGuard key. */
export const usedTimePath = (paths: AgentPaths): string => `${paths.state}/used-time.json`;
/** The identity process's: no moment before it can be now. */
export const clockFloorPath = (paths: AgentPaths): string => `${paths.identity}/clock-floor`;
/** The identity process's: what it knows of the time. */
export const knownTimePath = (paths: AgentPaths): string => `${paths.run}/known-time.json`;
export const committedPath = (paths: AgentPaths): string => `${paths.state}/committed.jws`;
/** What was committed when a firmware trial began: the version before can read it, whatever the next one commits. */
export const committedBeforePath = (paths: AgentPaths): string => `${paths.firmware}/committed-before.jws`;
export const trialPath = (paths: AgentPaths): string => `${paths.state}/trial.json`;
export const rolledBackPath = (paths: AgentPaths): string => `${paths.state}/rolled-back.json`;
export const outboxPath = (paths: AgentPaths): string => `${paths.state}/outbox.sqlite`;
/** Units that firmware/boot-uplinks starts before the agent is there. */
export const bootUnitsPath = (paths: AgentPaths): string => `${paths.state}/boot-units`;
/** Reports of uplink tests. */
export const uplinkReportPath = (
  paths: AgentPaths,
  which: 'latest' | 'before-bootstrap' | 'after-bootstrap',
): string => `${paths.state}/uplink-test/${which}.json`;
/** Ids of the reports that the controller has, one a line. */
export const storedReportPath = (paths: AgentPaths): string => `${paths.state}/uplink-test/stored`;
export const bundlesDirectory = (paths: AgentPaths): string => `${paths.state}/bundles`;
/** The identity process's; there where the box came by a bootstrap medium. */
export const mediumNetworkPath = (paths: AgentPaths): string => `${paths.identity}/network.json`;
/** Found once a boot: kernel features, hardware, boot id. */
export const bootFindingsPath = (paths: AgentPaths): string => `${paths.run}/agent-boot.json`;
export const sequencePath = (paths: AgentPaths): string => `${paths.run}/agent-sequence`;
/** How long this start took (update/startTime.ts). */
export const upAfterPath = (paths: AgentPaths): string => `${paths.run}/up-after-ms`;
/** Read by firmware/trial-deadline. */
export const verdictByPath = (paths: AgentPaths): string => `${paths.run}/verdict-by`;
/** A file a PPPoE line, with its password. */
export const pppoeDirectory = (paths: AgentPaths): string => `${paths.run}/pppoe`;
/** Whom SSH lets in while it is open (firmware/sshd_config names it too). */
export const authorizedKeysPath = (paths: AgentPaths): string => `${paths.run}/ssh/authorized_keys`;
/** /etc/resolv.conf of the image leads to it (image/lay-over.sh). */
export const resolvConfPath = (paths: AgentPaths): string => `${paths.run}/resolv.conf`;
export const leasesDirectory = (paths: AgentPaths): string => `${paths.run}/leases`;
