/**
 * Owns what the factory put on the box: its IDevID, whom it believes vouchers from, its model and the
 * built-in list of bootstrap servers. Does not own how it came there (manufacturer, image).
 */
import { BranchboxError, type Problem } from '../model/errors.ts';
import { GENERIC_MODEL } from '../model/hardware.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificate, parseCertificates, toPem } from '../pki/certificate.ts';
import { deviceSerial } from '../pki/deviceSerial.ts';
import { sameKey } from '../pki/keys.ts';
import type { Files } from '../system/ports.ts';
import type { DeviceKey, DeviceKeys } from './deviceKeys.ts';
import type { TlsIdentity } from './https.ts';

/** A PEM chain of some certificates; far above what any factory writes. */
const MAX_FILE_BYTES = 64 * 1024;

export interface FactoryIdentity {
  readonly serial: string;
  readonly model: string;
  readonly idevid: Certificate;
  readonly key: DeviceKey;
  readonly tls: TlsIdentity;
  /** Signers of vouchers that this box believes; nothing else hangs on them. */
  readonly voucherAnchors: readonly Certificate[];
  /** As written, one URL a line; judged where they are used (discover.ts). */
  readonly builtInServers: readonly string[];
}

/** Throws model/invalid with every problem, each at its file. No TPM is asked: a box without its key still says who it was. */
export async function readFactory(
  files: Files,
  directory: string,
  keys: Pick<DeviceKeys, 'open'>,
): Promise<FactoryIdentity> {
  const problems: Problem[] = [];
  const note = (path: string, message: string): undefined => {
    problems.push({ path: `${directory}/${path}`, message });
    return undefined;
  };
  async function read(name: string): Promise<string | undefined> {
    const text = await files.readText(`${directory}/${name}`, MAX_FILE_BYTES);
    return text === undefined || text.trim() === '' ? note(name, 'is missing or empty') : text;
  }
  function attempt<T>(name: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (thrown) {
      return note(name, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  const keyText = await read('idevid.key');
  const certificateText = await read('idevid.crt');
  const chainText = await files.readText(`${directory}/chain.pem`, MAX_FILE_BYTES);
  const anchorText = await read('voucher-anchor.pem');
  const serial = (await read('serial'))?.trim();
  const modelText = await files.readText(`${directory}/model`, MAX_FILE_BYTES);
  const model = modelText?.trim() || GENERIC_MODEL;
  const servers = (await files.readText(`${directory}/bootstrap-servers`, MAX_FILE_BYTES)) ?? '';

  const keyPem = keyText === undefined ? undefined : new Secret(keyText);
  const key = keyPem && attempt('idevid.key', () => keys.open(keyPem));
  const idevid = certificateText && attempt('idevid.crt', () => parseCertificate(certificateText));
  const chain = attempt('chain.pem', () => parseCertificates(chainText ?? ''));
  const voucherAnchors = anchorText && attempt('voucher-anchor.pem', () => parseCertificates(anchorText));

  const named = idevid && deviceSerial(idevid);
  if (named && 'problem' in named) note('idevid.crt', `cannot be used: ${named.problem}`);
  if (named && 'serial' in named && serial !== undefined && named.serial !== serial) {
    note('idevid.crt', `is for serial ${named.serial}, the box says ${serial}`);
  }
  if (key && idevid && !sameKey(key.publicKey, idevid.publicKey)) {
    note('idevid.key', 'is not the key of idevid.crt');
  }
  if (voucherAnchors && voucherAnchors.length === 0) note('voucher-anchor.pem', 'holds no certificate');

  if (problems.length > 0 || !key || !idevid || !chain || !voucherAnchors || !serial) {
    throw new BranchboxError('model/invalid', {
      message: `The factory identity in ${directory} has ${problems.length} problems`,
      mend: 'the box must go back to the factory, or its factory partition be written anew',
      problems,
    });
  }
  return {
    serial,
    model,
    idevid,
    key,
    tls: { key: key.pem, certificatePem: toPem([idevid, ...chain]) },
    voucherAnchors,
    builtInServers: servers
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  };
}
