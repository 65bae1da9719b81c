/**
 * Owns a namespace with the real manufacturer, signer and controller in it, and boxes that bootstrap against them.
 * No DHCP client: a lease is a file, as its hook writes it. No broker unless a root tree is given, of which it is taken:
 * the identity process never speaks MQTT. And the fleet in which each box has a place.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programOf } from './controllerWorld.ts';
import { createProcesses, type Running } from './processes.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
export const NAME = 'controller.branchbox.example';
export const ADDRESS = { controller: '198.51.100.10', box: '198.51.100.100', names: '198.51.100.1' } as const;
const run = promisify(execFile);

export interface BootstrapWorld {
  readonly directory: string;
  /** Runs the command line to its end. */
  branchbox(...args: readonly string[]): Promise<string>;
  /** Runs any program inside the namespace to its end; its stdout. */
  inside(command: string, ...args: readonly string[]): Promise<string>;
  /** Starts an entry of this checkout inside the namespace. */
  start(...args: readonly string[]): Running;
  /** Starts any program inside the namespace. */
  startAs(words: readonly string[]): Running;
  /** Manufacturer, signer, names and controller; resolves with all, ready. */
  startServices(): Promise<Readonly<Record<'controller' | 'signer' | 'manufacturer', Running>>>;
  startSigner(): Promise<Running>;
  startController(): Promise<Running>;
  /** A factory-new box under its own directory, known to the controller's inventory or not; `how`: its factory's words. */
  newBox(serial: string, how?: readonly string[]): Promise<string>;
  readonly apiAccess: readonly string[];
  remove(): Promise<void>;
}

/** `under`: words before every command of this checkout that is started here, for instance a clock's (turnedClock.ts). */
export async function createBootstrapWorld(
  rootTree?: string,
  under: readonly string[] = [],
): Promise<BootstrapWorld> {
  const netns = `bbt-boot-${process.pid}`;
  const directory = await mkdtemp(join(tmpdir(), 'bbt-boot-'));
  const at = (name: string): string => join(directory, name);
  const inside = [`--net=/run/netns/${netns}`];
  const processes = createProcesses();

  await run('ip', ['netns', 'add', netns]);
  await run('nsenter', [...inside, 'ip', 'link', 'set', 'lo', 'up']);
  for (const address of Object.values(ADDRESS)) {
    await run('nsenter', [...inside, 'ip', 'address', 'add', `${address}/32`, 'dev', 'lo']);
  }

  const start = (...args: readonly string[]): Running =>
    processes.start('nsenter', [...inside, ...under, join(CHECKOUT, 'launch'), ...args]);
  const branchbox = async (...args: readonly string[]): Promise<string> => {
    const words = [...inside, ...under, join(CHECKOUT, 'launch'), 'src/cli/main.ts', ...args];
    return (await run('nsenter', words)).stdout;
  };
  const startSigner = async (): Promise<Running> => {
    const words = ['--state', at('signer'), '--socket', at('signer.sock')];
    const signer = start('src/cli/main.ts', 'signer', 'serve', ...words);
    await signer.said(/signer is listening/);
    return signer;
  };
  const startController = async (): Promise<Running> => {
    const controller = start('src/cli/main.ts', 'controller', 'serve', '--config', at('controller.toml'));
    await controller.said(/\bready\b/);
    return controller;
  };

  await branchbox('manufacturer', 'init', '--state', at('manufacturer'), '--name', 'localhost');
  // The broker drops root and still has to reach its own directory in here.
  await chmod(directory, 0o711);
  const broker =
    rootTree === undefined ? '#!/bin/sh\nexec sleep 1000000\n' : programOf(rootTree, 'usr/sbin/mosquitto');
  await writeFile(at('broker'), broker, { mode: 0o755 });
  await writeFile(
    at('controller.toml'),
    `stateDir = "${at('controller')}"
names = ["${NAME}"]
addresses = ["${ADDRESS.controller}"]
[listen]
address = "${ADDRESS.controller}"
[manufacturer]
url = "https://localhost:9443"
tlsAnchor = "${at('manufacturer/service-ca.crt')}"
clientCertificate = "${at('manufacturer/client.crt')}"
clientKey = "${at('manufacturer/client.key')}"
idevidAnchor = "${at('manufacturer/ca.crt')}"
voucherAnchor = "${at('manufacturer/voucher-ca.crt')}"
[signer]
socket = "${at('signer.sock')}"
[mosquitto]
program = "${at('broker')}"
user = "nobody"
`,
  );
  return {
    directory,
    branchbox,
    inside: async (...words) => (await run('nsenter', [...inside, ...words])).stdout,
    start,
    startAs: (words) => processes.start('nsenter', [...inside, ...words]),
    async startServices() {
      const manufacturer = ['--state', at('manufacturer'), '--listen', '127.0.0.1:9443'];
      const running = {
        manufacturer: start('src/cli/main.ts', 'manufacturer', 'serve', ...manufacturer),
        signer: await startSigner(),
      };
      await start('test/lab/bootstrapNames.ts', ADDRESS.names, ADDRESS.controller).said(/^ready$/);
      const controller = await startController();
      await branchbox('controller', 'anchors', '--config', at('controller.toml'), '--out', at('anchors'));
      return { ...running, controller };
    },
    startSigner,
    startController,
    async newBox(serial, how = []) {
      const box = at(`box-${serial}`);
      const out = join(box, 'factory');
      const words = ['--serial', serial, '--model', 'lab', '--out', out, ...how];
      await branchbox('manufacturer', 'identity', '--state', at('manufacturer'), ...words);
      await writeFile(join(out, 'model'), 'lab\n');
      await mkdir(join(box, 'leases'), { recursive: true });
      await mkdir(join(box, 'agent'), { recursive: true });
      await writeFile(
        join(box, 'leases', 'wan1.env'),
        `reason=BOUND\ninterface=wan1\nnew_ip_address=${ADDRESS.box}\nnew_subnet_cidr=24\n` +
          `new_routers=${ADDRESS.names}\nnew_domain_name_servers=${ADDRESS.names}\n` +
          `new_sztp_redirect=https://${NAME}:8443\n`,
      );
      return box;
    },
    apiAccess: [
      '--api',
      `https://${ADDRESS.controller}:8445`,
      '--ca',
      at('anchors/domain.pem'),
      '--credential',
      at('controller/admin.credential'),
    ],
    async remove() {
      await processes.end('SIGKILL');
      // A controller that was killed leaves its broker behind.
      const left = 'while pids=$(ip netns pids "$1") && [ -n "$pids" ]; do kill -KILL $pids || :; done';
      await run('sh', ['-uc', left, 'sh', netns]);
      await run('ip', ['netns', 'delete', netns]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

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

export const readText = (path: string, encoding: BufferEncoding = 'utf8'): Promise<string> =>
  readFile(path, encoding);
