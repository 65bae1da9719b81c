/**
 * Owns the words of `branchbox fleet pending|approve|deny|claim`: boxes that wait for a person, by rule, approval or code.
 * Does not own what a rule is (the fleet file) nor what is done: the controller decides.
 */
import type { Command } from 'commander';
import { z } from 'zod';
import { claimCodeTyped } from '../model/assignment.ts';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { asciiOf } from '../model/foreignText.ts';
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
import { renderTable } from './table.ts';
import { print } from './terminal.ts';

const Pending = z.array(
  z.object({
    serial: z.string(),
    claimCode: z.string(),
    state: z.string(),
    address: z.string().optional(),
    rule: z.string().optional(),
    unproven: z.object({
      'hw-model': z.string().optional(),
      'mac-address': z.array(z.string()),
      uuid: z.string().optional(),
      hostname: z.string().optional(),
    }),
    lastSeenMs: z.number(),
  }),
);
type Pending = z.output<typeof Pending>;
const Inventory = z.array(
  z.object({ serial: z.string(), approved: z.boolean(), twoFactor: z.boolean(), state: z.string() }),
);

const pendingPath = (serial: string, verb: string): string =>
  `/api/v1/pending/${encodeURIComponent(serial)}/${verb}`;

interface Choice extends Readout {
  readonly key?: string;
  readonly gateway?: string;
}

export function registerPending(fleet: Command): void {
  withAccess(fleet.command('pending'))
    .description(
      'boxes that wait for an approval; what they say of themselves is in brackets and proves nothing',
    )
    .option('--json', 'for programs: what fits a rule, and what the inventory holds unapproved')
    .addHelpText('after', `\nexample: branchbox fleet pending ${ACCESS_EXAMPLE}`)
    .action(async (flags: Access & { readonly json?: boolean }) => {
      const pendingText = await callApi(flags, { method: 'GET', path: '/api/v1/pending' });
      const inventoryText = await callApi(flags, { method: 'GET', path: '/api/v1/inventory' });
      const pending = decodeJson(Pending, pendingText, "the controller's answer", pendingText.length);
      const inventory = decodeJson(
        Inventory,
        inventoryText,
        "the controller's answer",
        inventoryText.length,
      ).filter(({ approved, state }) => !approved && state !== 'revoked');
      const asTold: unknown = JSON.parse(pendingText);
      print(
        flags.json === true ? JSON.stringify({ pending: asTold, inventory }) : describe(pending, inventory),
      );
    });
  withReadout(fleet.command('approve <serial>'))
    .description('lets a box enrol that waits for an approval or a code')
    .option('--gateway <name>', 'which gateway it becomes; otherwise the fleet or its rule says so')
    .option(
      '--key <start>',
      'claim code or fingerprint, where more than one box says that it has this serial',
    )
    .addHelpText('after', `\nexample: branchbox fleet approve SN-1 --gateway branch7 ${ACCESS_EXAMPLE}`)
    .action(async (serial: string, flags: Choice) => {
      const { gateway } = flags;
      const key = keyTyped(flags.key);
      const body = { ...(gateway === undefined ? {} : { gateway }), ...(key === undefined ? {} : { key }) };
      const named = gateway !== undefined || key !== undefined;
      const text =
        (named ? undefined : await tried(approveKnown(flags, serial))) ??
        (await callApi(flags, jsonCall('POST', pendingPath(serial, 'approve'), body)));
      printAnswer(flags, text, `${serial} may enrol`);
    });
  withReadout(fleet.command('deny <serial>'))
    .description(
      'refuses a box; one of the inventory (if it enrolled already, its tenants\u2019 traffic stops) comes back by `fleet release`, one that waited alone by `fleet approve`',
    )
    .option(
      '--key <start>',
      'claim code or fingerprint, where more than one box says that it has this serial',
    )
    .addHelpText('after', `\nexample: branchbox fleet deny SN-1 ${ACCESS_EXAMPLE}`)
    .action(async (serial: string, flags: Choice) => {
      const key = keyTyped(flags.key);
      const change = { approved: false, revoked: true };
      const known =
        key === undefined
          ? await tried(callApi(flags, jsonCall('PATCH', inventoryPath(serial), change)))
          : undefined;
      if (known !== undefined) {
        printAnswer(flags, known, `${serial} is refused; branchbox fleet release ${serial} takes that back`);
        return;
      }
      const call = jsonCall('POST', pendingPath(serial, 'deny'), key === undefined ? {} : { key });
      const words = `${serial} is refused by its key; another box with that serial is not`;
      printAnswer(flags, await callApi(flags, call), words);
    });
  withReadout(fleet.command('claim <code>'))
    .description('lets in the box with that claim code on its label or page, now or when it comes')
    .requiredOption('--gateway <name>', 'which gateway it becomes')
    .addHelpText(
      'after',
      `\nexample: branchbox fleet claim ABCD-EFGH-JKLM --gateway branch7 ${ACCESS_EXAMPLE}`,
    )
    .action(async (code: string, flags: Choice) => {
      const body = { code: claimCodeTyped(code), gateway: flags.gateway };
      const text = await callApi(flags, jsonCall('POST', '/api/v1/claims', body));
      const Claimed = z.object({ serial: z.string().optional(), endsAtMs: z.number().optional() });
      const { serial, endsAtMs } = decodeJson(Claimed, text, "the controller's answer");
      printAnswer(
        flags,
        text,
        serial === undefined
          ? `the box with that code becomes ${flags.gateway ?? ''} when it comes, until ${new Date(endsAtMs ?? 0).toISOString()}`
          : `${serial} may enrol as ${flags.gateway ?? ''}`,
      );
    });
}

/** Of the inventory. An approval does not take a revocation back, and of a revoked box nothing else would be true. */
async function approveKnown(access: Access, serial: string): Promise<string> {
  const text = await callApi(access, { method: 'GET', path: inventoryPath(serial) });
  if (decodeJson(z.object({ state: z.string() }), text, "the controller's answer").state === 'revoked') {
    throw new BranchboxError('controller/conflict', {
      message: `${serial} is revoked, so it may not enrol`,
      mend: `trust it again first: branchbox fleet release ${serial}`,
    });
  }
  return callApi(access, jsonCall('PATCH', inventoryPath(serial), { approved: true }));
}

/** A claim code in whatever letters and groups; the beginning of a fingerprint as it is. */
const keyTyped = (key: string | undefined): string | undefined =>
  key === undefined || /^[0-9a-f]{8,64}$/.test(key) ? key : claimCodeTyped(key);

/** undefined where the inventory holds no such box. */
async function tried(call: Promise<string>): Promise<string | undefined> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof BranchboxError && thrown.code === 'controller/not-found') return undefined;
    throw thrown;
  }
}

/** Pure. */
export function describe(pending: Pending, inventory: z.output<typeof Inventory>): string {
  const clean = (text: string): string => asciiOf(text, 60);
  const rows = [
    ...pending.map((box) => [
      box.serial,
      box.state,
      box.claimCode,
      box.rule ?? '',
      box.address ?? '',
      new Date(box.lastSeenMs).toISOString(),
      `[${[
        box.unproven['hw-model'],
        box.unproven.hostname,
        box.unproven.uuid,
        ...box.unproven['mac-address'].slice(0, 4),
      ]
        .filter((word) => word !== undefined)
        .map(clean)
        .join(' ')}]`,
    ]),
    ...inventory.map(({ serial, twoFactor }) => [
      serial,
      twoFactor ? 'waits for code' : 'in inventory',
      '',
      '',
      '',
      '',
      '',
    ]),
  ].map((row) => row.map(clean));
  if (rows.length === 0) return 'nobody waits';
  const head = ['SERIAL', 'STATE', 'CLAIM CODE', 'RULE', 'ADDRESS', 'LAST SEEN', '[SAYS OF ITSELF]'];
  return renderTable(head, rows).join('\n');
}
