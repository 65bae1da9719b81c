/**
 * Owns what is found of the box itself: whose it is and whether it is trusted; its clock, its firmware, its disk, where
 * its keys are, and processes that an error ended. Does not own what is found of its traffic (trafficFindings.ts). Pure.
 */
import type { Quarantine } from '../model/bootstrap.ts';
import type { CrashRecord } from '../model/crash.ts';
import type { FirmwareStatus } from '../model/firmware.ts';
import type { TpmReadiness } from '../model/keyHolder.ts';
import type { MoveRecord } from '../model/move.ts';
import { SSH_USER, type SshAccess } from '../model/ssh.ts';
import { finding, type Finding } from './finding.ts';

/** What apps can still write. */
export interface DataRoom {
  readonly freeBytes: number;
  readonly freeFiles: number;
}

/** As much as is kept for the box itself (open-data of the image): then it is all that is left. */
const LOW_ROOM_BYTES = 64 * 1024 * 1024;
/** No file system keeps these for anybody: a box that cannot make a file commits no desired state. */
const LOW_ROOM_FILES = 4096;

/** By what open-data says of it. */
const DATA_PLAIN: ReadonlyMap<string, string> = new Map([
  [
    'plain-beside-tpm',
    'it was made when there was none, or none that worked. A factory reset makes it anew, encrypted.',
  ],
  [
    'plain-beside-unfit-tpm',
    "that does not work. Take the power away for a minute; where that does not help, switch the TPM off in the firmware's setup (the box works without it), or clear it there, which loses the keys in it. Once it works, a factory reset makes the data anew, encrypted.",
  ],
]);

export interface OwnCondition {
  /** undefined where nobody updates this box. */
  readonly firmware?: FirmwareStatus | undefined;
  /** Told by the identity process; undefined while the owner trusts this box. */
  readonly quarantine?: Quarantine | undefined;
  /** Of the identity process: whether the box is on its way to another controller, or came back. */
  readonly move?: MoveRecord | undefined;
  /** As open-data of the image says; undefined where that does not run. */
  readonly dataProtection?: string | undefined;
  /** What dm-verity says of the root (root-check of the image); undefined where there is none, or nobody looked yet. */
  readonly rootState?: string | undefined;
  /** Of the data partition, without what is kept for the box itself; undefined where there is none. */
  readonly dataRoom?: DataRoom | undefined;
  /** What holds new keys of this box, as found when the agent started. */
  readonly keys?: TpmReadiness['holding'] | undefined;
  /** Processes of this box that an error ended lately; they run again. */
  readonly crashes?: readonly CrashRecord[] | undefined;
  /** Why tunnels wait for the clock; undefined where they do not. */
  readonly clockBehind?: string | undefined;
  /** Whom the desired state lets in by SSH; undefined while it is closed. */
  readonly ssh?: SshAccess | undefined;
  /** Of the server's host key; undefined while there is none, and nothing is open. */
  readonly sshHostKey?: string | undefined;
}

/** What comes before all else: without trust nothing passes. */
export const trustFindings = (own: OwnCondition): Finding[] => [
  ...quarantineFindings(own),
  ...moveFindings(own),
];

export const softwareFindings = (own: OwnCondition): Finding[] => [
  ...firmwareFindings(own),
  ...rootFindings(own),
  ...dataFindings(own),
  ...roomFindings(own),
  ...keyFindings(own),
  ...crashFindings(own),
  ...sshFindings(own),
];

function quarantineFindings({ quarantine }: OwnCondition): Finding[] {
  if (quarantine === undefined) return [];
  return [
    finding(
      'quarantined',
      'error',
      'identity',
      `The controller took its trust from this box (${quarantine.why}): no traffic of tenants passes, uplinks and management stay. An operator releases it (branchbox fleet release) or puts another box in its place.`,
    ),
  ];
}

function moveFindings({ move: record }: OwnCondition): Finding[] {
  const { move, last } = record ?? {};
  if (move !== undefined) {
    const { device } = move.owner;
    const until = new Date(move.deadlineAtMs).toISOString();
    const sentence = `The owner ordered a move to ${device.host} (${move.stage}): where that does not take the box by ${until}, it stays with its present controller. Nothing to do.`;
    return [finding('moving', 'info', 'identity', sentence)];
  }
  if (last?.outcome !== 'returned') return [];
  const sentence = `The box was to move to ${last.to} and stayed (${last.why ?? 'no reason was kept'}). Mend that, and order the move anew (branchbox fleet move).`;
  return [finding('move-returned', 'warning', 'identity', sentence)];
}

/** Before paths and uplinks, which are down by it. */
export function clockFindings({ clockBehind }: OwnCondition): Finding[] {
  return clockBehind === undefined ? [] : [finding('clock-behind', 'warning', 'clock', clockBehind)];
}

/** Only while it is still wanted: what is over and forgotten is history, not health. */
function firmwareFindings({ firmware }: OwnCondition): Finding[] {
  if (firmware?.state === 'refused') {
    // What was not refused for good (by a stick that was pulled out, say) is not what ended last.
    const last = firmware.lastResult?.result === 'refused' ? firmware.lastResult.version : undefined;
    const subject = firmware.target?.version ?? last ?? 'firmware';
    const mend = 'The box runs on as it was; build, sign or upload the version again.';
    return [
      finding('firmware-refused', 'warning', subject, `${firmware.sentence.replace(/\.$/, '')}. ${mend}`),
    ];
  }
  if (firmware?.state === 'rolled-back') {
    const subject = firmware.lastResult?.version ?? 'firmware';
    const mend = '`branchbox firmware update` tries it once more; another version is tried by itself.';
    return [finding('firmware-rolled-back', 'warning', subject, `${firmware.sentence} ${mend}`)];
  }
  return [];
}

/** It goes on with what it can read; what it cannot, it may need at any time. */
function rootFindings({ rootState }: OwnCondition): Finding[] {
  if (rootState !== 'corrupted') return [];
  const sentence =
    'A part of the running firmware can no longer be read from the disk as it was signed. Update the box: that writes the other slot anew and starts from it; where it comes again, the disk is at its end. If the agent cannot run any more, the box restarts into its other version by itself.';
  return [finding('root-corrupted', 'warning', 'firmware', sentence)];
}

/** A box that got its TPM, or had it switched on, after its first start; or one that has a TPM and cannot use it. */
function dataFindings({ dataProtection }: OwnCondition): Finding[] {
  const why = DATA_PLAIN.get(dataProtection ?? '');
  if (why === undefined) return [];
  const sentence = `The data of this box is not encrypted although it has a TPM: ${why}`;
  return [finding('data-plain', 'info', 'data', sentence)];
}

/** Without figures: a sentence that changes with each write would be a status each time. */
function roomFindings({ dataRoom }: OwnCondition): Finding[] {
  const mend =
    'Have an app delete what it keeps, or remove one from the fleet and publish; its volumes go with a factory reset alone.';
  if (dataRoom !== undefined && dataRoom.freeFiles < LOW_ROOM_FILES) {
    const sentence = `Apps keep so many files that fewer than ${LOW_ROOM_FILES} more can be made on the data partition, the box's own among them. ${mend}`;
    return [finding('data-full', 'warning', 'data', sentence)];
  }
  if (dataRoom === undefined || dataRoom.freeBytes >= LOW_ROOM_BYTES) return [];
  const sentence = `Less than ${LOW_ROOM_BYTES / 1024 / 1024} MiB of the data partition are left to apps; what the box itself keeps has room of its own. ${mend}`;
  return [finding('data-full', 'warning', 'data', sentence)];
}

/** Without a TPM there is nothing to mend, and `branchbox check` says it. */
function keyFindings({ keys }: OwnCondition): Finding[] {
  if (keys?.unusedTpm !== true) return [];
  const sentence = `The keys of this box are made in files although it has a TPM. ${keys.why} The certificate after that is of a key in the TPM.`;
  return [finding('keys-beside-tpm', 'info', 'identity', sentence)];
}

/** Traffic does not notice; told so that it gets mended. */
function crashFindings({ crashes = [] }: OwnCondition): Finding[] {
  return crashes.map(({ process, version, atMs, times, error }) => {
    const at = new Date(atMs).toISOString();
    const often = times === 1 ? '' : `, ${times} times since the box started`;
    const sentence = `The ${process} process (${version}) was ended by an error at ${at}${often}, and started again: ${error}. The log has the rest (journalctl -p 3 -u branchbox-${process}); report it.`;
    return finding('process-crashed', 'warning', process, sentence);
  });
}

/** No fault; told so that nobody forgets it, and so that who connects can tell this box from somebody in between. */
function sshFindings({ ssh, sshHostKey }: OwnCondition): Finding[] {
  if (ssh === undefined || sshHostKey === undefined) return [];
  const keys = ssh.keys.length === 1 ? 'one key' : `${ssh.keys.length} keys`;
  const sentence = `SSH is open to ${keys} from ${ssh.from.join(', ')}, as ${SSH_USER}; the box shows the host key ${sshHostKey} (ED25519). Remove ssh from this gateway in the fleet to close it.`;
  return [finding('ssh-open', 'info', 'ssh', sentence)];
}
