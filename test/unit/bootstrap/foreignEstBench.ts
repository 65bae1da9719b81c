/**
 * Owns a box from the factory whose EST server is somebody else's, and what such a server sends, to the byte. Does not own
 * the server (foreignEst.ts).
 */
import { parseCertificates } from '../../../src/pki/certificate.ts';
import { signConveyed } from '../../../src/pki/conveyed.ts';
import { type Authorities, createAuthorities, ownerRecord } from './authorities.ts';
import { createBox, type LogLine } from './box.ts';
import { type Asked, type ForeignOptions, startForeignEst, type Wire } from './foreignEst.ts';
import { onboarding, startController } from './servers.ts';

export const PKCS7 = 'Content-Type: application/pkcs7-mime; smime-type=certs-only';
export const http = (status: string, headers: readonly string[], body: string, version = '1.1'): string =>
  [`HTTP/${version} ${status}`, ...headers, '', body].join('\r\n');
export const sized = (headers: readonly string[], body: string): string =>
  http('200 OK', [...headers, `Content-Length: ${body.length}`], body);
export const wrapped = (base64: string, columns: number, end: string): string =>
  base64.replaceAll(new RegExp(`.{1,${columns}}`, 'g'), (line) => line + end);
export const chunked = (headers: readonly string[], body: string): string => {
  const pieces = body.match(/.{1,200}/gs) ?? [];
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
  return http('200 OK', [...headers, 'Transfer-Encoding: chunked'], `${chunks}0\r\n\r\n`);
};
export const good: Wire = ({ base64 }) => sized([PKCS7], base64);
/** Only what is enrolled is answered otherwise, the first time. */
export const firstEnrolment =
  (first: (asked: Asked) => string): Wire =>
  (asked) =>
    asked.method === 'POST' && asked.times === 0 ? first(asked) : good(asked);

/** `remove` ends what was made so far. */
export function createForeignEstBench() {
  const cleanups: (() => Promise<unknown>)[] = [];
  async function remove(): Promise<void> {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  }

  /** A box from the factory, whose owner has his bootstrap server with us and his EST server elsewhere. */
  async function enrolAt(
    options: Omit<ForeignOptions, 'authorities'>,
    until: 'OPERATIONAL' | ((line: LogLine) => boolean),
  ) {
    const authorities: Authorities = createAuthorities();
    const controller = await startController(authorities);
    cleanups.push(() => controller.close());
    const est = await startForeignEst({ authorities, ...options });
    cleanups.push(() => est.close());
    const owner = ownerRecord(authorities, controller.port);
    const artefacts = controller.behaviour.artefacts;
    controller.behaviour.artefacts = (nonce) => ({
      ...artefacts(nonce),
      conveyed: signConveyed({
        content: onboarding({ ...owner, est: { ...owner.est, port: est.port } }),
        format: 'json',
        owner: authorities.ownerSigner,
      }),
    });
    const box = await createBox(authorities, controller.port);
    cleanups.push(() => box.remove());
    await box.run({ controller, until });
    const certificate = (await box.files.readText(`${box.paths.state}/ldevid.crt`)) ?? '';
    return {
      box,
      controller,
      est,
      names:
        certificate === '' ? [] : parseCertificates(certificate).map(({ subject }) => subject.commonName),
    };
  }

  return { enrolAt, remove };
}
