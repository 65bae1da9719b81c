/**
 * Owns a controller that knows four boxes and an app, and somebody else's clients of it: curl with a box's identity to
 * the bootstrap server, to EST and to the device API.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imageArchive } from '../fakes/imageArchive.ts';
import { type ControllerWorld, createControllerWorld, type CurlAnswer } from './controllerWorld.ts';
import { quietRootTree } from './quietRootTree.ts';

/** Of the app that gateway `one` runs. */
export const BUNDLE = imageArchive();
export const BUNDLE_SHA256 = createHash('sha256').update(BUNDLE).digest('hex');

const gateway = (id: string, host: number, app = '') => `
[[gateways]]
id = "${id}"
serial = "SN-${id}"
role = "branch"
site = "here"
vtep = "10.255.0.${host}"
uplinks = [{ name = "internet", port = "wan1" }]
${app}`;

export type Identity = 'idevid' | 'ldevid' | 'none';

export interface ControllerClients {
  readonly world: ControllerWorld;
  /** Directory of the box that gateway `one` is for. */
  readonly box1: string;
  /** curl's words for who asks and whom it believes. */
  credential(box: string, identity: Identity, anchor: string): string[];
  sztp(box: string, path: string, input: object | string, identity?: Identity): Promise<CurlAnswer>;
  est(box: string, identity: Identity, path: string, ...words: readonly string[]): Promise<CurlAnswer>;
  device(box: string, identity: Identity, path: string, ...words: readonly string[]): Promise<CurlAnswer>;
}

/** curl's words for a request as a file. */
export const pkcs10 = (file: string) => [
  '-H',
  'Content-Type: application/pkcs10',
  '--data-binary',
  `@${file}`,
];

export async function startControllerClients(): Promise<ControllerClients> {
  const world = await createControllerWorld(await quietRootTree());
  await world.startController();
  await writeFile(world.at('bundle.tar'), BUNDLE);
  await world.fleet('bundle', world.at('bundle.tar'));
  await world.fleet('inventory', 'SN-one', 'SN-two', 'SN-four', 'SN-placeless');
  const app = `
[[gateways.apps]]
name = "app"
tenant = "red"
segment = "red"
address = "10.10.0.100"
image = "branchbox/app:1"
bundle = "${BUNDLE_SHA256}"
memoryMiB = 32
cpus = 0.5
`;
  const fleet = `
[fleet]
name = "test"
[[tenants]]
name = "red"
[[segments]]
id = "red"
tenant = "red"
vni = 10010
subnet = "10.10.0.0/24"
${gateway('one', 11, app)}${gateway('two', 12)}${gateway('three', 13)}${gateway('four', 14)}`;
  await writeFile(world.at('fleet.toml'), fleet);
  await world.fleet('apply', world.at('fleet.toml'));
  const box1 = await world.newIdentity('SN-one');
  const credential = (box: string, identity: Identity, anchor: string): string[] => {
    const anchored = ['--cacert', world.at(`anchors/${anchor}.pem`)];
    if (identity === 'none') return anchored;
    return [...anchored, '--cert', join(box, `${identity}.crt`), '--key', join(box, `${identity}.key`)];
  };

  const sztp = (box: string, path: string, input: object | string, identity: Identity = 'idevid') =>
    world.curl(
      ...credential(box, identity, 'tls'),
      '-H',
      'Content-Type: application/yang-data+json',
      '-d',
      typeof input === 'string' ? input : JSON.stringify({ 'ietf-sztp-bootstrap-server:input': input }),
      `https://localhost:${world.ports.sztp}${path}`,
    );
  const est = (box: string, identity: Identity, path: string, ...words: readonly string[]) =>
    world.curl(
      ...credential(box, identity, 'domain'),
      ...words,
      `https://localhost:${world.ports.est}/.well-known/est/${path}`,
    );
  const device = (box: string, identity: Identity, path: string, ...words: readonly string[]) =>
    world.curl(
      ...credential(box, identity, 'domain'),
      ...words,
      `https://localhost:${world.ports.device}${path}`,
    );

  return { world, box1, credential, sztp, est, device };
}
