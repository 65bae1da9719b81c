/**
 * Owns looking at boxes that bootstrap in a world: journal, files, what they tell an installer; and the fleet in which
 * each of them has a place. Does not own starting them (bootstrapWorld.ts).
 */
import { execFile } from 'node:child_process';
import { watch } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BootstrapStatus, Journal, type JournalEntry, Owner } from '../../src/model/bootstrap.ts';
import { type BootstrapWorld, readText } from './bootstrapWorld.ts';

const run = promisify(execFile);

/** A branch of the fleet for each serial, under that name in lower case; as TOML. Pure. */
export const branchesOf = (serials: readonly string[]): string =>
  serials
    .map(
      (serial, index) => `
[[gateways]]
id = "${serial.toLowerCase()}"
serial = "${serial}"
role = "branch"
site = "here"
vtep = "10.255.0.${index + 11}"
[[gateways.uplinks]]
name = "internet"
port = "wan1"
`,
    )
    .join('');

/** Each serial in the inventory, and its branch in the fleet. */
export async function placeInFleet(world: BootstrapWorld, serials: readonly string[]): Promise<void> {
  const fleet = join(world.directory, 'fleet.toml');
  await writeFile(fleet, `[fleet]\nname = "test"\n${branchesOf(serials)}`);
  await world.branchbox('fleet', 'apply', fleet, ...world.apiAccess);
  await world.branchbox('fleet', 'inventory', ...serials, ...world.apiAccess);
}

export async function entriesOf(box: string): Promise<readonly JournalEntry[]> {
  return Journal.parse(JSON.parse(await readText(join(box, 'identity/journal.json')))).entries;
}
export const statesOf = async (box: string): Promise<readonly string[]> =>
  (await entriesOf(box)).map(({ state }) => state);

/** Resolves to who owns the box, once it is through. */
export async function untilOwned(box: string): Promise<Owner> {
  const directory = join(box, 'identity');
  await mkdir(directory, { recursive: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    readdir(directory).then((names) => (names.includes('owner.json') ? resolve() : undefined), reject);
  };
  const watcher = watch(directory, look);
  look();
  await promise.finally(() => watcher.close());
  return Owner.parse(JSON.parse(await readText(join(directory, 'owner.json'))));
}

/** What `branchbox bootstrap status --json` and the installer's page are made from. */
export async function statusOf(box: string): Promise<BootstrapStatus> {
  const socket = join(box, 'identity.sock');
  const { stdout } = await run('curl', ['-s', '--unix-socket', socket, 'http://box/bootstrap']);
  return BootstrapStatus.parse(JSON.parse(stdout));
}
