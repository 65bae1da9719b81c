/**
 * Owns the end of a CA rollover at the controller: which boxes would be left behind, dropping the previous CA once and everywhere
 * that it counts, and the record of that. Does not own the CAs (the signer), what believes them (domainTrust.ts, servers.ts,
 * broker/) nor what a box does then.
 *
 * The signer decides. `begun` is recorded before it is asked; once it has dropped the CA everything here follows, at once or at
 * the next start.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { jwsSigner } from '../pki/jws.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import type { Admissions } from './admission.ts';
import type { DomainTrust } from './domainTrust.ts';
import type { FleetService } from './fleetService.ts';
import type { SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

/** Key of the journal among the store's single values. */
const JOURNAL = 'domain-ca-drops';
const CONTROLLER = 'controller';

export const CaDropped = z.strictObject({
  sha256: z.string(),
  actor: z.string(),
  begunAtMs: z.number(),
  /** Absent: the signer was not reached, or not all here has followed. */
  doneAtMs: z.number().optional(),
});
export type CaDropped = z.output<typeof CaDropped>;
const Journal = z.array(CaDropped);

export const CaBox = z.strictObject({
  gatewayId: z.string(),
  serial: z.string(),
  /** Of the last certificate that it was given. */
  notAfterMs: z.number(),
});
export type CaBox = z.output<typeof CaBox>;

export const CaOverview = z.strictObject({
  /** Signs, and is what vouchers pin. */
  signing: z.strictObject({ sha256: z.string(), name: z.string(), notAfterMs: z.number() }),
  /** Counts beside it, until it is dropped. */
  previous: z.strictObject({ sha256: z.string(), name: z.string(), notAfterMs: z.number() }).optional(),
  dropped: z.array(CaDropped),
  boxes: z.strictObject({
    /** With a certificate of the one that signs. */
    renewedCount: z.int(),
    /** With a living one of the one before alone. */
    behind: z.array(CaBox),
    /** Whose certificate has ended: they come back by their factory identity, whatever is dropped. */
    ended: z.array(CaBox),
  }),
});
export type CaOverview = z.output<typeof CaOverview>;

export interface DropWish {
  readonly sha256: string;
  /** Although boxes are behind. */
  readonly insist: boolean;
  readonly dryRun: boolean;
  /** Whether an entity tag that the caller named is that of what is there; absent: none was named. */
  readonly ifMatch?: (tag: string) => boolean;
  readonly actor: string;
}

export interface DropAnswer {
  readonly done: boolean;
  /** Boxes that had or have to come back by their factory identity. */
  readonly behind: readonly CaBox[];
  readonly overview: CaOverview;
}

export interface CaDrop {
  overview(): Promise<CaOverview>;
  /** Idempotent. Throws controller/conflict where boxes are behind and `insist` is not set, or the tag does not fit. */
  drop(wish: DropWish): Promise<DropAnswer>;
  /** Finishes what a process before this one did not. To be called once, before anybody is served. */
  settle(): Promise<void>;
}

export function createCaDrop(options: {
  readonly store: Pick<Store, 'records' | 'gateways' | 'inventory'>;
  readonly fleet: Pick<FleetService, 'places'>;
  readonly admissions: Pick<Admissions, 'standing'>;
  readonly signer: Pick<SignerClient, 'drop'>;
  readonly trust: DomainTrust;
  /** Makes everything that holds anchors of its own take them from `trust` again. Repeatable. */
  readonly follow: () => Promise<void>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Logger;
}): CaDrop {
  const { store, fleet, admissions, signer, trust, follow, clock, log } = options;

  async function readJournal(): Promise<CaDropped[]> {
    const text = await store.records.meta(JOURNAL);
    return text === undefined ? [] : decodeJson(Journal, text, 'the record of dropped CAs');
  }
  async function write(entry: CaDropped): Promise<void> {
    const others = (await readJournal()).filter(({ sha256 }) => sha256 !== entry.sha256);
    await store.records.setMeta(JOURNAL, JSON.stringify([...others, entry]));
    const action = entry.doneAtMs === undefined ? 'domain-ca-drop-begun' : 'domain-ca-dropped';
    const { sha256: subject, actor } = entry;
    await store.records.audit({ atMs: clock.nowMs(), actor, action, subject, detail: '' });
  }

  /** The last certificate of each box that has its place now. */
  async function boxes(): Promise<CaOverview['boxes']> {
    const nowMs = clock.nowMs();
    const latest = new Map<string, string>();
    for (const { serial, gatewayId, fingerprintSha256 } of await store.records.ldevids(0)) {
      if (serial !== undefined) latest.set(`${gatewayId} ${serial}`, fingerprintSha256);
    }
    const behind: CaBox[] = [];
    const ended: CaBox[] = [];
    let renewedCount = 0;
    for (const { id: gatewayId, serial } of await fleet.places()) {
      if (serial === undefined || (await admissions.standing(gatewayId, serial)).kind !== 'admitted')
        continue;
      // It told that it is with another controller now.
      if ((await store.inventory.get(serial))?.move?.movedAtMs !== undefined) continue;
      const issued = await store.records.certificate(latest.get(`${gatewayId} ${serial}`) ?? '');
      if (issued === undefined) continue;
      const { notAfterMs } = issued;
      if (isOf(parseCertificate(issued.pem), trust.domain)) renewedCount += 1;
      else (notAfterMs > nowMs ? behind : ended).push({ gatewayId, serial, notAfterMs });
    }
    return { renewedCount, behind, ended };
  }

  async function overview(): Promise<CaOverview> {
    const [previous] = trust.previous;
    return {
      signing: describe(trust.domain),
      ...(previous && { previous: describe(previous) }),
      dropped: await readJournal(),
      boxes: await boxes(),
    };
  }

  /** No box believes a state that a dropped CA stands behind: marks each, so that the next round signs it again. */
  async function renewStates(): Promise<void> {
    for (const record of await store.gateways.allDesired()) {
      if (record.jws === '') continue;
      const by = jwsSigner(record.jws);
      if (by !== undefined && isOf(by, trust.domain)) continue;
      await store.gateways.signAnew(record.gatewayId, record.digest);
    }
  }

  async function end(entry: CaDropped): Promise<void> {
    trust.drop();
    await renewStates();
    await follow();
    await write({ ...entry, doneAtMs: clock.nowMs() });
    log.warn('the domain CA before is dropped', { sha256: entry.sha256, actor: entry.actor });
  }

  async function drop({ sha256, insist, dryRun, ifMatch, actor }: DropWish): Promise<DropAnswer> {
    const present = await overview();
    const earlier = present.dropped.find((one) => one.sha256 === sha256);
    const isPrevious = present.previous?.sha256 === sha256;
    if (!isPrevious && earlier === undefined) throw unknown(sha256, present);
    // A repeated call names the tag from before the drop: what is done is done, whatever the tag.
    if (isPrevious && ifMatch !== undefined && !ifMatch(tagOf(present))) {
      throw new BranchboxError('controller/conflict', {
        message: 'the domain CAs, or the boxes under them, are not those that were named',
        mend: 'look again (GET /api/v1/domain-cas), and repeat',
        fields: { httpStatus: 412 },
      });
    }
    const { behind } = isPrevious ? present.boxes : { behind: [] };
    if (dryRun) return { done: false, behind, overview: present };
    if (behind.length > 0 && !insist) {
      throw new BranchboxError('controller/conflict', {
        message: `${behind.length} boxes have a certificate of that CA alone, and would be shut out until they enrol anew`,
        mend: 'wait until they renewed, revoke those that are dead, or insist: they come back by their factory identity',
        problems: behind.map(({ gatewayId, serial }) => ({
          path: `gateways/${gatewayId}`,
          message: `${serial} did not renew yet`,
        })),
      });
    }
    if (earlier?.doneAtMs !== undefined) return { done: true, behind, overview: present };
    const entry = { sha256, actor, begunAtMs: clock.nowMs() };
    if (earlier === undefined) await write(entry);
    await signer.drop(sha256);
    await end(earlier ?? entry);
    return { done: true, behind, overview: await overview() };
  }

  // One at a time: the second one finds what the first did.
  const inTurn = createSerialQueue();
  return {
    overview,
    drop: (wish) => inTurn(() => drop(wish)),
    async settle() {
      const open = (await readJournal()).find(({ doneAtMs }) => doneAtMs === undefined);
      // Where the signer still has the CA nothing was done, and whoever ordered it was told so.
      if (
        open === undefined ||
        trust.previous.some(({ fingerprintSha256 }) => fingerprintSha256 === open.sha256)
      ) {
        return;
      }
      await renewStates();
      await write({ ...open, actor: CONTROLLER, doneAtMs: clock.nowMs() });
    },
  };
}

/** Of what an operator was shown: strong, and of nothing that changes by itself. */
export const tagOf = (overview: CaOverview): string =>
  `"${createHash('sha256').update(JSON.stringify(overview)).digest('hex').slice(0, 32)}"`;

/** By the key: two CAs may have one name. */
const isOf = (certificate: Certificate, ca: Certificate): boolean =>
  certificate.authorityKeyId !== undefined &&
  ca.subjectKeyId !== undefined &&
  Buffer.from(certificate.authorityKeyId).equals(ca.subjectKeyId);

const describe = (ca: Certificate): CaOverview['signing'] => ({
  sha256: ca.fingerprintSha256,
  name: ca.subject.commonName ?? '',
  notAfterMs: ca.notAfterMs,
});

function unknown(sha256: string, { signing }: CaOverview): BranchboxError {
  if (sha256 === signing.sha256) {
    return new BranchboxError('controller/conflict', {
      message: 'that is the domain CA that signs',
      mend: 'begin a rollover first: branchbox signer rollover',
    });
  }
  return new BranchboxError('controller/not-found', {
    message: `no domain CA ${sha256} counts here`,
    mend: 'GET /api/v1/domain-cas lists them',
  });
}
