/**
 * Owns taking a certificate of this controller's own servers or of its MQTT client out of use for good, when its key may be
 * known to others: another key and certificate everywhere first, then the entry at the signer, then a list with it.
 * Does not own the entry (the signer keeps it), the list (revocations.ts) nor boxes' certificates, which go by the inventory.
 */
import { z } from 'zod';
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { Renewal } from './renewal.ts';
import type { SignerClient } from './signer/client.ts';
import { CertificateNumber, type ForGoodReason, RevokedForGoodEntry } from './signer/messages.ts';
import type { Store } from './store/store.ts';

const InUse = z.strictObject({
  kind: z.enum(['server', 'client']),
  number: CertificateNumber,
  subject: z.string(),
  notBeforeMs: z.number(),
  notAfterMs: z.number(),
});
export const ServiceCertificates = z.strictObject({
  inUse: z.array(InUse),
  /** For good: these stay on the list. */
  revoked: z.array(RevokedForGoodEntry),
});
export type ServiceCertificates = z.output<typeof ServiceCertificates>;

export interface ServiceRevocations {
  overview(): Promise<ServiceCertificates>;
  /** Idempotent. `replaced`: it was in use, and now another one is. Throws controller/conflict for a box's certificate. */
  revoke(wish: {
    readonly number: string;
    readonly reason: ForGoodReason;
    readonly actor: string;
  }): Promise<{ readonly replaced: boolean }>;
}

export function createServiceRevocations(options: {
  readonly renewal: Pick<Renewal, 'current' | 'look'>;
  readonly signer: Pick<SignerClient, 'revoke' | 'revokedForGood'>;
  readonly store: Pick<Store, 'records'>;
  /** A list with the entry is signed, and told to whoever goes by it. Returns at once. */
  readonly listAnew: () => void;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Logger;
}): ServiceRevocations {
  const { renewal, signer, store, clock, log } = options;

  const inUse = (): readonly { readonly kind: 'server' | 'client'; readonly leaf: Certificate }[] => {
    const current = renewal.current();
    return (['server', 'client'] as const).flatMap((kind) => {
      const [leaf] = parseCertificates(current[kind].certificatePem);
      return leaf === undefined ? [] : [{ kind, leaf }];
    });
  };

  return {
    async overview() {
      return {
        inUse: inUse().map(({ kind, leaf }) => ({
          kind,
          number: leaf.number,
          subject: leaf.subject.commonName ?? '',
          notBeforeMs: leaf.notBeforeMs,
          notAfterMs: leaf.notAfterMs,
        })),
        revoked: [...(await signer.revokedForGood())],
      };
    },
    async revoke({ number, reason, actor }) {
      const box = (await store.records.ldevids(0)).find((issued) => issued.number === number);
      if (box !== undefined) {
        throw new BranchboxError('controller/conflict', {
          message: `${number} is a certificate of the box ${box.gatewayId}, and not of a server or service`,
          mend: 'a box is revoked by its serial, and can be taken back: branchbox fleet deny SERIAL',
        });
      }
      const replaced = inUse().some(({ leaf }) => leaf.number === number);
      // Before it is on any list: boxes would refuse every server of this controller.
      if (replaced) await renewal.look(number);
      await signer.revoke(number, reason);
      options.listAnew();
      await store.records.audit({
        atMs: clock.nowMs(),
        actor,
        action: 'service-certificate-revoked',
        subject: number,
        detail: reason,
      });
      log.warn('a certificate of a server or service is revoked for good', {
        number,
        reason,
        actor,
        replaced,
      });
      return { replaced };
    },
  };
}
