/**
 * Owns who is let in: whether a factory identity may have its place in the fleet, and whether a gateway's certificate
 * still counts. The same decision for SZTP, EST, the device API and, by the revocation list, MQTT.
 * Does not own how a refusal is worded on the wire (sztp/, est/, deviceApi.ts).
 */
import type { Certificate } from '../pki/certificate.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { ActivationCredentials, Activations } from './activation.ts';
import type { FleetService } from './fleetService.ts';
import type { HeldPlace } from './store/entities.ts';
import type { Store } from './store/store.ts';

export type Admission =
  | { readonly kind: 'admitted'; readonly gateway: HeldPlace }
  /**
   * Known, but not approved, or without a place in the fleet: worth asking again. `byCode`: an installer's code would approve
   * it.
   */
  | { readonly kind: 'pending'; readonly why: string; readonly byCode?: boolean }
  /** A code was sent and not taken. */
  | { readonly kind: 'wrong-code'; readonly why: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly why: string };

/** When a box that is pending should ask again: a person decides, so EST and SZTP say the same. */
export const PENDING_RETRY_AFTER_S = 15;

export interface Admissions {
  /** Looks, and marks another key under a known serial; binds nothing. */
  consider(serial: string, idevid: Certificate): Promise<Admission>;
  /**
   * As consider; whoever is admitted has its key bound to the serial from now on. An installer's code counts where it
   * would help: one that is right approves the box, and is for the key that came with it alone.
   */
  admit(serial: string, idevid: Certificate, code?: ActivationCredentials): Promise<Admission>;
  /** The gateway that a serial is for, whether or not it may become it yet. */
  placeOf(serial: string): Promise<string | undefined>;
  /** Whether a certificate that was issued to this serial under this name counts: the same for all its certificates. */
  standing(gatewayId: string, serial: string): Promise<Admission>;
  /** By a certificate that we issued, for the box that has the gateway's place now. */
  recognise(gatewayId: string, ldevid: Certificate): Promise<Admission & { readonly serial?: string }>;
}

export function createAdmissions(options: {
  readonly store: Store;
  readonly fleet: FleetService;
  readonly activations: Pick<Activations, 'judge'>;
  readonly clock: Clock;
  readonly log: Logger;
}): Admissions {
  const { store, fleet, activations, clock, log } = options;

  async function consider(serial: string, idevid: Certificate): Promise<Admission> {
    const entry = await store.inventory.get(serial);
    if (entry === undefined) return { kind: 'unknown' };
    if (entry.state === 'revoked') return { kind: 'refused', why: 'this box was revoked' };
    const { identity } = entry;
    const { spkiSha256, issuerKeyId } = identityOf(idevid);
    if (
      identity !== undefined &&
      (identity.spkiSha256 !== spkiSha256 || identity.issuerKeyId !== issuerKeyId)
    ) {
      return quarantine(serial, idevid);
    }
    const gateway = await gatewayOf(serial);
    if (!entry.approved) {
      // A code works once: a box that could not enrol yet must not use it up.
      return entry.twoFactor && gateway !== undefined
        ? { kind: 'pending', why: 'this box waits for its activation code, or an approval', byCode: true }
        : { kind: 'pending', why: 'this box waits for an approval' };
    }
    if (gateway === undefined) return { kind: 'pending', why: 'this box has no place in the fleet yet' };
    return { kind: 'admitted', gateway };
  }

  const bind = (serial: string, idevid: Certificate): Promise<boolean> =>
    store.inventory.bind(serial, identityOf(idevid), clock.nowMs());

  /** Bound before it is approved: else another key under this serial could come in between. */
  async function approveByCode(
    serial: string,
    idevid: Certificate,
    code: ActivationCredentials,
  ): Promise<Admission> {
    const verdict = await activations.judge(serial, idevid.spkiSha256, code);
    const note = (action: string, detail: string): Promise<void> =>
      store.records.audit({
        atMs: clock.nowMs(),
        actor: `serial:${serial}`,
        action,
        subject: serial,
        detail,
      });
    if (verdict.kind === 'refused') {
      if (verdict.counted) {
        const { spkiSha256 } = idevid;
        log.warn('a wrong activation code', { serial, spkiSha256 });
        await note('activation-refused', `${verdict.why} (key ${spkiSha256})`);
      }
      return { kind: 'wrong-code', why: verdict.why };
    }
    if (!(await bind(serial, idevid))) return quarantine(serial, idevid);
    await store.inventory.update(serial, { approved: true });
    await note('activated', idevid.spkiSha256);
    return consider(serial, idevid);
  }

  async function gatewayOf(serial: string): Promise<HeldPlace | undefined> {
    return (await fleet.places()).find((candidate) => candidate.serial === serial);
  }

  /** The box that was first keeps its place: whoever comes with another key is kept out and written down. */
  async function quarantine(serial: string, idevid: Certificate): Promise<Admission> {
    const atMs = clock.nowMs();
    const why = 'another identity holds this serial';
    await store.inventory.quarantine(serial, idevid.spkiSha256, why, atMs);
    log.warn('a second identity claims a serial', { serial, spkiSha256: idevid.spkiSha256 });
    return { kind: 'refused', why };
  }

  async function standing(gatewayId: string, serial: string): Promise<Admission> {
    const gateway = (await fleet.places()).find((candidate) => candidate.id === gatewayId);
    // A box that was replaced still holds a certificate of this name.
    if (gateway === undefined || gateway.serial !== serial) {
      return { kind: 'refused', why: 'this box no longer has a place in the fleet' };
    }
    const entry = await store.inventory.get(serial);
    if (entry?.state !== 'enrolled') return { kind: 'refused', why: 'this box was revoked' };
    return { kind: 'admitted', gateway };
  }

  return {
    consider,
    standing,
    async admit(serial, idevid, code) {
      let admission = await consider(serial, idevid);
      if (admission.kind === 'pending' && admission.byCode === true && code !== undefined) {
        admission = await approveByCode(serial, idevid, code);
      }
      if (admission.kind !== 'admitted') return admission;
      return (await bind(serial, idevid)) ? admission : quarantine(serial, idevid);
    },
    async placeOf(serial) {
      return (await gatewayOf(serial))?.id;
    },
    async recognise(gatewayId, ldevid) {
      const issued = await store.records.certificate(ldevid.fingerprintSha256);
      if (issued?.kind !== 'ldevid' || issued.serial === undefined) return { kind: 'unknown' };
      const { serial } = issued;
      return { ...(await standing(gatewayId, serial)), serial };
    },
  };
}

/** What a box is recognised by: its key, and the CA that certified it. */
export const identityOf = ({
  spkiSha256,
  authorityKeyId,
}: Certificate): { readonly spkiSha256: string; readonly issuerKeyId: string } => ({
  spkiSha256,
  issuerKeyId: Buffer.from(authorityKeyId ?? []).toString('hex'),
});
