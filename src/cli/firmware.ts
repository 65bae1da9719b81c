/**
 * Owns the words of `branchbox firmware` on a box.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type FirmwareRequest, FirmwareStatus, LocalFirmware } from '../model/firmware.ts';
import { askAgent } from './askAgent.ts';
import { renderTable } from './table.ts';
import { print } from './terminal.ts';

const FOLLOW_MS = 1000;
/** How an update that was asked for ended otherwise than asked. */
const FAILED: readonly FirmwareStatus['state'][] = ['refused', 'rolled-back', 'unavailable'];

interface Flags {
  readonly json?: boolean;
}

interface UpdateFlags extends Flags {
  readonly from?: string;
  readonly allowDowngrade?: boolean;
  readonly stick?: string;
}

export function register(program: Command): void {
  const firmware = program
    .command('firmware')
    .description('the firmware of this box: what runs, what is on trial, and updating it')
    .addHelpText('after', '\nexample: branchbox firmware status');
  firmware
    .command('status')
    .description('versions, slots and boot entries, and how an update stands')
    .option('--json', 'for programs: one JSON object')
    .addHelpText('after', '\nexample: branchbox firmware status --json')
    .action(async (flags: Flags) => {
      const found = await askAgent('/firmware', LocalFirmware);
      show(flags, found, describeFirmware(found));
    });
  firmware
    .command('update')
    .description('tries the version that the controller wants, now and once more, or one from a directory')
    .option(
      '--from <directory>',
      'a mounted stick with one *.update.jws and its parts; not below /tmp or /home',
    )
    .option('--allow-downgrade', 'also to a version that is older than what runs')
    .option(
      '--stick <device>',
      'a USB stick with branchbox/update/: what the controller wants, or newer where it wants none (udev asks this)',
    )
    .option('--json', 'for programs: the status when it began, and no more')
    .addHelpText('after', '\nexample: mount -o ro /dev/sdb1 /mnt && branchbox firmware update --from /mnt')
    .action(async (flags: UpdateFlags) => {
      const began = await ask({
        kind: 'update',
        allowDowngrade: flags.allowDowngrade === true,
        ...(flags.from === undefined ? {} : { directory: resolve(flags.from) }),
        ...(flags.stick === undefined ? {} : { stick: flags.stick }),
      });
      if (flags.json === true) show(flags, began, []);
      else await follow();
    });
  firmware
    .command('commit')
    .description('on trial: keeps the version that runs, without waiting for its verdict')
    .option('--json', 'for programs: one JSON object')
    .addHelpText('after', '\nexample: branchbox firmware commit')
    .action(async (flags: Flags) => {
      const status = await ask({ kind: 'commit' });
      show(flags, status, [`firmware ${status.version} is kept`]);
    });
  firmware
    .command('rollback')
    .description('on trial: gives the version that runs up, and restarts into the one before')
    .option('--json', 'for programs: one JSON object')
    .addHelpText('after', '\nexample: branchbox firmware rollback')
    .action(async (flags: Flags) => {
      const status = await ask({ kind: 'rollback' });
      show(flags, status, [`firmware ${status.version} is given up; the box restarts`]);
    });
}

const ask = (request: FirmwareRequest): Promise<FirmwareStatus> =>
  askAgent('/firmware', FirmwareStatus, { body: request });

/** Each new sentence as a line, until the box goes down or what was asked for has ended. */
async function follow(): Promise<void> {
  let last = '';
  for (;;) {
    const { status, asked, fetching } = await askAgent('/firmware', LocalFirmware);
    const part =
      fetching === undefined
        ? ''
        : ` ${fetching.role} ${mebibytes(fetching.doneBytes)} of ${mebibytes(fetching.totalBytes)}`;
    const line = `${status.state}: ${status.sentence}${part}`;
    if (line !== last) print(line);
    last = line;
    if (!asked) {
      if (FAILED.includes(status.state)) process.exitCode = 1;
      return;
    }
    await new Promise((done) => setTimeout(done, FOLLOW_MS));
  }
}

function show(flags: Flags, value: unknown, lines: readonly string[]): void {
  print(flags.json === true ? JSON.stringify(value) : lines.join('\n'));
}

/** Pure. */
export function describeFirmware({ status, fetching, disk, history }: LocalFirmware): readonly string[] {
  const slot = status.slot === undefined ? '' : ` in slot ${status.slot}`;
  const lines = [`runs      ${status.version}${slot}`, `state     ${status.state}: ${status.sentence}`];
  if (fetching !== undefined) {
    lines.push(
      `fetching  ${fetching.role}, ${mebibytes(fetching.doneBytes)} of ${mebibytes(fetching.totalBytes)}`,
    );
  }
  const section = (title: string, head: readonly string[], rows: readonly (readonly string[])[]): void => {
    if (rows.length > 0) lines.push('', title, ...renderTable(head, rows));
  };
  section(
    'slots',
    ['slot', 'runs', 'root hash'],
    (disk?.slots ?? []).map((one) => [one.slot, one.running ? 'yes' : 'no', `${one.rootHash.slice(0, 16)}…`]),
  );
  section(
    'boot entries',
    ['file', 'slot', 'state'],
    (disk?.entries ?? []).map((one) => [
      one.file,
      one.slot ?? '-',
      one.triesLeft === undefined
        ? 'committed'
        : one.triesLeft === 0
          ? 'given up'
          : `${one.triesLeft} tries left`,
    ]),
  );
  section(
    'before',
    ['at', 'version', 'result', 'what'],
    history.map((one) => [new Date(one.atMs).toISOString(), one.version, one.result, one.sentence]),
  );
  return lines;
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
