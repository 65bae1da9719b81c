/**
 * Owns the words of `branchbox fleet inventory|activation|release`: which boxes may join, and by what code.
 * Does not own mailing: what to send is printed, and how it goes is the operator's.
 */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import {
  ACCESS_EXAMPLE,
  type Access,
  callApi,
  inventoryPath,
  jsonCall,
  printAnswer,
  type Readout,
  withAccess,
  withReadout,
} from './controllerApi.ts';
import { spanS } from './span.ts';
import { print } from './terminal.ts';

/** What `fleet activation --json` prints. */
export const ActivationMade = z.object({
  serial: z.string(),
  code: z.string(),
  link: z.string().optional(),
  endsAtMs: z.number(),
  mail: z.string().optional(),
  message: z.string(),
});

/** Of an entry of the inventory. */
const Standing = z.object({ approved: z.boolean(), twoFactor: z.boolean() });

const Released = z.object({ twoFactor: z.boolean(), identity: z.unknown().optional() });

interface InventoryFlags extends Readout {
  readonly twoFactor?: boolean;
  readonly pending?: boolean;
  readonly change?: boolean;
}

export function registerInventory(fleet: Command): void {
  withAccess(fleet.command('inventory <serial...>'))
    .description('makes serials known; those that are known already stay as they are, but for --change')
    .option('--two-factor', 'each enrols once its installer typed a code (branchbox fleet activation)')
    .option('--pending', 'each enrols once it was approved (branchbox fleet approve)')
    .option('--change', 'also those that are known already, at their next enrolment')
    .option('--json', 'for programs: the entries, in the order of the serials')
    .addHelpText('after', `\nexample: branchbox fleet inventory SN-1 SN-2 --two-factor ${ACCESS_EXAMPLE}`)
    .action(async (serials: readonly string[], flags: InventoryFlags) => {
      if (flags.change === true && flags.twoFactor !== true && flags.pending !== true) {
        throw new BranchboxError('cli/usage', {
          message: '--change says nothing of what is to change',
          mend: 'add --two-factor or --pending; `branchbox fleet approve SERIAL` takes a box without either',
        });
      }
      const how = {
        ...(flags.twoFactor === true ? { twoFactor: true } : {}),
        ...(flags.pending === true ? { approved: false } : {}),
      };
      const problems: BranchboxError[] = [];
      const entries: string[] = [];
      for (const serial of serials) {
        const call = jsonCall('POST', '/api/v1/inventory', { serial, ...how });
        const entry = await callApi(flags, call).catch((thrown: unknown) => {
          if (!(thrown instanceof BranchboxError) || thrown.code !== 'controller/conflict') throw thrown;
          return asWished(flags, serial);
        });
        if (entry instanceof BranchboxError) problems.push(entry);
        else entries.push(entry);
      }
      const [first] = problems;
      if (first !== undefined) {
        throw new BranchboxError('controller/conflict', {
          message: problems.map(({ message }) => message).join('; '),
          ...(first.mend !== undefined && { mend: first.mend }),
        });
      }
      printAnswer(flags, `[${entries.join(',')}]`, `${serials.length} in the inventory`);
    });
  withAccess(fleet.command('activation <serial>'))
    .description('makes the link and the code by which an installer activates a box, to be sent by two ways')
    .option('--valid <span>', 'from 60s to 7d', '24h')
    .option('--length <characters>', 'of the code, 4 to 10', '8')
    .option('--no-link', 'a code that is enough by itself, for where there is no mail')
    .addOption(
      new Option(
        '--show',
        'makes none: how the code that there is stands, and which keys tried it how often',
      ).conflicts(['valid', 'length', 'link']),
    )
    .option('--json', 'for programs: one JSON object')
    .addHelpText('after', `\nexample: branchbox fleet activation SN-1 --valid 2h ${ACCESS_EXAMPLE}`)
    .action(
      async (
        serial: string,
        flags: Access & {
          readonly valid: string;
          readonly length: string;
          readonly link: boolean;
          readonly show?: boolean;
          readonly json?: boolean;
        },
      ) => {
        if (flags.show === true) {
          const text = await callApi(flags, { method: 'GET', path: `${inventoryPath(serial)}/activation` });
          print(flags.json === true ? text.trim() : standingText(serial, text));
          return;
        }
        const wanted = {
          validS: spanS('--valid', flags.valid, ['60s', '7d']),
          codeLength: parseLength(flags.length),
          link: flags.link,
        };
        const text = await callApi(flags, jsonCall('POST', `${inventoryPath(serial)}/activation`, wanted));
        const made = decodeJson(ActivationMade, text, "the controller's answer");
        if (flags.json === true) {
          print(JSON.stringify(made));
          return;
        }
        const mail =
          made.mail === undefined ? '' : `Mail this:\n\n${made.mail}\n\nAnd tell this by another way:\n\n`;
        print(`${mail}${made.message}`);
      },
    );
  withReadout(fleet.command('release <serial>'))
    .description('trusts a box again that was refused or revoked: it leaves its quarantine by itself')
    .addHelpText('after', `\nexample: branchbox fleet release SN-1 ${ACCESS_EXAMPLE}`)
    .action(async (serial: string, flags: Readout) => {
      const text = await callApi(flags, { method: 'GET', path: inventoryPath(serial) });
      const { twoFactor, identity } = decodeJson(Released, text, "the controller's answer");
      // Refused before it ever enrolled: what was asked of it then is asked of it still.
      const lacksCode = twoFactor && identity === undefined;
      const change = { approved: !lacksCode, revoked: false };
      const released = await callApi(flags, jsonCall('PATCH', inventoryPath(serial), change));
      const how = lacksCode
        ? `; it enrols once its installer typed a code (branchbox fleet activation ${serial})`
        : '';
      printAnswer(flags, released, `${serial} is trusted again${how}`);
    });
}

/**
 * A box that is known already and enrols at once where its operator wished that it wait: changed where they asked for that,
 * else told. Its entry where it is as wished.
 */
async function asWished(flags: InventoryFlags, serial: string): Promise<string | BranchboxError> {
  const text = await callApi(flags, { method: 'GET', path: inventoryPath(serial) });
  const { approved, twoFactor } = decodeJson(Standing, text, "the controller's answer");
  const lacksFactor = flags.twoFactor === true && !twoFactor;
  // One that typed its code before is as wished, unless it is to do so again.
  const enrolsAtOnce = approved && (flags.pending === true || flags.change === true);
  if (!lacksFactor && !enrolsAtOnce) return text;
  if (flags.change === true) {
    const wish = { ...(lacksFactor && { twoFactor: true }), approved: false };
    return callApi(flags, jsonCall('PATCH', inventoryPath(serial), wish));
  }
  return new BranchboxError('controller/conflict', {
    message: `${serial} is known already, ${lacksFactor ? 'without a second factor' : 'as approved'}, and stays so`,
    mend: 'with --change it waits at its next enrolment',
  });
}

const ActivationStanding = z.object({
  endsAtMs: z.number(),
  keys: z.array(
    z.object({
      spkiSha256: z.string(),
      triesTaken: z.int(),
      triesLeft: z.int(),
      lastTryAtMs: z.number(),
    }),
  ),
});

/** Pure. */
export function standingText(serial: string, json: string): string {
  const { endsAtMs, keys } = decodeJson(ActivationStanding, json, "the controller's answer");
  const taken = keys.reduce((sum, { triesTaken }) => sum + triesTaken, 0);
  const head = `The code for ${serial} is valid until ${new Date(endsAtMs).toISOString()}; tries: ${taken}, by ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`;
  const lines = keys.map(
    ({ spkiSha256, triesTaken, triesLeft, lastTryAtMs }) =>
      `  key ${spkiSha256}: ${triesTaken} taken, ${triesLeft} left, last ${new Date(lastTryAtMs).toISOString()}`,
  );
  const warning =
    keys.length > 1 ? ['More than one key: another box says to be this one. One of them is not yours.'] : [];
  return [head, ...lines, ...warning].join('\n');
}

function parseLength(text: string): number {
  if (/^(?:[4-9]|10)$/.test(text)) return Number(text);
  throw new BranchboxError('cli/usage', {
    message: `--length wants a number of characters from 4 to 10, not ${text}`,
    mend: 'for instance --length 8',
  });
}
