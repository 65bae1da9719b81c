/**
 * A controller whose host was broken into: its server's key is with somebody else. The operator revokes the certificate; real
 * boxes' identity processes then refuse whoever answers with that key, and believe the controller with its new one. A session
 * of the agent (moveAgent.ts) with a broker that showed the old one ends. The impostor is openssl's server.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { readRevocationLists } from '../../src/pki/crlVerify.ts';
import { ask, last, statusOf, until, untilState } from './bootstrapObserve.ts';
import {
  ADDRESS,
  type BootstrapWorld,
  createBootstrapWorld,
  placeInFleet,
  readText,
} from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { quietRootTree } from './quietRootTree.ts';

const SERIALS = ['BREACH-1', 'BREACH-2'] as const;
const REVOKED = /"code":"pki\/untrusted".*that its owner revoked/;
let world: BootstrapWorld;
let controller: Running;
const boxes: string[] = [];

const at = (name: string): string => join(world.directory, name);
const tlsOf = (directory: string, name: string): string => at(`${directory}/${name}`);
const numberOf = async (directory: string): Promise<string> =>
  parseCertificates(await readText(tlsOf(directory, 'server.crt')))[0]?.number ?? '';
const namedBy = async (box: string): Promise<readonly string[]> => {
  const text = await readText(join(box, 'identity/revocation-lists.pem')).catch(() => '');
  return readRevocationLists(text).flatMap(({ revoked }) => [...revoked.keys()]);
};
const startBox = (box: string): Running => world.start('test/lab/bootstrapBox.ts', box);
/** As the controller's own servers would, but for what is behind the handshake. */
async function startImpostor(): Promise<readonly Running[]> {
  const shown = ['-cert', tlsOf('stolen', 'server.crt'), '-key', tlsOf('stolen', 'server.key')];
  return Promise.all(
    [8444, 8446].map(async (port) => {
      const words = ['s_server', '-accept', `${ADDRESS.controller}:${port}`, ...shown, '-www'];
      const server = world.startAs(['openssl', ...words]);
      await server.said(/ACCEPT/);
      return server;
    }),
  );
}

beforeAll(async () => {
  world = await createBootstrapWorld(await quietRootTree());
  ({ controller } = await world.startServices());
  await controller.said(/connected to the broker/);
  await placeInFleet(world, SERIALS);
  for (const serial of SERIALS) boxes.push(await world.newBox(serial));
});
afterAll(() => world.remove());

it('boxes have the list before they enrol, and refuse whoever has the old key from then on', async () => {
  const [first = ''] = boxes;
  let process = startBox(first);
  await untilState(first, last('STRICT'));
  expect(await namedBy(first)).toEqual([]);
  const agent = world.start('test/lab/moveAgent.ts', first, SERIALS[0]);
  await agent.said(/controller connected/);
  await process.end('SIGTERM');

  // The thief was there, and the operator has found out.
  await cp(at('controller/tls'), at('stolen'), { recursive: true });
  const stolen = await numberOf('stolen');
  const revoke = ['controller', 'revoke', '--certificate', tlsOf('stolen', 'server.crt')];
  expect(await world.branchbox(...revoke, ...world.apiAccess)).toContain(`${stolen} was in use`);
  expect(await numberOf('controller/tls')).not.toBe(stolen);

  // By the controller's new certificate it has the list that names the old one.
  process = startBox(first);
  await until(first, async () => (await namedBy(first)).includes(stolen));
  // The broker took its new certificate for those who come, and went on with who was there by the old one.
  await agent.said(/the session with the controller is ended.*that its owner revoked/);
  await agent.said(/controller lost.*that its owner revoked/);
  await expect
    .poll(() => agent.lines.filter((line) => line.includes('controller connected')), { timeout: 20_000 })
    .toHaveLength(2);
  await agent.end('SIGTERM');
  await process.end('SIGTERM');

  await controller.end('SIGTERM');
  const impostor = await startImpostor();
  process = startBox(first);
  await process.said(new RegExp(`the owner's revocation list could not be renewed.*${REVOKED.source}`));
  await ask(first, 'POST', '/doubt');
  await process.said(new RegExp(`the owner did not say how this box stands.*${REVOKED.source}`));
  expect((await statusOf(first)).notices?.join(' ')).toContain('that its owner revoked');
  for (const server of impostor) await server.end('SIGTERM');

  // A copy of before brings the old key back to the controller: it is not used again.
  await rm(at('controller/tls'), { recursive: true });
  await cp(at('stolen'), at('controller/tls'), { recursive: true });
  controller = await world.startController();
  expect(await numberOf('controller/tls')).not.toBe(stolen);
  // That the box believes it: it takes its word for something that only the owner may say.
  await world.branchbox('fleet', 'deny', SERIALS[0], ...world.apiAccess);
  await ask(first, 'POST', '/doubt');
  await untilState(first, last('QUARANTINED'));
  await process.end('SIGTERM');
});

it('a box that is new comes into service with the list, and is told by it whom to refuse', async () => {
  const [, second = ''] = boxes;
  const stolen = await numberOf('stolen');
  const process = startBox(second);
  await untilState(second, (states) => states.includes('ENROLLING'));
  expect(await namedBy(second)).toContain(stolen);
  await untilState(second, last('STRICT'));
  await controller.end('SIGTERM');
  const impostor = await startImpostor();
  await ask(second, 'POST', '/doubt');
  await process.said(new RegExp(`the owner did not say how this box stands.*${REVOKED.source}`));
  for (const server of impostor) await server.end('SIGTERM');
  await process.end('SIGTERM');
});
