/**
 * Owns the words of `branchbox fleet domain-cas` and `branchbox fleet drop-ca`: who is under which domain CA, and the end of
 * a CA rollover. Does not own its beginning (signer.ts).
 */
import type { Command } from 'commander';
import { z } from 'zod';
import { Sha256 } from '../model/app.ts';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { minuteOf } from '../model/moment.ts';
import { ACCESS_EXAMPLE, callApi, type Readout, withReadout } from './controllerApi.ts';
import { print } from './terminal.ts';

const PATH = '/api/v1/domain-cas';
const Box = z.object({ gatewayId: z.string(), serial: z.string(), notAfterMs: z.number() });
type Box = z.output<typeof Box>;
const Ca = z.object({ sha256: z.string(), name: z.string() });
const Overview = z.object({
  signing: Ca,
  previous: Ca.optional(),
  dropped: z.array(z.object({ sha256: z.string(), doneAtMs: z.number().optional() })),
  boxes: z.object({ renewedCount: z.number(), behind: z.array(Box), ended: z.array(Box) }),
});
const Answer = z.object({ done: z.boolean(), behind: z.array(Box) });

const boxLine = ({ gatewayId, serial, notAfterMs }: Box): string =>
  `  ${gatewayId} ${serial}, certificate until ${minuteOf(notAfterMs)}`;

export function registerDomainCa(fleet: Command): void {
  withReadout(fleet.command('domain-cas'))
    .description('the domain CAs that count, and which boxes did not renew under the one that signs')
    .addHelpText('after', `\nexample: branchbox fleet domain-cas ${ACCESS_EXAMPLE}`)
    .action(async (flags: Readout) => {
      const text = await callApi(flags, { method: 'GET', path: PATH });
      if (flags.json === true) return void print(text);
      const { signing, previous, dropped, boxes } = decodeJson(Overview, text, "the controller's answer");
      const { renewedCount, behind, ended } = boxes;
      print(
        [
          `signs    ${signing.sha256} ${signing.name}`,
          ...(previous === undefined ? [] : [`before   ${previous.sha256} ${previous.name}`]),
          ...dropped.map(
            ({ sha256, doneAtMs }) => `${doneAtMs === undefined ? 'dropping' : 'dropped '} ${sha256}`,
          ),
          `${renewedCount} boxes are under the one that signs`,
          ...(behind.length === 0 ? [] : ['under another one alone:', ...behind.map(boxLine)]),
          ...(ended.length === 0
            ? []
            : ['ended; they come back by their factory identity:', ...ended.map(boxLine)]),
        ].join('\n'),
      );
    });
  withReadout(fleet.command('drop-ca <sha256>'))
    .description('the end of a CA rollover: the domain CA before counts nowhere any more, for good')
    .option('--dry-run', 'say which boxes would be shut out, and do nothing')
    .option('--insist', 'although boxes did not renew: they come back by their factory identity')
    .addHelpText('after', `\nexample: branchbox fleet drop-ca SHA256 --dry-run ${ACCESS_EXAMPLE}`)
    .action(
      async (word: string, flags: Readout & { readonly dryRun?: boolean; readonly insist?: boolean }) => {
        const sha256 = fingerprintOf(word);
        const query = new URLSearchParams({
          dryRun: String(flags.dryRun === true),
          insist: String(flags.insist === true),
        });
        const path = `${PATH}/${encodeURIComponent(sha256)}?${query.toString()}`;
        const text = await callApi(flags, { method: 'DELETE', path });
        if (flags.json === true) return void print(text);
        const { done, behind } = decodeJson(Answer, text, "the controller's answer");
        const what = done
          ? `${sha256} is dropped: nothing of it counts here, and boxes drop it within a day`
          : `${sha256} would be dropped`;
        const who = behind.length === 0 ? 'no box is shut out' : 'shut out until they enrol anew:';
        print([`${what}; ${who}`, ...behind.map(boxLine)].join('\n'));
      },
    );
}

/** As `domain-cas` prints it, or `openssl x509 -fingerprint -sha256` does. */
function fingerprintOf(word: string): string {
  const sha256 = word.replaceAll(':', '').toLowerCase();
  if (Sha256.safeParse(sha256).success) return sha256;
  throw new BranchboxError('cli/usage', {
    message: `"${word}" is no fingerprint of a domain CA: that is a SHA-256, 64 hexadecimal digits`,
    mend: 'branchbox fleet domain-cas prints it, in the line that begins with "before"',
  });
}
