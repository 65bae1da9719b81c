/**
 * Owns boxes whose serial nobody named: a claim code that was typed for one, or the fleet's rules, decide whether it is let in,
 * waits in a list for a person, or stays unknown. What a box says of itself can put it on the list and never lets it in.
 * Does not own what a rule may say (model/assignment) nor giving a place (placing.ts).
 */
import {
  type AssignmentRule,
  type BoxClaims,
  claimCodeOf,
  matchRule,
  wantsClaims,
} from '../model/assignment.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { identityOf } from './admission.ts';
import { createAskLimit } from './askLimit.ts';
import type { FleetService } from './fleetService.ts';
import type { Place, Placing } from './placing.ts';
import type { InventoryEntry, OpenClaim, PendingBox } from './store/entities.ts';
import type { Store } from './store/store.ts';

const DAY_MS = 86_400_000;
/** A box that asks is seen at least each minute; one that was switched off for a weekend keeps its line. */
const WAITING_KEPT_MS = 7 * DAY_MS;
const DENIED_KEPT_MS = 90 * DAY_MS;
/** An unchanged line is written again this often at most: each write is a flush of the disk. */
const SEEN_AGAIN_MS = 60_000;
const CLAIM_KEPT_MS = 30 * DAY_MS;

export interface Stranger {
  readonly serial: string;
  readonly idevid: Certificate;
  readonly address: string | undefined;
  /** Unproven, both. */
  readonly model: string | undefined;
  readonly claims: BoxClaims | undefined;
}

/** `wantsClaims`: what the box would say of itself is worth asking for. */
export type Meeting =
  | { readonly kind: 'let-in' }
  | { readonly kind: 'waiting' | 'unknown'; readonly why: string; readonly wantsClaims: boolean }
  | { readonly kind: 'denied' };

export interface PendingBoxes {
  /** A factory identity that the inventory does not hold asks. */
  meet(stranger: Stranger): Promise<Meeting>;
  /** A box of the inventory that is not approved or has no place: whether a claim code lets it in now. */
  claimed(serial: string, idevid: Certificate): Promise<boolean>;
  /** By an operator; `key`: the beginning of a fingerprint or a claim code, where several keys came with that serial. */
  approve(
    serial: string,
    wanted: Choice & { readonly gateway?: string | undefined },
  ): Promise<InventoryEntry>;
  deny(serial: string, wanted: Choice): Promise<void>;
  forget(serial: string, wanted: Choice): Promise<void>;
  /** Lets in the box with that code, now or when it comes. */
  claim(code: string, gateway: string, actor: string): Promise<OpenClaim | { readonly serial: string }>;
}
export interface Choice {
  readonly key?: string | undefined;
  readonly actor: string;
}

export function createPendingBoxes(options: {
  readonly store: Store;
  readonly fleet: FleetService;
  readonly placing: Placing;
  readonly clock: Clock;
  readonly log: Logger;
}): PendingBoxes {
  const { store, fleet, placing, clock, log } = options;
  const complaints = createAskLimit({ clock, burst: 1, refillMs: 60_000 });
  const note = (actor: string, action: string, subject: string, detail: string): Promise<void> =>
    store.records.audit({ atMs: clock.nowMs(), actor, action, subject, detail });

  async function claimed(serial: string, idevid: Certificate, model?: string): Promise<boolean> {
    const claim = await store.claims.get(claimCodeOf(idevid.spkiSha256));
    if (claim === undefined || claim.endsAtMs <= clock.nowMs()) return false;
    const box = { serial, key: identityOf(idevid), model };
    const place = { gateway: claim.gatewayId };
    if (!(await isLetIn(box, place, { actor: `serial:${serial}`, joined: 'claim' }))) return false;
    await store.claims.remove(claim.code);
    return true;
  }

  /** false: there was no place; that is written down and the box goes on waiting. */
  async function isLetIn(...words: Parameters<Placing['letIn']>): Promise<boolean> {
    try {
      const gateway = await placing.letIn(...words);
      log.info('a box was let in', { serial: words[0].serial, gateway, by: words[2].joined });
      return true;
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError) || !thrown.code.startsWith('controller/')) throw thrown;
      const { serial } = words[0];
      log.warn('a box could not be let in', { serial, code: thrown.code, problem: thrown.message });
      return false;
    }
  }

  async function see(
    stranger: Stranger,
    rule: AssignmentRule,
    known: PendingBox | undefined,
  ): Promise<Meeting> {
    const { serial, idevid, address, model, claims } = stranger;
    const nowMs = clock.nowMs();
    const box: PendingBox = {
      serial,
      ...identityOf(idevid),
      claimCode: claimCodeOf(idevid.spkiSha256),
      state: 'waiting',
      ...(address === undefined ? {} : { address }),
      unproven: {
        ...(model === undefined ? {} : { 'hw-model': model.slice(0, 64) }),
        ...(claims ?? known?.unproven ?? { 'mac-address': [] }),
      },
      rule: rule.name,
      firstSeenMs: known?.firstSeenMs ?? nowMs,
      lastSeenMs: nowMs,
    };
    const why = 'this box waits for an approval';
    const asks = claims === undefined;
    const isSame =
      known !== undefined &&
      JSON.stringify({ ...box, lastSeenMs: known.lastSeenMs }) === JSON.stringify(known);
    if (isSame && nowMs - known.lastSeenMs < SEEN_AGAIN_MS)
      return { kind: 'waiting', why, wantsClaims: asks };
    if (known === undefined) {
      await store.pending.forget({ waitingMs: nowMs - WAITING_KEPT_MS, deniedMs: nowMs - DENIED_KEPT_MS });
    }
    const seen = await store.pending.see(box);
    if (seen === 'full') {
      if (complaints.take('full') === undefined) log.warn('the list of boxes that wait is full', { serial });
      const full = 'the list of boxes that wait is full: an operator must approve or deny some';
      return { kind: 'unknown', why: full, wantsClaims: false };
    }
    if (seen === 'new') await note(`serial:${serial}`, 'pending', serial, `rule ${rule.name}`);
    return { kind: 'waiting', why, wantsClaims: asks };
  }

  /** Throws where there is none, or more than one and `key` does not choose. */
  async function chosen(serial: string, key: string | undefined): Promise<PendingBox> {
    const fits = (await store.pending.ofSerial(serial)).filter(
      (box) => key === undefined || box.spkiSha256.startsWith(key) || box.claimCode === key,
    );
    const [box] = fits;
    if (box !== undefined && fits.length === 1) return box;
    if (box === undefined) {
      throw new BranchboxError('controller/not-found', {
        message: `no box ${serial} waits`,
        mend: 'GET /api/v1/pending (`branchbox fleet pending`) lists those that do',
      });
    }
    throw new BranchboxError('controller/conflict', {
      message: `${fits.length} boxes say that they are ${serial}: one of them is not`,
      mend: 'compare claim codes with the label of the box, and name the right one as `key` (--key)',
      problems: fits.map(({ claimCode, address }) => ({
        path: claimCode,
        message: `seen at ${address ?? 'an unknown address'}`,
      })),
    });
  }

  async function approve(
    serial: string,
    { gateway, key, actor }: Choice & { readonly gateway?: string | undefined },
  ): Promise<InventoryEntry> {
    const listed = key === undefined && (await store.pending.ofSerial(serial)).length === 0;
    const isKnown = (await store.inventory.get(serial)) !== undefined;
    const box = listed && isKnown ? undefined : await chosen(serial, key);
    const place = gateway === undefined ? await placeOfRule(box) : { gateway };
    const model = box?.unproven['hw-model'];
    await placing.letIn({ serial, key: box, model }, place, { actor, joined: 'operator' });
    const entry = await store.inventory.get(serial);
    if (entry === undefined) throw new BranchboxError('internal', { message: `${serial} went away` });
    return entry;
  }

  async function placeOfRule(box: PendingBox | undefined): Promise<Place> {
    const rules = (await fleet.read())?.fleet.rules ?? [];
    const place = rules.find(({ name }) => name === box?.rule)?.place;
    if (place !== undefined) return place;
    throw new BranchboxError('controller/conflict', {
      message: box?.rule === undefined ? 'no place is named' : `rule ${box.rule} gives no place`,
      mend: 'name a gateway of the fleet as `gateway` (--gateway)',
    });
  }

  return {
    async meet(stranger) {
      const { serial, idevid, model, claims } = stranger;
      if (await claimed(serial, idevid, model)) return { kind: 'let-in' };
      const keys = await store.pending.ofSerial(serial);
      const known = keys.find(({ spkiSha256 }) => spkiSha256 === idevid.spkiSha256);
      if (known?.state === 'denied') return { kind: 'denied' };
      const rules = (await fleet.read())?.fleet.rules ?? [];
      const rule = matchRule(rules, stranger);
      if (rule === undefined) {
        const why = `the inventory does not hold serial ${serial}`;
        return { kind: 'unknown', why, wantsClaims: claims === undefined && wantsClaims(rules) };
      }
      // Two keys under one serial: which of them is the box is for a person to see.
      if (rule.action === 'approve' && rule.place !== undefined && keys.every((key) => key === known)) {
        const box = { serial, key: identityOf(idevid), model };
        const by = { actor: `serial:${serial}`, joined: 'rule' } as const;
        if (await isLetIn(box, rule.place, by)) return { kind: 'let-in' };
      }
      return see(stranger, rule, known);
    },
    claimed: (serial, idevid) => claimed(serial, idevid),
    approve,
    async deny(serial, { key, actor }) {
      const box = await chosen(serial, key);
      await store.pending.deny(serial, box.spkiSha256);
      await note(actor, 'denied', serial, box.spkiSha256);
    },
    async forget(serial, { key, actor }) {
      const box = await chosen(serial, key);
      await store.pending.remove(serial, box.spkiSha256);
      await note(actor, 'pending-removed', serial, box.spkiSha256);
    },
    async claim(code, gateway, actor) {
      const waiting = (await store.pending.list()).find((box) => box.claimCode === code);
      if (waiting !== undefined) {
        const { serial, unproven } = waiting;
        await placing.letIn(
          { serial, key: waiting, model: unproven['hw-model'] },
          { gateway },
          { actor, joined: 'claim' },
        );
        await note(actor, 'claimed', code, gateway);
        return { serial };
      }
      const free = (await fleet.read())?.fleet.gateways.find(({ id }) => id === gateway);
      if (free === undefined || free.serial !== undefined) {
        throw new BranchboxError(free === undefined ? 'controller/not-found' : 'controller/conflict', {
          message: free === undefined ? `no gateway is named ${gateway}` : `${gateway} has a box already`,
          mend: 'name a gateway of the fleet that has no serial yet',
        });
      }
      const claim = { code, gatewayId: gateway, endsAtMs: clock.nowMs() + CLAIM_KEPT_MS };
      if (!(await store.claims.put(claim, clock.nowMs()))) {
        throw new BranchboxError('controller/conflict', {
          message: 'too many claims wait for their boxes',
          mend: 'DELETE /api/v1/claims/{code} takes one back',
        });
      }
      await note(actor, 'claimed', code, gateway);
      return claim;
    },
  };
}
