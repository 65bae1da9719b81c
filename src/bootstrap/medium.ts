/**
 * Owns the bootstrap medium (RFC 8572 4.1): reading what was copied off it, taking it once, keeping what it said.
 * Does not own mounting (firmware/medium-read copies three files by name to /run) nor judging them (onboarding.ts).
 *
 * Whoever holds a medium stands at the box, and is nobody all the same: only what the manufacturer's voucher and the
 * owner signed counts, the network too. Never on a box that was owned: a factory reset comes first.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { MediumReport } from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { oneLineOf } from '../model/foreignText.ts';
import {
  BootstrapNetwork,
  type HttpProxy,
  MEDIUM_FILE_MAX_BYTES,
  MEDIUM_FILES,
  MEDIUM_REFUSAL_FILE,
  MEDIUM_REFUSALS,
} from '../model/medium.ts';
import { fromBase64, toBase64 } from '../pki/base64.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { TrustedClock } from './clockFloor.ts';
import type { RunningOs } from './demands.ts';
import type { FactoryIdentity } from './factory.ts';
import type { Next } from './machine.ts';
import { judgeMedium } from './onboarding.ts';
import type { OwnerStore } from './ownerStore.ts';
import { type BootstrapPaths, keptMediumPath, networkPath } from './paths.ts';

export const MEDIA_DIRECTORY = '/run/branchbox/media';
/** Sticks in a box at once; a directory that holds more is not ours. */
const MAX_MEDIA = 8;
const MAX_NETWORK_BYTES = 64 * 1024;
/** Three files in base64. */
const MAX_KEPT_BYTES = 1024 * 1024;
const MARK_LENGTH = 16;
const MAX_MESSAGE = 600;
const MAX_REFUSAL_BYTES = 64;

const Kept = z.strictObject({
  schema: z.literal(1),
  conveyed: z.base64(),
  ownerCertificate: z.base64(),
  voucher: z.base64(),
});

interface Artefacts {
  readonly conveyed: Uint8Array;
  readonly ownerCertificate: Uint8Array;
  readonly voucher: Uint8Array;
}
type FoundFiles = { readonly [Name in keyof Artefacts]: Uint8Array | undefined };
interface Found {
  readonly where: string;
  readonly artefacts: Artefacts;
  /** Of its content: the same medium is the same mark. */
  readonly mark: string;
}

export interface MediumDesk {
  /**
   * Takes the first good medium: its network and owner are on disk when this resolves, to OWNED. One that was taken before
   * counts only with `again`; with `later`, none that was there when the last one was taken. A bad one is told (`report`), and
   * the box goes on as if it were not there.
   */
  take(options?: { readonly again?: boolean; readonly later?: boolean }): Promise<Next | undefined>;
  /** What the last one that was taken said. */
  network(): Promise<BootstrapNetwork | undefined>;
  /** As `network` said last: read at the start, and told by each medium that is taken. */
  described(): BootstrapNetwork | undefined;
  /** Of it. */
  proxy(): HttpProxy | undefined;
  report(): MediumReport | undefined;
  /** The box is in service: only the network stays. */
  forget(): Promise<void>;
}

export function createMediumDesk(options: {
  readonly files: Files;
  readonly paths: BootstrapPaths;
  readonly mediaDirectory: string;
  readonly factory: FactoryIdentity;
  readonly os: RunningOs;
  readonly clock: TrustedClock;
  readonly owners: OwnerStore;
  readonly takenBefore: (mark: string) => boolean;
  readonly log: Logger;
}): MediumDesk {
  const { files, paths, mediaDirectory, factory, clock, owners, log } = options;
  const told = new Set<string>();
  let report: MediumReport | undefined;
  let known: BootstrapNetwork | undefined;
  /** Marks of those that were there, too, when the last one was taken. */
  let passedOver: ReadonlySet<string> = new Set();

  function refuse(where: string, mark: string, problem: BranchboxError): void {
    const details = problem.problems.map(({ path, message }) => `${path} ${message}`).join('; ');
    const mend = problem.mend === undefined ? '' : ` (${problem.mend})`;
    const message = `${problem.message}${details === '' ? '' : `: ${details}`}${mend}`;
    report = { state: 'refused', message: oneLineOf(message, MAX_MESSAGE) };
    if (told.has(mark)) return;
    told.add(mark);
    log.warn('bootstrap medium refused', { where, code: problem.code, problem: message });
  }

  async function readArtefacts(where: string): Promise<FoundFiles> {
    const read = (file: string) => files.readBytes(`${where}/${file}`, MEDIUM_FILE_MAX_BYTES);
    return {
      conveyed: await read(MEDIUM_FILES.conveyed),
      ownerCertificate: await read(MEDIUM_FILES.ownerCertificate),
      voucher: await read(MEDIUM_FILES.voucher),
    };
  }

  /** undefined where it went away meanwhile: it is read again when it is back. */
  async function readMedium(name: string): Promise<Found | undefined> {
    const where = `${mediaDirectory}/${name}`;
    try {
      // A part of them may be of one that went, or was read anew, meanwhile: a second look finds all or none then.
      const first = await readArtefacts(where);
      const artefacts = isPart(first) ? await readArtefacts(where) : first;
      const { conveyed, ownerCertificate, voucher } = artefacts;
      if (conveyed !== undefined && ownerCertificate !== undefined && voucher !== undefined) {
        return found(where, { conveyed, ownerCertificate, voucher });
      }
      if (!isPart(artefacts)) {
        const why = refusalOf(
          name,
          await files.readText(`${where}/${MEDIUM_REFUSAL_FILE}`, MAX_REFUSAL_BYTES),
        );
        if (why !== undefined) refuse(where, `${where} ${why.message}`, why);
        return undefined;
      }
      // RFC 8572 3.4: all three or none. Unsigned information could only be a redirect, which a medium has no use for.
      throw new BranchboxError('pki/untrusted', {
        message: `A bootstrap medium holds ${Object.values(MEDIUM_FILES).join(', ')}; this one lacks some of them`,
      });
    } catch (thrown) {
      refuse(where, where, asBranchboxError(thrown));
      return undefined;
    }
  }

  async function readKept(): Promise<Found | undefined> {
    const where = keptMediumPath(paths);
    try {
      const text = await files.readText(where, MAX_KEPT_BYTES);
      if (text === undefined) return undefined;
      const kept = decodeJson(Kept, text, where);
      return found(where, {
        conveyed: fromBase64(kept.conveyed),
        ownerCertificate: fromBase64(kept.ownerCertificate),
        voucher: fromBase64(kept.voucher),
      });
    } catch (thrown) {
      log.warn('kept bootstrap medium cannot be read', { code: asBranchboxError(thrown).code });
      return undefined;
    }
  }

  async function accept({ where, artefacts, mark }: Found): Promise<Next> {
    const { owner, network, voucher } = await judgeMedium(artefacts, { factory, clock, os: options.os });
    known = network;
    if (network === undefined) await files.remove(networkPath(paths));
    else {
      await files.writeDurable(networkPath(paths), `${JSON.stringify(network, null, 1)}\n`);
    }
    const kept: z.output<typeof Kept> = {
      schema: 1,
      conveyed: toBase64(artefacts.conveyed),
      ownerCertificate: toBase64(artefacts.ownerCertificate),
      voucher: toBase64(artefacts.voucher),
    };
    await files.writeDurable(keptMediumPath(paths), JSON.stringify(kept));
    await owners.writePending(owner);
    const until = new Date(voucher.expiresOnMs ?? voucher.createdOnMs).toISOString();
    report = {
      state: 'taken',
      message: `The medium names gateway ${owner.gatewayId}, good until ${until}`,
    };
    log.info('bootstrap medium taken', { where, gatewayId: owner.gatewayId, mark });
    return {
      state: 'OWNED',
      note: {
        gatewayId: owner.gatewayId,
        medium: mark,
        voucherMadeAt: new Date(voucher.createdOnMs).toISOString(),
      },
    };
  }

  return {
    async take({ again = false, later = false } = {}) {
      if (await owners.wasOwned()) return undefined;
      const names = (await files.list(mediaDirectory)).filter((name) => !name.startsWith('.'));
      const media: Found[] = [];
      for (const name of names.slice(0, MAX_MEDIA)) {
        const medium = await readMedium(name);
        if (medium !== undefined) media.push(medium);
      }
      const kept = await readKept();
      if (kept !== undefined && media.every(({ mark }) => mark !== kept.mark)) media.push(kept);
      for (const medium of media) {
        if (!again && options.takenBefore(medium.mark)) continue;
        if (later && passedOver.has(medium.mark)) continue;
        try {
          const next = await accept(medium);
          passedOver = new Set(media.map(({ mark }) => mark));
          return next;
        } catch (thrown) {
          if (!(thrown instanceof BranchboxError) || thrown.code.startsWith('system/')) throw thrown;
          refuse(medium.where, medium.mark, thrown);
        }
      }
      return undefined;
    },
    async network() {
      const text = await files.readText(networkPath(paths), MAX_NETWORK_BYTES).catch(() => undefined);
      if (text === undefined) return undefined;
      try {
        known = decodeJson(BootstrapNetwork, text, networkPath(paths));
        return known;
      } catch (thrown) {
        log.warn("the medium's network cannot be read", { code: asBranchboxError(thrown).code });
        return undefined;
      }
    },
    described: () => known,
    proxy: () => known?.proxy,
    report: () => report,
    forget: () => files.remove(keptMediumPath(paths)),
  };
}

const isPart = (found: FoundFiles): boolean =>
  new Set(Object.values(found).map((bytes) => bytes === undefined)).size > 1;

function found(where: string, artefacts: Artefacts): Found {
  const hash = createHash('sha256');
  for (const bytes of [artefacts.conveyed, artefacts.ownerCertificate, artefacts.voucher]) {
    hash.update(`${bytes.length} `).update(bytes);
  }
  return { where, artefacts, mark: hash.digest('hex').slice(0, MARK_LENGTH) };
}

/** Of a medium of which nothing was copied; undefined where there is no reason, or none that is known. Pure. */
function refusalOf(name: string, word: string | undefined): BranchboxError | undefined {
  const known = Object.entries(MEDIUM_REFUSALS).find(([one]) => one === word?.trim());
  if (known === undefined) return undefined;
  const [, { code, message, mend }] = known;
  return new BranchboxError(code, { message: `The USB medium ${name} ${message}`, mend });
}
