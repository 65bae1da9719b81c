/**
 * Owns bringing the controller's node to work and the fleet into it, by the same commands that a person would type:
 * configuration, factory identities, anchors, inventory, app bundles, fleet. Does not own what those commands do.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BranchboxError, isErrorCode } from '../model/errors.ts';
import type { Fleet } from '../model/fleet.ts';
import type { Clock, Files, Runner } from '../system/ports.ts';
import { buildAppImage } from './appImage.ts';
import { branchFor, labImagesOf, parseFleet, renderFleet, renderToml } from './fleetFile.ts';
import type { HardwareModelName } from './nodePorts.ts';
import type { Nodes } from './nodes.ts';
import { type LabPaths, nodePaths } from './paths.ts';
import { patiently } from './patience.ts';
import { awaitListening } from './readiness.ts';
import type { Topology, TopologyNode } from './topology.ts';

export const CONTROLLER_NAME = 'controller.branchbox.example';
export const MANUFACTURER_NAME = 'manufacturer.branchbox.example';
export const PORTS = {
  sztp: 8443,
  est: 8444,
  api: 8445,
  device: 8446,
  mqtt: 8883,
  manufacturer: 9443,
} as const;
/** On every gateway: what the factory wrote. */
export const FACTORY_DIRECTORY = '/etc/branchbox/factory';
const CONFIG_FILE = '/etc/branchbox/controller.toml';
const MANUFACTURER_STATE = '/var/lib/branchbox/manufacturer';
/** In the controller's node, below /var so that the host sees it on disk. */
const EXCHANGE = '/var/lib/branchbox-lab';
const IDENTITY_FILES = [
  'idevid.key',
  'idevid.crt',
  'chain.pem',
  'voucher-anchor.pem',
  'serial',
  'model',
] as const;
const COMMAND_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 60_000;
const MAX_ADD_TRIES = 5;

/** Files of firmware/models: a gateway in namespaces, a virtual machine. */

export interface ControllerNodeDeps {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly files: Files;
  readonly paths: LabPaths;
  readonly nodes: Nodes;
  readonly node: string;
}

export interface ControllerNode {
  /** Resolves when all its ports listen and the anchors are in the lab's access directory. */
  ready(): Promise<void>;
  /**
   * A factory identity that the manufacturer made, as files for /etc/branchbox/factory; asked again, the same. `request`: PEM
   * of a PKCS#10 by the key that it is for, which then is in none of the files. Throws cli/usage where it was another then.
   */
  makeIdentity(
    serial: string,
    model: HardwareModelName,
    request?: string,
  ): Promise<Readonly<Record<string, string>>>;
  makeKnown(serials: readonly string[]): Promise<void>;
  applyFleet(fleet: Fleet, tree: string): Promise<void>;
  /** A branch with one uplink, so that whoever holds the serial's identity has a place in the fleet. */
  addGateway(gateway: { readonly id: string; readonly serial: string }): Promise<void>;
}

const addressesOf = (node: TopologyNode): string[] =>
  node.uplinks.flatMap(({ address, address6 }) => [address ?? [], address6 ?? []].flat());

/** Where everybody with an uplink finds the controller and the manufacturer. */
export function controllerAddress(topology: Topology): string {
  const node = topology.nodes.find(({ role }) => role === 'controller');
  return (node === undefined ? undefined : addressesOf(node)[0]) ?? CONTROLLER_NAME;
}

export function controllerFiles(topology: Topology, node: TopologyNode): Readonly<Record<string, string>> {
  const addresses = addressesOf(node);
  return {
    [CONFIG_FILE]: [
      `names = ["${CONTROLLER_NAME}"]`,
      `addresses = [${addresses.map((address) => `"${address}"`).join(', ')}]`,
      '',
      ...(addresses.some((address) => address.includes(':')) ? ['[listen]', 'address = "::"', ''] : []),
      '[manufacturer]',
      `url = "https://${MANUFACTURER_NAME}:${PORTS.manufacturer}"`,
      '',
    ].join('\n'),
    '/etc/branchbox/manufacturer.env': [
      `MANUFACTURER_NAME=${MANUFACTURER_NAME}`,
      `MANUFACTURER_ADDRESS=${controllerAddress(topology)}`,
      '',
    ].join('\n'),
    '/etc/branchbox/lab-topology': `${topology.description}\n`,
  };
}

export function createControllerNode(deps: ControllerNodeDeps): ControllerNode {
  const { runner, clock, files, paths, nodes, node } = deps;
  const onHost = (path: string): string => join(nodePaths(paths, node).var, path.replace(/^\/var\//, ''));
  const branchbox = async (...words: readonly string[]): Promise<string> => {
    const ended = await nodes.exec(node, ['branchbox', ...words], {
      timeoutMs: patiently(COMMAND_TIMEOUT_MS),
    });
    if (ended.exitCode === 0) return ended.stdout;
    const said = ended.stderr.trim().slice(-600);
    // The command's own code says more than ours: `branchbox: CODE: sentence`.
    const code = /^branchbox: ([a-z/-]+): /.exec(said)?.[1] ?? '';
    throw new BranchboxError(isErrorCode(code) ? code : 'lab/not-ready', {
      message: `branchbox ${words.slice(0, 2).join(' ')} at ${node}: ${said}`,
    });
  };
  const access = [
    '--api',
    `https://${CONTROLLER_NAME}:${PORTS.api}`,
    '--ca',
    `${EXCHANGE}/anchors/domain.pem`,
    '--credential',
    '/var/lib/branchbox/controller/admin.credential',
  ];
  const fleet = (words: readonly string[]): Promise<string> => branchbox('fleet', ...words, ...access);

  const apply = async (text: string): Promise<void> => {
    await files.writeDurable(onHost(`${EXCHANGE}/fleet.toml`), text, 0o644);
    await fleet(['apply', `${EXCHANGE}/fleet.toml`]);
  };

  return {
    async ready() {
      const deadlineMs = clock.monotonicMs() + patiently(START_TIMEOUT_MS);
      await awaitListening({ clock, nodes, node, ports: Object.values(PORTS), deadlineMs });
      await branchbox('controller', 'anchors', '--config', CONFIG_FILE, '--out', `${EXCHANGE}/anchors`);
      await mkdir(paths.access, { recursive: true, mode: 0o700 });
      for (const name of ['manufacturer', 'voucher', 'domain']) {
        await copyFile(onHost(`${EXCHANGE}/anchors/${name}.pem`), join(paths.access, `${name}.pem`));
      }
      // TLS of the controller, and outside the domain the manufacturer's.
      const bootstrap = await files.readText(onHost(`${EXCHANGE}/anchors/tls.pem`));
      const service = await files.readText(onHost(`${MANUFACTURER_STATE}/service-ca.crt`));
      await files.writeDurable(join(paths.access, 'tls.pem'), `${bootstrap ?? ''}${service ?? ''}`, 0o644);
      const credential = await files.readText(onHost('/var/lib/branchbox/controller/admin.credential'));
      await files.writeDurable(join(paths.access, 'admin.credential'), credential ?? '', 0o600);
    },
    async makeIdentity(serial, model, request) {
      const out = `${EXCHANGE}/identities/${serial}`;
      const requestFile = `${EXCHANGE}/identities/${serial}.csr`;
      const isMade = (await files.readText(onHost(`${out}/serial`))) !== undefined;
      if (isMade && (await files.readText(onHost(requestFile))) !== request) {
        throw new BranchboxError('cli/usage', {
          message: `${serial} was made before, and not by this request`,
          mend: 'a serial is given once: say the same as then, or take another name',
        });
      }
      if (request !== undefined) await files.writeDurable(onHost(requestFile), request, 0o644);
      await branchbox(
        'manufacturer',
        'identity',
        '--state',
        MANUFACTURER_STATE,
        '--serial',
        serial,
        '--model',
        model,
        '--out',
        out,
        ...(request === undefined ? [] : ['--request', requestFile]),
      ).catch(async (thrown: unknown) => {
        // Made earlier, by a call that did not come to its end: the manufacturer gives a serial once.
        const isTaken = thrown instanceof BranchboxError && thrown.code === 'controller/conflict';
        if (!isTaken || (await files.readText(onHost(`${out}/serial`)))?.trim() !== serial) throw thrown;
      });
      const made: Record<string, string> = {};
      for (const name of IDENTITY_FILES) {
        const text = await files.readText(onHost(`${out}/${name}`));
        if (text !== undefined) made[name] = text;
      }
      return made;
    },
    async makeKnown(serials) {
      await fleet(['inventory', ...serials]);
    },
    async applyFleet(wanted, tree) {
      const bundles = new Map<string, string>();
      for (const [index, image] of labImagesOf(wanted).entries()) {
        const name = `image-${index}.tar`;
        await mkdir(onHost(`${EXCHANGE}/images`), { recursive: true });
        await buildAppImage(runner, { tree, image, out: onHost(`${EXCHANGE}/images/${name}`) });
        bundles.set(image.reference, (await fleet(['bundle', `${EXCHANGE}/images/${name}`])).trim());
      }
      await apply(renderFleet(wanted, bundles));
    },
    async addGateway(wanted) {
      // The gateway alone is written: what others change in the fleet meanwhile stays.
      for (let tries = 1; ; tries += 1) {
        const gateway = branchFor(parseFleet(await fleet(['show']), 'the fleet'), wanted);
        await files.writeDurable(onHost(`${EXCHANGE}/${gateway.id}.toml`), renderToml(gateway), 0o644);
        try {
          await fleet(['gateway', `${EXCHANGE}/${gateway.id}.toml`]);
          return;
        } catch (thrown) {
          // Somebody who came at the same time may have taken the VTEP.
          const again = thrown instanceof BranchboxError && thrown.code === 'model/invalid';
          if (!again || tries === MAX_ADD_TRIES) throw thrown;
        }
      }
    },
  };
}

/** Where a box finds what the factory wrote, as files of its node. */
export function factoryFiles(identity: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(identity).map(([name, content]): [string, string] => [
    `${FACTORY_DIRECTORY}/${name}`,
    content,
  ]);
  return { ...Object.fromEntries(entries), [`${FACTORY_DIRECTORY}/bootstrap-servers`]: '' };
}
