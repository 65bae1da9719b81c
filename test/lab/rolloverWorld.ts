/**
 * Owns a test's owner whose domain CA changes: real signer, controller and broker, boxes in service there (identity process
 * and an agent), the step to the next CA, a box that renews. Does not own what is expected of any of it.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, parseCertificate, parseCertificates } from '../../src/pki/certificate.ts';
import { certifyPast } from './bootstrapCertify.ts';
import { last, ownerOf, untilState } from './bootstrapObserve.ts';
import { type BootstrapWorld, branchesOf, createBootstrapWorld, readText } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { quietRootTree } from './quietRootTree.ts';

export interface RollingBox {
  readonly box: string;
  identity: Running;
  agent: Running;
}

export interface RolloverWorld {
  readonly world: BootstrapWorld;
  /** The CA of the beginning. */
  readonly first: Certificate;
  at(name: string): string;
  fleet(...words: readonly string[]): Promise<string>;
  /** Every box's gateway at that site. */
  applySite(site: string): Promise<void>;
  inService(serial: string): Promise<RollingBox>;
  partsOf(serial: string): RollingBox;
  /** Fingerprints, as the box holds them. */
  anchorsOf(box: string): Promise<readonly string[]>;
  /** What `--sign` said. Signer and controller began anew with it. */
  nextSigns(): Promise<string>;
  restart(): Promise<void>;
  /** Its certificate ran out while it was off. */
  recover(parts: RollingBox): Promise<void>;
}

export async function createRolloverWorld(serials: readonly string[]): Promise<RolloverWorld> {
  const world = await createBootstrapWorld(await quietRootTree());
  let { signer, controller } = await world.startServices();
  const boxes = new Map<string, RollingBox>();
  const at = (name: string): string => join(world.directory, name);
  const state = ['--state', at('signer')];
  const fleet = (...words: readonly string[]) => world.branchbox('fleet', ...words, ...world.apiAccess);

  async function restart(): Promise<void> {
    await controller.end('SIGTERM');
    await signer.end('SIGTERM');
    signer = await world.startSigner();
    controller = await world.startController();
  }

  return {
    world,
    first: parseCertificate(await readText(at('anchors/domain.pem'))),
    at,
    fleet,
    async applySite(site) {
      const gateways = branchesOf(serials).replaceAll('site = "here"', `site = "${site}"`);
      await writeFile(at('fleet.toml'), `[fleet]\nname = "test"\n${gateways}`);
      await fleet('apply', at('fleet.toml'));
    },
    async inService(serial) {
      await fleet('inventory', serial);
      const box = await world.newBox(serial);
      const identity = world.start('test/lab/bootstrapBox.ts', box);
      await untilState(box, last('STRICT'));
      const agent = world.start('test/lab/moveAgent.ts', box, serial, String(boxes.size + 1));
      const parts = { box, identity, agent };
      boxes.set(serial, parts);
      await untilState(box, last('OPERATIONAL'));
      return parts;
    },
    partsOf(serial) {
      const parts = boxes.get(serial);
      if (parts === undefined) throw new Error(`${serial} was not started`);
      return parts;
    },
    anchorsOf: async (box) =>
      parseCertificates((await ownerOf(box)).domainAnchorPem).map(
        ({ fingerprintSha256 }) => fingerprintSha256,
      ),
    async nextSigns() {
      await world.branchbox('signer', 'rollover', ...state);
      const told = await world.branchbox('signer', 'rollover', ...state, '--sign');
      await restart();
      return told;
    },
    restart,
    async recover(parts) {
      await parts.identity.end('SIGTERM');
      const past = { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() - 1_000 };
      await certifyPast(world, parts.box, past);
      parts.identity = world.start('test/lab/bootstrapBox.ts', parts.box);
      await untilState(parts.box, (states) => states.includes('RECOVER') && last('OPERATIONAL')(states));
    },
  };
}
