/**
 * Owns the words of `branchbox fleet`: the fleet's file, its boxes and bundles, over the controller's REST API.
 * Does not own what any of it means: the controller decodes, and its problems are printed as they come.
 */
import type { Command } from 'commander';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { HOW_MADE, whyNoImageArchive } from '../system/imageArchive.ts';
import {
  ACCESS_EXAMPLE,
  type Call,
  callApi,
  gatewayPath,
  jsonCall,
  printAnswer,
  readInput,
  type Readout,
  tellSent,
  unreadable,
  withAccess,
  withReadout,
} from './controllerApi.ts';
import { registerFirmware } from './fleetFirmware.ts';
import { registerUsb } from './fleetUsb.ts';
import { registerInventory } from './fleetInventory.ts';
import { registerPending } from './fleetPending.ts';
import { registerDomainCa } from './fleetDomainCa.ts';
import { registerDisown } from './fleetDisown.ts';
import { registerMove } from './fleetMove.ts';
import { registerReport } from './fleetReport.ts';
import { registerReplace } from './fleetReplace.ts';
import { print } from './terminal.ts';

export function register(program: Command): void {
  const fleet = program
    .command('fleet')
    .description('the fleet, its boxes and bundles, over the controller’s API')
    .addHelpText('after', `\nexample: branchbox fleet status ${ACCESS_EXAMPLE}`);

  withReadout(fleet.command('apply <file>'))
    .description('makes the fleet what a TOML file says')
    .option(
      '--removes <count>',
      'how many boxes lose their place by it; asked for where that is more than one, and held to wherever it is told',
    )
    .addHelpText('after', `\nexample: branchbox fleet apply fleet.toml ${ACCESS_EXAMPLE}`)
    .action(async (file: string, flags: Readout & { readonly removes?: string }) => {
      const body = await readInput(file);
      const { removes } = flags;
      parsedToml(body, file);
      if (removes !== undefined && !/^\d{1,6}$/.test(removes)) {
        throw new BranchboxError('cli/usage', {
          message: `--removes wants a number of boxes, not "${removes}"`,
          mend: 'the refusal of the fleet without it says how many: for instance --removes 2',
        });
      }
      const query = removes === undefined ? '' : `?removes=${encodeURIComponent(removes)}`;
      const path = `/api/v1/fleet${query}`;
      const text = await callApi(flags, { method: 'PUT', path, mediaType: 'application/toml', body });
      printAnswer(flags, text, 'the fleet is as described');
    });
  withAccess(fleet.command('show'))
    .description('prints the fleet as TOML; what a newer version objects to in it stands at its top')
    .option('--json', 'for programs: as JSON; where a newer version objects to it, an error says to what')
    .addHelpText('after', `\nexample: branchbox fleet show ${ACCESS_EXAMPLE}`)
    .action(async ({ json, ...access }: Readout) => {
      const call: Call = { method: 'GET', path: '/api/v1/fleet' };
      print(await callApi(access, json === true ? call : { ...call, accept: 'application/toml' }));
    });
  withAccess(fleet.command('status'))
    .description('prints what each gateway should be and what it says it is, as JSON')
    .option('--json', 'as JSON, which it is anyway')
    .addHelpText('after', `\nexample: branchbox fleet status ${ACCESS_EXAMPLE}`)
    .action(async (access: Readout) => {
      print(await callApi(access, { method: 'GET', path: '/api/v1/status' }));
    });
  withReadout(fleet.command('gateway <file>'))
    .description(
      'puts one gateway into the fleet, new or in place of the one of that id; TOML, the fields of [[gateways]]',
    )
    .addHelpText('after', `\nexample: branchbox fleet gateway branch9.toml ${ACCESS_EXAMPLE}`)
    .action(async (file: string, flags: Readout) => {
      const gateway = await readGateway(file);
      const text = await callApi(flags, jsonCall('PUT', gatewayPath(gateway.id), gateway));
      printAnswer(flags, text, `${gateway.id} is as described`);
    });
  registerInventory(fleet);
  registerUsb(fleet);
  registerPending(fleet);
  registerReplace(fleet);
  registerMove(fleet);
  registerDisown(fleet);
  registerDomainCa(fleet);
  withReadout(fleet.command('reset <gateway>'))
    .description(
      'resets a gateway to factory state: its data goes, apps\u2019 volumes too, and it bootstraps anew',
    )
    .requiredOption('--yes', 'that this is meant')
    .addHelpText('after', `\nexample: branchbox fleet reset branch1 --yes ${ACCESS_EXAMPLE}`)
    .action(async (gateway: string, flags: Readout) => {
      const path = gatewayPath(gateway, '/factory-reset');
      const text = await callApi(flags, jsonCall('POST', path, { confirm: gateway }));
      const { message } = z.object({ message: z.string() }).parse(JSON.parse(text));
      printAnswer(flags, text, `${gateway}: ${message}`);
    });
  withReadout(fleet.command('bundle <file>'))
    .description('uploads an app image in `docker save` format and prints its SHA-256')
    .addHelpText('after', `\nexample: branchbox fleet bundle app.tar ${ACCESS_EXAMPLE}`)
    .action(async (file: string, flags: Readout) => {
      await holdAgainstArchive(file);
      const onTenth = tellSent(file);
      const call = {
        method: 'POST',
        path: '/api/v1/bundles',
        mediaType: 'application/x-tar',
        file,
        onTenth,
      } as const;
      const text = await callApi(flags, call);
      printAnswer(flags, text, z.object({ sha256: z.string() }).parse(JSON.parse(text)).sha256);
    });
  registerFirmware(fleet);
  registerReport(fleet);
}

/** Checked before it is sent: it may be gigabytes, and in the end a box would refuse it, with an app that never starts. */
async function holdAgainstArchive(file: string): Promise<void> {
  const why = await whyNoImageArchive(file).catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  if (why === undefined) return;
  throw new BranchboxError('model/invalid', { message: `${file} is no app image: ${why}`, mend: HOW_MADE });
}

async function readGateway(file: string): Promise<{ readonly id: string }> {
  return decode(z.looseObject({ id: z.string() }), parsedToml(await readInput(file), file), file);
}

/** Throws model/invalid by the name of the file, which the controller does not know. */
function parsedToml(text: string, file: string): unknown {
  try {
    return parseToml(text);
  } catch (cause) {
    throw new BranchboxError('model/invalid', {
      message: `${file} is not TOML: ${cause instanceof Error ? cause.message.trimEnd() : String(cause)}`,
      mend: 'correct that line; docs/controller.md has a fleet as an example',
      cause,
    });
  }
}
