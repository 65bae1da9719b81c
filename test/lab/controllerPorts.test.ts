/** What the controller's ports have in common, as curl sees it: versions of TLS, and bodies that are too large. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SZTP_GET_PATH } from '../../src/model/sztp.ts';
import { type ControllerClients, pkcs10, startControllerClients } from './controllerClients.ts';
import type { ControllerWorld, CurlAnswer } from './controllerWorld.ts';

let world: ControllerWorld;
let box1: string;
let credential: ControllerClients['credential'];
let est: ControllerClients['est'];
beforeAll(async () => {
  ({ world, box1, credential, est } = await startControllerClients());
});
afterAll(() => world.remove());

it('TLS 1.2 is for the standards that anybody’s clients speak, and for no server of our own', async () => {
  const [, manufacturer] =
    /^url = "(https:[^"]+)"/m.exec(await readFile(world.at('controller.toml'), 'utf8')) ?? [];
  const server = (port: number): string => `https://localhost:${port}`;
  const spoken = async (url: string, ...words: readonly string[]): Promise<boolean> => {
    const asked = world.curl('-k', ...words, ...credential(box1, 'idevid', 'tls'), url);
    return asked.then(
      () => true,
      () => false,
    );
  };
  const { ports } = world;
  for (const url of [server(ports.sztp), server(ports.est)]) {
    expect([url, await spoken(url, '--tls-max', '1.2'), await spoken(url)]).toEqual([url, true, true]);
  }
  for (const url of [server(ports.device), server(ports.api)]) {
    expect([url, await spoken(url, '--tls-max', '1.2'), await spoken(url)]).toEqual([url, false, true]);
  }
  // It takes its customers alone; here with the controller's own certificate.
  const customer = [
    '--cert',
    world.at('manufacturer/client.crt'),
    '--key',
    world.at('manufacturer/client.key'),
  ];
  const asCustomer = (...words: readonly string[]): Promise<boolean> =>
    world.curl('-k', ...customer, ...words, manufacturer ?? '').then(
      () => true,
      () => false,
    );
  expect([await asCustomer('--tls-max', '1.2'), await asCustomer()]).toEqual([false, true]);
});

it('a body of 20 MB is refused by each server so that curl hears why', async () => {
  await writeFile(world.at('20-mb'), Buffer.alloc(20_000_000, 0x41));
  const body = ['--data-binary', `@${world.at('20-mb')}`];
  const typed = (type: string) => ['-H', `Content-Type: ${type}`];
  const token = (await readFile(world.at('controller/admin.credential'), 'utf8')).trim();
  const fleet = await world.curl(
    ...credential(box1, 'none', 'domain'),
    '-X',
    'PUT',
    ...typed('application/json'),
    '-H',
    `Authorization: Bearer ${token}`,
    ...body,
    `https://localhost:${world.ports.api}/api/v1/fleet`,
  );
  const answers: [CurlAnswer, string][] = [
    [fleet, 'model/invalid'],
    [await est(box1, 'idevid', 'simpleenroll', ...pkcs10(world.at('20-mb'))), 'at most'],
    [
      await world.curl(
        ...credential(box1, 'idevid', 'tls'),
        ...typed('application/yang-data+json'),
        ...body,
        `https://localhost:${world.ports.sztp}${SZTP_GET_PATH}`,
      ),
      'too-big',
    ],
  ];
  for (const [{ status, headers, body: text }, word] of answers) {
    expect([status, headers.get('connection')]).toEqual([413, 'close']);
    expect(text.toString()).toContain(word);
  }
});
