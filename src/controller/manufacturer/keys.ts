/**
 * Owns the manufacturer's keys and the directory they stand in: made by `init`, opened by `serve` and `identity`.
 * Does not own devices (devices.ts) nor what is signed for whom (vouchers.ts).
 *
 * Three anchors that never mix: an IDevID must not be able to sign a voucher, nor call this service.
 *   ca          issues IDevIDs; the controller's anchor for boxes
 *   voucher-ca  issues the voucher signer alone; the boxes' anchor for vouchers
 *   service-ca  issues this service's TLS certificate and its customers' client certificates
 */
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { canonicalAddress } from '../../model/prefixes.ts';
import { type Credential, issueCertificate, NO_EXPIRY_MS, selfSignedCa } from '../../pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../pki/keys.ts';
import type { Clock, Files } from '../../system/ports.ts';
import { createKeyFiles } from '../keyholder/keyFiles.ts';

export interface ManufacturerKeys {
  readonly ca: Credential;
  readonly voucherCa: Credential;
  readonly voucherSigner: Credential;
  readonly serviceCa: Credential;
  readonly tls: Credential;
}

const DAY_MS = 86_400_000;
/** Controllers whose clock is a little behind must not find a fresh certificate in their future. */
const BACKDATE_MS = 3_600_000;
const TLS_LIFE_MS = 397 * DAY_MS;
const TLS_LEFT_MS = 130 * DAY_MS;
const CLIENT_LIFE_MS = 5 * 365 * DAY_MS;
/** Account that `init` makes a client certificate for. */
const FIRST_CUSTOMER = 'controller';

interface Place {
  readonly files: Files;
  readonly clock: Clock;
  readonly directory: string;
}

/** Makes what is not there yet; what is there stays as it is. */
export async function initManufacturer(
  place: Place & { readonly dnsName: string; readonly addresses: readonly string[] },
): Promise<ManufacturerKeys> {
  const { files, directory, dnsName, addresses } = place;
  const keyFiles = createKeyFiles({ files, directory });
  const forever = validityOf(place, NO_EXPIRY_MS);
  const ca = async (name: string, commonName: string): Promise<Credential> => {
    const credential =
      (await keyFiles.load(name)) ??
      (await keyFiles.make(name, ({ privateKey }) =>
        selfSignedCa({ commonName, key: privateKey, validity: forever, pathLength: 0 }),
      ));
    await files.writeDurable(join(directory, `${name}.crt`), credential.certificate.pem, 0o644);
    return credential;
  };
  await ca('ca', 'Branchbox manufacturer CA');
  const voucherCa = await ca('voucher-ca', 'Branchbox voucher CA');
  const serviceCa = await ca('service-ca', 'Branchbox manufacturer service CA');
  if ((await keyFiles.load('voucher-signer')) === undefined) {
    // Boxes without a clock judge it, for as long as they live: it ends by replacement, not by a date.
    await keyFiles.make('voucher-signer', ({ publicKey }) =>
      issueCertificate({
        profile: { kind: 'voucher-signing', commonName: 'Branchbox voucher signer' },
        publicKey,
        issuer: voucherCa,
        validity: forever,
      }),
    );
  }
  const tls = await keyFiles.load('tls');
  const { certificate } = tls ?? {};
  const isNamed =
    certificate?.dnsNames.includes(dnsName) === true &&
    addresses.every((address) => certificate.ipAddresses.includes(canonicalAddress(address)));
  if (!isNamed) {
    await makeTls(place, serviceCa, { dnsNames: [dnsName], ipAddresses: addresses });
  }
  await makeFirstClient(place, serviceCa);
  return openManufacturerKeys(place);
}

/** Throws where `init` has not been run. */
export async function openManufacturerKeys(place: Place): Promise<ManufacturerKeys> {
  const { directory } = place;
  const keyFiles = createKeyFiles(place);
  const load = async (name: string): Promise<Credential> => {
    const credential = await keyFiles.load(name);
    if (credential !== undefined) return credential;
    throw new BranchboxError('system/file', {
      message: `${join(directory, `${name}.pem`)} is not there`,
      mend: `run: branchbox manufacturer init --state ${directory} --name DNSNAME`,
    });
  };
  const serviceCa = await load('service-ca');
  return {
    ca: await load('ca'),
    voucherCa: await load('voucher-ca'),
    voucherSigner: await load('voucher-signer'),
    serviceCa,
    tls: await renewedTls(place, { serviceCa, tls: await load('tls') }),
  };
}

/** The same while enough of its life is left; else the next one, on disk, with another key and the same names. */
export async function renewedTls(
  place: Place,
  { serviceCa, tls }: Pick<ManufacturerKeys, 'serviceCa' | 'tls'>,
): Promise<Credential> {
  const isFresh = tls.certificate.notAfterMs - place.clock.nowMs() >= TLS_LEFT_MS;
  return isFresh ? tls : makeTls(place, serviceCa, tls.certificate);
}

function makeTls(
  place: Place,
  issuer: Credential,
  names: { readonly dnsNames: readonly string[]; readonly ipAddresses: readonly string[] },
): Promise<Credential> {
  const { dnsNames, ipAddresses } = names;
  return createKeyFiles(place).make('tls', ({ publicKey }) =>
    issueCertificate({
      profile: { kind: 'server', commonName: 'Branchbox manufacturer', dnsNames, ipAddresses },
      publicKey,
      issuer,
      validity: validityOf(place, place.clock.nowMs() + TLS_LIFE_MS),
    }),
  );
}

/** client.key and client.crt are for handing to the controller; this service never reads them. */
async function makeFirstClient(place: Place, issuer: Credential): Promise<void> {
  const { files, clock, directory } = place;
  const path = join(directory, 'client.crt');
  if ((await files.readText(path)) !== undefined) return;
  const { privateKey, publicKey } = generateKeyPair();
  const validity = validityOf(place, clock.nowMs() + CLIENT_LIFE_MS);
  const profile = { kind: 'client', commonName: FIRST_CUSTOMER } as const;
  const certificate = issueCertificate({ profile, publicKey, issuer, validity });
  await files.writeDurable(join(directory, 'client.key'), exportPrivateKey(privateKey).reveal(), 0o600);
  await files.writeDurable(path, certificate.pem, 0o644);
}

function validityOf({ clock }: Place, notAfterMs: number): { notBeforeMs: number; notAfterMs: number } {
  return { notBeforeMs: clock.nowMs() - BACKDATE_MS, notAfterMs };
}
