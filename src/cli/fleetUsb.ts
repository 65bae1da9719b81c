/**
 * Owns the words of `branchbox fleet usb`: the options of a network, the files of a bootstrap medium, its label.
 * Does not own signing (the controller does) nor making a file system: DIR is where a stick is mounted, or is copied to
 * one. Passwords come from a file or a prompt, never from the command line, which everybody on the machine can read.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { encodeQR } from 'qr';
import type { z } from 'zod';
import { decode, decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { INSTALLER_NAME } from '../model/installer.ts';
import { BootstrapNetwork, type HttpProxy, MadeMedium, MEDIUM_DIRECTORY } from '../model/medium.ts';
import { createFiles } from '../system/linux/files.ts';
import {
  ACCESS_EXAMPLE,
  type Access,
  callApi,
  inventoryPath,
  jsonCall,
  readInput,
  withAccess,
} from './controllerApi.ts';
import { spanS } from './span.ts';
import { spelledOut } from './terminal.ts';
import { inOptions } from './usbProblems.ts';
import { planStaticAddresses } from './usbAddresses.ts';

interface Flags extends Access {
  readonly out: string;
  readonly valid: string;
  readonly port?: string;
  readonly address?: readonly string[];
  readonly gateway?: readonly string[];
  readonly dns?: readonly string[];
  readonly vlan?: string;
  readonly pppoeUser?: string;
  readonly pppoePasswordFile?: string;
  readonly modem?: string | true;
  readonly modemUser?: string;
  readonly modemPasswordFile?: string;
  readonly modemPinFile?: string;
  readonly proxy?: string;
  readonly proxyUser?: string;
  readonly proxyPasswordFile?: string;
  readonly json?: boolean;
}

export function registerUsb(fleet: Command): void {
  withAccess(fleet.command('usb <serial>'))
    .description('makes the files of a bootstrap medium for one box, and the QR code for its label')
    .requiredOption('--out <directory>', 'where the stick is mounted; several boxes fit on one')
    .option('--valid <span>', 'how long the box takes it, from 1h to 365d', '30d')
    .option('--port <label>', 'the WAN port; without it the first one')
    .option(
      '--address <cidr>',
      'static address, for instance 192.0.2.5/24 or 2001:db8::5/64; one a family',
      oneMore,
    )
    .option('--gateway <address>', 'of each --address', oneMore)
    .option('--dns <address...>', 'with --address, of its family')
    .option('--vlan <id>', 'VLAN of the WAN port')
    .option('--pppoe-user <name>', 'PPPoE; the password is asked for, or in a file')
    .option('--pppoe-password-file <file>', 'its first line')
    .option('--modem [apn]', 'the first modem, or that of --port; without an APN by what its network gives')
    .option('--modem-user <name>', 'the password is asked for, or in a file')
    .option('--modem-password-file <file>', 'its first line')
    .option('--modem-pin-file <file>', "its first line is the SIM's PIN")
    .option('--proxy <host:port>', 'HTTP proxy to go through')
    .option('--proxy-user <name>', 'the password is asked for, or in a file')
    .option('--proxy-password-file <file>', 'its first line')
    .option('--json', 'for programs: one JSON object, no QR code')
    .addHelpText(
      'after',
      `\nexample: branchbox fleet usb SN-1 --out /media/stick --address 192.0.2.5/24 --gateway 192.0.2.1 --dns 192.0.2.53 ${ACCESS_EXAMPLE}`,
    )
    .action(async (serial: string, flags: Flags) => {
      const network = await networkOf(flags);
      const wish = { network, validS: spanS('--valid', flags.valid, ['1h', '365d']) };
      const text = await callApi(flags, jsonCall('POST', `${inventoryPath(serial)}/medium`, wish));
      const made = decodeJson(MadeMedium, text, "the controller's answer");
      const isThere = existsSync(flags.out);
      const written = await write(made, flags.out);
      if (!isThere) {
        process.stderr.write(
          spelledOut(
            `${flags.out} was not there and was made: if a stick was meant, none is mounted there\n`,
          ),
        );
      }
      const expiresOn = new Date(made.expiresOnMs).toISOString();
      if (flags.json === true) {
        const { gatewayId } = made;
        process.stdout.write(`${JSON.stringify({ serial: made.serial, gatewayId, expiresOn, written })}\n`);
        return;
      }
      process.stdout.write(
        `${encodeQR(labelOf(made.serial), 'term')}\n${made.serial} becomes ${made.gatewayId} with this medium, until ${expiresOn}\n${written.map((path) => `  ${path}\n`).join('')}`,
      );
    });
}

/** An option that may stand more than once. */
const oneMore = (word: string, before: readonly string[] = []): readonly string[] => [...before, word];

/** What a phone at a LAN port opens, and an inventory's scanner reads the serial of; a fragment is sent to nobody. */
const labelOf = (serial: string): string => `http://${INSTALLER_NAME}/#${serial}`;

/** Only below the medium's own directory, whatever the controller named. */
async function write(made: MadeMedium, out: string): Promise<readonly string[]> {
  const files = createFiles();
  const directory = `${MEDIUM_DIRECTORY}/${made.serial}`;
  const written: string[] = [];
  for (const { path, content } of made.files) {
    const name = path.slice(directory.length + 1);
    if (path !== `${directory}/${name}` || !/^[a-z-]+\.[a-z]+$/.test(name)) {
      throw new BranchboxError('controller/refused', {
        message: `the controller named a file that is none of a medium: ${path}`,
      });
    }
    const target = join(out, path);
    await files.writeDurable(target, Buffer.from(content, 'base64'), 0o600);
    written.push(target);
  }
  const label = join(out, directory, 'label.svg');
  await files.writeDurable(label, encodeQR(labelOf(made.serial), 'svg'), 0o644);
  return [...written, label];
}

/** Options that mean nothing without another. Ignoring one in silence would be noticed only by the installer, far away. */
const BELONGS_TO = [
  ['modemUser', 'modem'],
  ['modemPasswordFile', 'modem'],
  ['modemPasswordFile', 'modemUser'],
  ['modemPinFile', 'modem'],
  ['pppoePasswordFile', 'pppoeUser'],
  ['proxyUser', 'proxy'],
  ['proxyPasswordFile', 'proxy'],
  ['proxyPasswordFile', 'proxyUser'],
] as const satisfies readonly (readonly [keyof Flags, keyof Flags])[];

/** `proxyUser` as it is typed: `--proxy-user`. */
const flagOf = (option: string): string =>
  `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

async function networkOf(flags: Flags): Promise<z.output<typeof BootstrapNetwork>> {
  const usage = (message: string, mend: string) => new BranchboxError('cli/usage', { message, mend });
  if (flags.address !== undefined && flags.pppoeUser !== undefined) {
    throw usage('a line has either a static address or PPPoE', 'leave --address or --pppoe-user out');
  }
  if (flags.modem !== undefined && (flags.address ?? flags.pppoeUser ?? flags.vlan) !== undefined) {
    throw usage('a modem has neither an address, a VLAN nor PPPoE', 'leave --modem or the others out');
  }
  for (const [option, owner] of BELONGS_TO) {
    if (flags[option] === undefined || flags[owner] !== undefined) continue;
    throw usage(`${flagOf(option)} belongs to ${flagOf(owner)}`, `add ${flagOf(owner)}, or leave it out`);
  }
  const { address: addresses = [], gateway: gateways = [], dns = [] } = flags;
  const statics = planStaticAddresses({ addresses, gateways, dns });
  const addressing6 = statics.get(6);
  const addressing =
    statics.get(4) ??
    (await modemOf(flags)) ??
    (flags.pppoeUser !== undefined
      ? {
          kind: 'pppoe',
          user: flags.pppoeUser,
          password: await password('PPPoE password', flags.pppoePasswordFile),
        }
      : { kind: 'dhcp' });
  const unknown = {
    schema: 1,
    addressing,
    ...(addressing6 !== undefined && { addressing6 }),
    ...(flags.port !== undefined && { port: flags.port }),
    ...(flags.vlan !== undefined && { vlan: Number(flags.vlan) }),
    ...(flags.proxy !== undefined && { proxy: await proxyOf(flags.proxy, flags) }),
  };
  try {
    return decode(BootstrapNetwork, unknown, 'the network');
  } catch (thrown) {
    throw thrown instanceof BranchboxError ? inOptions(thrown, addressing.kind) : thrown;
  }
}

async function modemOf({ modem, modemUser, modemPasswordFile, modemPinFile }: Flags) {
  if (modem === undefined) return undefined;
  return {
    kind: 'modem',
    ...(modem !== true && { apn: modem }),
    ...(modemUser !== undefined && {
      user: modemUser,
      password: await password('Password of the modem', modemPasswordFile),
    }),
    ...(modemPinFile !== undefined && { pin: await password('PIN', modemPinFile) }),
  };
}

/** `proxy.example:3128`, `[2001:db8::1]:3128`, with or without `http://`. */
async function proxyOf(text: string, flags: Flags): Promise<z.input<typeof HttpProxy>> {
  const url = text.includes('://') ? text : `http://${text}`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'http:' || parsed.username !== '' || parsed.pathname !== '/') {
    throw new BranchboxError('cli/usage', {
      message: `"${text}" is no HTTP proxy`,
      mend: 'for instance --proxy proxy.example:3128; its user goes to --proxy-user',
    });
  }
  const credentials =
    flags.proxyUser === undefined
      ? {}
      : { user: flags.proxyUser, password: await password('Proxy password', flags.proxyPasswordFile) };
  const port = parsed.port === '' ? 80 : Number(parsed.port);
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port, ...credentials };
}

/** Without its end, LF or CR LF, and without the mark that an editor of Windows puts before UTF-8. Blanks are the password's own. */
const firstLine = (text: string): string => /^\uFEFF?([^\n]*?)(?:\r?\n|$)/.exec(text)?.[1] ?? '';

async function password(what: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return firstLine(await readInput(file));
  if (!process.stdin.isTTY) {
    throw new BranchboxError('cli/usage', {
      message: `${what}: nobody to ask`,
      mend: 'name a file with it: --pppoe-password-file, --modem-password-file, --proxy-password-file',
    });
  }
  process.stderr.write(`${what}: `);
  // Swallows the echo: what is typed must not be shown.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    // Ctrl-D and Ctrl-C reject it.
    return await reader.question('').catch((cause: unknown) => {
      throw new BranchboxError('cli/usage', {
        message: `${what}: none was typed`,
        mend: 'type it, or name a file with it',
        cause,
      });
    });
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}
