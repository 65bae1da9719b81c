/**
 * Owns what a factory and an owner make for a machine without a network: its identity, and the bootstrap medium that says
 * whose it is. Does not own how a machine gets them.
 */
import { MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { ownerCertificate, signConveyed } from '../../../src/pki/conveyed.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createVoucher } from '../../../src/pki/voucher.ts';
import {
  createAuthorities,
  DAY_MS,
  issued,
  LASTING,
  ownerRecord,
  SERIAL,
} from '../../unit/bootstrap/authorities.ts';
import { onboarding } from '../../unit/bootstrap/servers.ts';

/** The machine has no port at all. */
const NETWORK = {
  schema: 1,
  addressing: { kind: 'static', address: '192.0.2.5/24', gateway: '192.0.2.1', dns: ['192.0.2.53'] },
  bootstrapServers: [],
} as const;

type Files = ReadonlyMap<string, string | Uint8Array>;

/** Of SERIAL, as from today: `identity` by the name of each file, `medium` by its place on the medium. */
export function factoryAndOwner(): { readonly identity: Files; readonly medium: Files } {
  const authorities = createAuthorities();
  const owner = issued(authorities.domain, { kind: 'owner', commonName: 'owner' }, LASTING);
  const content = onboarding({ ...ownerRecord(authorities, 8443), network: NETWORK });
  const nowMs = Date.now();
  const voucher = createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs: nowMs - DAY_MS,
      expiresOnMs: nowMs + 30 * DAY_MS,
      nonce: undefined,
      idevidIssuer: authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: authorities.domain.certificate,
    },
    signer: authorities.voucherSigner,
  });
  const place = `${MEDIUM_DIRECTORY}/${SERIAL}`;
  return {
    identity: new Map([
      ['idevid.key', exportPrivateKey(authorities.idevid.key).reveal()],
      ['idevid.crt', authorities.idevid.certificate.pem],
      ['chain.pem', authorities.manufacturer.certificate.pem],
      ['voucher-anchor.pem', authorities.manufacturer.certificate.pem],
      ['serial', `${SERIAL}\n`],
    ]),
    medium: new Map([
      [`${place}/${MEDIUM_FILES.conveyed}`, signConveyed({ content, format: 'json', owner })],
      [`${place}/${MEDIUM_FILES.ownerCertificate}`, ownerCertificate(owner)],
      [`${place}/${MEDIUM_FILES.voucher}`, voucher],
    ]),
  };
}
