/**
 * Bootstrap of boxes whose keys a TPM holds, against the real manufacturer, signer, controller and broker: from the
 * factory's request to the agent's MQTT session, and what becomes of a box whose TPM is another one.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { entriesOf, last, ownerOf, statesOf, statusOf, untilOwned, untilState } from './bootstrapObserve.ts';
import {
  ADDRESS,
  type BootstrapWorld,
  createBootstrapWorld,
  NAME,
  placeInFleet,
  readText,
} from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { createTpmWorld, type TpmWorld } from './tpmWorld.ts';
import { quietRootTree } from './quietRootTree.ts';

const TPM_KEY = /^-----BEGIN TSS2 PRIVATE KEY-----/;
let world: BootstrapWorld;
let tpm: TpmWorld;
/** Of a spare board. */
let otherTpm: TpmWorld;

beforeAll(async () => {
  world = await createBootstrapWorld(await quietRootTree());
  [tpm, otherTpm] = [await createTpmWorld(), await createTpmWorld()];
  await world.startServices();
  await placeInFleet(world, ['BBTPM-1', 'BBTPM-2', 'BBTPM-3']);
});
afterAll(async () => {
  await world.remove();
  await tpm.remove();
  await otherTpm.remove();
});

const startBox = (box: string, where: TpmWorld): Running =>
  world.startAs(where.entry([world.directory], 'test/lab/bootstrapBox.ts', box));
const keyOf = (box: string, name: string): Promise<string> => readText(join(box, name));

/** In service, as far as the identity process can tell. */
async function bringIntoService(box: string): Promise<void> {
  await untilOwned(box);
  await writeFile(join(box, 'agent/committed.jws'), 'x');
  await untilState(box, last('OPERATIONAL'));
}

it('a box whose factory key is in its TPM comes into service, and its agent to the broker', async () => {
  const factory = join(world.directory, 'box-BBTPM-1/factory');
  await mkdir(factory, { recursive: true });
  const words = ['identity', 'request', '--serial', 'BBTPM-1', '--out', factory];
  const { stdout, stderr, exitCode } = await tpm.run(
    tpm.entry([world.directory], 'src/cli/main.ts', ...words),
  );
  expect([exitCode, stderr.replaceAll(/^Warning: .*\n/gm, '')]).toEqual([0, '']);
  const request = join(world.directory, 'request.pem');
  await writeFile(request, stdout);
  const box = await world.newBox('BBTPM-1', ['--request', request]);
  expect(await keyOf(box, 'factory/idevid.key')).toMatch(TPM_KEY);

  const process = startBox(box, tpm);
  await bringIntoService(box);
  expect(await keyOf(box, 'identity/ldevid.key')).toMatch(TPM_KEY);
  expect((await statusOf(box)).keys).toEqual({
    next: 'tpm',
    why: expect.stringContaining('serves the TPM'),
    unusedTpm: false,
    idevid: 'tpm',
    ldevid: 'tpm',
  });
  const link = world.startAs(tpm.entry([world.directory], 'test/lab/tpmLink.ts', box));
  expect(await link.said(/^connected as/)).toBe(`connected as ${(await ownerOf(box)).gatewayId}`);
  // Three places in the TPM were enough at every step, and none was tried again.
  expect(process.lines.filter((line) => /key-unusable|tss2/.test(line))).toEqual([]);
  await process.end('SIGTERM');
});

it('that box at another TPM says that it cannot prove who it is, and goes on when it has its own back', async () => {
  const box = join(world.directory, 'box-BBTPM-1');
  const certificate = await keyOf(box, 'identity/ldevid.crt');
  const astray = startBox(box, otherTpm);
  const line = await astray.said(/bootstrap step failed/);
  expect(line).toContain('bootstrap/key-lost');
  const status = await statusOf(box);
  expect(status).toMatchObject({
    state: 'RECOVER',
    lastProblem: expect.stringMatching(
      /cannot prove who it is: its factory key is lost.*the factory must make a new/,
    ),
  });
  await astray.end('SIGTERM');
  const back = startBox(box, tpm);
  await untilState(box, last('OPERATIONAL'));
  await back.end('SIGTERM');
  expect(await keyOf(box, 'identity/ldevid.crt')).toBe(certificate);
});

it('somebody else\u2019s client has its key in a TPM too: openssl makes it, and enrols by it', async () => {
  const at = (name: string): string => join(world.directory, name);
  // OpenSSL's own words alone, its provider for the TPM beside the usual one.
  const provider = '-provider tpm2 -provider default';
  const openssl = async (script: string): Promise<string> => {
    const words = tpm.command([world.directory], ['sh', '-euc', `cd ${world.directory} && ${script}`]);
    return world.inside(words[0] ?? '', ...words.slice(1));
  };
  await openssl(
    `openssl genpkey ${provider} -algorithm EC -pkeyopt group:P-256 -out foreign.key &&
     openssl req ${provider} -new -key foreign.key -subj /CN=whoever -out foreign.csr`,
  );
  expect(await readText(at('foreign.key'))).toMatch(TPM_KEY);
  const box = await world.newBox('BBTPM-3', ['--request', at('foreign.csr')]);
  expect(await readdir(join(box, 'factory'))).not.toContain('idevid.key');
  const body = (await readText(at('foreign.csr'))).replaceAll(/-----.*-----|\n/g, '');
  await writeFile(
    at('enrol.http'),
    `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: ${NAME}\r\nContent-Type: application/pkcs10\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
  const credential = `-cert ${box}/factory/idevid.crt -key foreign.key -CAfile anchors/domain.pem -verify_return_error`;
  // The usual one first: digests of a TLS session are no work for a TPM.
  const enrol = `openssl s_client -provider default -provider tpm2 ${credential} -connect ${ADDRESS.controller}:8444 -servername ${NAME}`;
  const answer = await openssl(`${enrol} -quiet < enrol.http`);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  await writeFile(at('issued.b64'), answer.split('\r\n\r\n')[1] ?? '');
  const issued = await openssl(
    'openssl base64 -d -A -in issued.b64 | openssl pkcs7 -inform DER -print_certs -noout',
  );
  expect(issued).toMatch(/CN ?= ?bbtpm-3/);
});

it('a box whose own key alone is in its TPM has a new one when that TPM is another', async () => {
  const box = await world.newBox('BBTPM-2');
  expect(await keyOf(box, 'factory/idevid.key')).not.toMatch(TPM_KEY);
  const process = startBox(box, tpm);
  await bringIntoService(box);
  const [key, certificate] = [
    await keyOf(box, 'identity/ldevid.key'),
    await keyOf(box, 'identity/ldevid.crt'),
  ];
  expect(key).toMatch(TPM_KEY);
  await process.end('SIGTERM');

  const entered = (await statesOf(box)).length;
  const after = startBox(box, otherTpm);
  await untilState(box, (states) => states.length > entered + 1 && states.at(-1) === 'OPERATIONAL');
  expect((await entriesOf(box)).slice(entered).map(({ state }) => state)).toEqual(['RECOVER', 'OPERATIONAL']);
  expect(await keyOf(box, 'identity/ldevid.key')).toMatch(TPM_KEY);
  expect(await keyOf(box, 'identity/ldevid.key')).not.toBe(key);
  expect(await keyOf(box, 'identity/ldevid.crt')).not.toBe(certificate);
  await after.end('SIGTERM');
});

it('a box without a TPM says so, and its key is in a file', async () => {
  const box = join(world.directory, 'box-BBTPM-2');
  const entered = (await statesOf(box)).length;
  // Its TPM was switched off: another key takes the place of the one that is there no more.
  const without = world.startAs([
    'env',
    'BRANCHBOX_TPM=no-chip',
    join(import.meta.dirname, '../../launch'),
    'test/lab/bootstrapBox.ts',
    box,
  ]);
  await untilState(box, (states) => states.length > entered && states.at(-1) === 'OPERATIONAL');
  expect((await statusOf(box)).keys).toEqual({
    next: 'software',
    why: 'This box has no TPM, or it is switched off in the firmware setup.',
    unusedTpm: false,
    idevid: 'software',
    ldevid: 'software',
  });
  await without.end('SIGTERM');
});
