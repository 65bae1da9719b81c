/**
 * Owns looking at a box of a test from outside: its journal and owner's record, waiting for what it comes to, and what it
 * tells on its socket. Does not own starting it (bootstrapWorld.ts).
 */
import { watch } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BootstrapStatus, Journal, type JournalEntry, Owner } from '../../src/model/bootstrap.ts';
import { readText } from './bootstrapWorld.ts';
import { IN_VAIN_MS } from './processes.ts';

/** As bootstrapBox.ts has it. */
const SOCKET = 'identity.sock';

/** None where there is no journal yet. */
export async function entriesOf(box: string): Promise<readonly JournalEntry[]> {
  const text = await readText(join(box, 'identity/journal.json')).catch(() => undefined);
  return text === undefined ? [] : Journal.parse(JSON.parse(text)).entries;
}
/** In the order in which they were entered. */
export const statesOf = async (box: string): Promise<readonly string[]> =>
  (await entriesOf(box)).map(({ state }) => state);

/** Looks at each change of the box's files. */
export async function until(box: string, reached: () => Promise<boolean>): Promise<void> {
  const directory = join(box, 'identity');
  await mkdir(directory, { recursive: true });
  try {
    await untilIn(directory, reached);
  } catch (thrown) {
    throw new Error(`${String(thrown)}; its journal: ${JSON.stringify(await entriesOf(box))}`, {
      cause: thrown,
    });
  }
}
async function untilIn(directory: string, reached: () => Promise<boolean>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    reached().then((yes) => (yes ? resolve() : undefined), reject);
  };
  const watcher = watch(directory, look);
  look();
  const inVain = setTimeout(() => reject(new Error(`waited for ${directory} in vain`)), IN_VAIN_MS);
  await promise.finally(() => {
    clearTimeout(inVain);
    watcher.close();
  });
}
export const untilState = (box: string, stop: (states: readonly string[]) => boolean): Promise<void> =>
  until(box, async () => stop(await statesOf(box)));
export const last = (state: string) => (states: readonly string[]) => states.at(-1) === state;

export const ownerOf = async (box: string): Promise<Owner> =>
  Owner.parse(JSON.parse(await readText(join(box, 'identity/owner.json'))));
/** The agent's signal to start, which follows the STRICT line of the journal. Resolves to who owns the box. */
export async function untilOwned(box: string): Promise<Owner> {
  await until(box, async () => (await readdir(join(box, 'identity'))).includes('owner.json'));
  return ownerOf(box);
}

function listens(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(socketPath, () => resolve(true));
  socket.on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
/** Over the box's own socket, as its agent and its commands do; a process that just began is waited for. */
export async function ask(box: string, method: 'GET' | 'POST', path: string): Promise<string> {
  // Bound, then listening, then given its mode: each is a change of its directory. One that was killed leaves it there.
  await untilIn(box, () => listens(join(box, SOCKET)));
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath: join(box, SOCKET), method, path }, (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    response.on('end', () => resolve(text));
  });
  asked.on('error', reject);
  asked.end();
  return promise;
}
/** What `branchbox bootstrap status --json` and the installer's page are made from. */
export const statusOf = async (box: string): Promise<BootstrapStatus> =>
  BootstrapStatus.parse(JSON.parse(await ask(box, 'GET', '/bootstrap')));
