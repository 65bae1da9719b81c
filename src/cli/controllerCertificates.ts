/**
 * Owns the words of `branchbox controller certificates` and `branchbox controller revoke`: the certificates of the controller's
 * own servers, and taking one out of use whose key may be known to others. Does not own boxes' certificates (fleet.ts).
 */
import { X509Certificate } from 'node:crypto';
import type { Command } from 'commander';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { minuteOf } from '../model/moment.ts';
import { ACCESS_EXAMPLE, callApi, jsonCall, readInput, type Readout, withReadout } from './controllerApi.ts';
import { print } from './terminal.ts';

const PATH = '/api/v1/service-certificates';
const Certificates = z.object({
  inUse: z.array(
    z.object({ kind: z.string(), number: z.string(), subject: z.string(), notAfterMs: z.number() }),
  ),
  revoked: z.array(z.object({ number: z.string(), revokedAtMs: z.number(), reason: z.string() })),
});
type Certificates = z.output<typeof Certificates>;
const Answer = z.object({ number: z.string(), replaced: z.boolean(), certificates: Certificates });

const linesOf = ({ inUse, revoked }: Certificates): readonly string[] => [
  ...inUse.map(
    ({ kind, number, subject, notAfterMs }) =>
      `in use   ${number} ${kind} ${subject}, until ${minuteOf(notAfterMs)}`,
  ),
  ...revoked.map(
    ({ number, revokedAtMs, reason }) => `revoked  ${number} since ${minuteOf(revokedAtMs)}, ${reason}`,
  ),
];

interface RevokeFlags extends Readout {
  readonly certificate?: string;
  readonly superseded?: boolean;
}

export function registerCertificates(controller: Command): void {
  withReadout(controller.command('certificates'))
    .description("the certificates of the controller's own servers, and those that are revoked for good")
    .addHelpText('after', `\nexample: branchbox controller certificates ${ACCESS_EXAMPLE}`)
    .action(async (flags: Readout) => {
      const text = await callApi(flags, { method: 'GET', path: PATH });
      if (flags.json === true) return void print(text);
      print(linesOf(decodeJson(Certificates, text, "the controller's answer")).join('\n'));
    });
  withReadout(controller.command('revoke [number]'))
    .description(
      'a certificate of a server counts no more, for good; one in use is replaced first, by another key',
    )
    .option('--certificate <file>', 'the certificate itself, in the place of its number (PEM)')
    .option(
      '--superseded',
      'it was replaced, and its key is known to nobody; without it: the key may be known',
      false,
    )
    .addHelpText('after', `\nexample: branchbox controller revoke --certificate server.crt ${ACCESS_EXAMPLE}`)
    .action(async (word: string | undefined, flags: RevokeFlags) => {
      const number = await numberOf(word, flags.certificate);
      const reason = flags.superseded === true ? 'superseded' : 'keyCompromise';
      const text = await callApi(flags, jsonCall('POST', `${PATH}/${number}/revocation`, { reason }));
      if (flags.json === true) return void print(text);
      const { replaced, certificates } = decodeJson(Answer, text, "the controller's answer");
      const what = replaced
        ? `${number} was in use: the controller has another key and certificate, and this one is revoked for good`
        : `${number} is revoked for good`;
      print([what, ...linesOf(certificates)].join('\n'));
    });
}

async function numberOf(word: string | undefined, file: string | undefined): Promise<string> {
  if ((word === undefined) === (file === undefined)) {
    throw new BranchboxError('cli/usage', {
      message: 'name a certificate either by its number or by --certificate FILE',
      mend: 'branchbox controller certificates prints the numbers of those in use',
    });
  }
  if (file !== undefined) return numberIn(file, await readInput(file));
  // As `branchbox controller certificates` prints it, or `openssl x509 -serial` does.
  const number = (word ?? '')
    .replace(/^serial=/, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^(?:[0-9a-f]{2}){1,20}$/.test(number)) return number;
  throw new BranchboxError('cli/usage', {
    message: `"${word}" is no number of a certificate: that is 2 to 40 hexadecimal digits, two by two`,
    mend: 'branchbox controller certificates prints those in use; openssl x509 -noout -serial -in FILE that of a file',
  });
}

/** Of the first certificate in it: servers keep their own before its chain. */
function numberIn(file: string, text: string): string {
  try {
    return new X509Certificate(text).serialNumber.toLowerCase();
  } catch (cause) {
    throw new BranchboxError('pki/malformed', {
      message: `${file} holds no certificate`,
      mend: 'name a PEM file: -----BEGIN CERTIFICATE-----',
      cause,
    });
  }
}
