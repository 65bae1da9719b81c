/** The controller's own keys and certificates where the disk spoilt a file of them, with a real signer behind it. */
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureServiceCredentials } from '../../../src/controller/serviceCredentials.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { useSigner } from '../signer/signerWorld.ts';

const signer = useSigner();
let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-credentials-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function world() {
  const lines: string[] = [];
  const { domain } = await signer.client().anchors();
  const options = {
    signer: signer.client(),
    store: openSqliteStore(':memory:'),
    files: createFiles(),
    clock: createClock(),
    log: createLogger({ name: 'test', write: (line) => lines.push(line) }),
    directory,
    names: ['controller.example'],
    addresses: [],
    domain,
  };
  return { ensure: () => ensureServiceCredentials(options), lines };
}

const HALF = 'half of it';
const FLIPPED = 'another letter in it';
const EMPTY = 'nothing in it';

it.each([
  ['server.key', HALF],
  ['server.key', FLIPPED],
  ['server.key', EMPTY],
  ['server.crt', HALF],
  ['server.crt', FLIPPED],
  ['client.key', HALF],
  ['client.crt', HALF],
] as const)('%s with %s is put aside, and made anew with what belongs to it', async (name, damage) => {
  const { ensure, lines } = await world();
  const first = await ensure();
  const path = join(directory, name);
  const whole = await readFile(path, 'utf8');
  if (damage === HALF) await truncate(path, Math.floor(whole.length / 2));
  else if (damage === EMPTY) await truncate(path);
  else await writeFile(path, whole.replace('\nM', '\n*'));
  const damaged = await readFile(path, 'utf8');
  const next = await ensure();
  const [kind, other] = name.startsWith('server')
    ? (['server', 'client'] as const)
    : (['client', 'server'] as const);
  expect(next[kind].certificatePem).not.toBe(first[kind].certificatePem);
  expect(next[other]).toEqual(first[other]);
  // A key that is half there is a secret still.
  expect(await readFile(`${path}.damaged`, 'utf8')).toBe(damaged);
  expect((await stat(`${path}.damaged`)).mode & 0o777).toBe(0o600);
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', path, aside: `${path}.damaged` });
  expect(lines[0]).not.toContain(damaged.slice(40, 80) || 'PRIVATE');
  // What was made is used, and nothing is put aside again.
  expect(await ensure()).toEqual(next);
  expect(await readdir(directory)).toEqual(
    ['client.crt', 'client.key', 'server.crt', 'server.key', `${name}.damaged`].toSorted(),
  );
});
