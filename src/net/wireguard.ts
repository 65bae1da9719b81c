/**
 * Owns what WireGuard interfaces are told: key, port, mark, peers. One `wg syncconf` an interface, which leaves
 * running sessions of unchanged peers alone. Does not own the interfaces (link.ts) nor where the key comes from.
 */
import { z } from 'zod';
import { BranchboxError } from '../model/errors.ts';
import { itemId, linkItem } from '../model/ids.ts';
import { Secret } from '../model/secret.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { createAppliedNotes } from './applied.ts';
import { wireguard } from './itemIds.ts';
import type { WireGuardItem, WireGuardSpec } from './items.ts';
import type { KernelLink } from './kernelLink.ts';
import { isOurs, isTun } from './linkRead.ts';
import { eachInTurn } from './outcome.ts';
import { createRoaming } from './roaming.ts';
import {
  isAsSpecified,
  parseWireGuardDump,
  renderWireGuardConfig,
  type WireGuardState,
} from './wireguardText.ts';
import { ifnameWord } from './word.ts';

/** tmpfs: the file with the key in it never meets a disk, and is there for the length of one call. */
const CONFIG_DIRECTORY = '/run/branchbox/wireguard';

const Note = z.object({
  link: z.string(),
  privateKeyFile: z.string(),
  publicKey: z.string(),
  listenPort: z.number().exactOptional(),
  mark: z.number(),
  peers: z.array(
    z.object({
      publicKey: z.string(),
      endpoint: z.object({ address: z.string(), port: z.number() }).exactOptional(),
      allowedIps: z.array(z.string()),
      keepaliveS: z.number(),
    }),
  ),
});

export interface WireGuardDriverNeeds extends Pick<System, 'runner' | 'files' | 'log'> {
  readonly links: (signal: AbortSignal) => Promise<readonly KernelLink[]>;
}

export function createWireGuardDriver({
  runner,
  files,
  log,
  links,
}: WireGuardDriverNeeds): Driver<WireGuardItem> {
  const notes = createAppliedNotes(files, 'wireguard', Note);
  const roaming = createRoaming(files, log);

  /** By file, not by stdin: wg opens /dev/stdin by name, which a child of Node cannot (its stdin is a socket). */
  const tell = async (
    verb: 'syncconf' | 'setconf',
    { id, spec }: WireGuardItem,
    config: Secret,
    signal: AbortSignal,
  ): Promise<void> => {
    const path = `${CONFIG_DIRECTORY}/${ifnameWord(spec.link)}.conf`;
    try {
      await files.writeDurable(path, config.reveal());
      const result = await runner.run('wg', [verb, spec.link, path], { signal });
      if (result.exitCode !== 0) {
        throw new BranchboxError('net/kernel', { message: `${id}: wg refused: ${result.stderr.trim()}` });
      }
    } finally {
      await files.remove(path);
    }
  };

  const configure = async (
    item: WireGuardItem,
    told: (spec: WireGuardSpec) => Promise<WireGuardSpec>,
    signal: AbortSignal,
  ): Promise<void> => {
    const { spec, id } = item;
    const privateKey = await files.readText(spec.privateKeyFile);
    if (privateKey === undefined) {
      throw new BranchboxError('system/file', { message: `${id}: ${spec.privateKeyFile} is not there` });
    }
    await tell('syncconf', item, renderWireGuardConfig(await told(spec), new Secret(privateKey)), signal);
    await notes.change(new Map([[id, Note.parse(spec)]]));
  };

  return {
    async observe(signal) {
      const devices = (await links(signal)).filter((found) => isOurs(found) && isWireGuard(found));
      if (devices.length === 0) return [];
      const [dump, noted] = await Promise.all([
        runner.runChecked('wg', ['show', 'all', 'dump'], { signal }),
        notes.read(),
      ]);
      const ours = new Set(devices.map((found) => found.ifname));
      const states = parseWireGuardDump(dump);
      await roaming.remember(states, new Map([...noted.values()].map((spec) => [spec.link, spec])));
      return states
        .filter((state) => ours.has(state.link) && state.publicKey !== '(none)')
        .map((state) =>
          wireguard(observedSpec(state, noted.get(itemId('wireguard', state.link))), [linkItem(state.link)]),
        );
    },
    create: (items, signal) => eachInTurn(items, (item) => configure(item, roaming.recall, signal)),
    modify: (changes, signal) =>
      eachInTurn(
        changes.map((change) => change.to),
        // A running interface knows better where its peers are.
        (item) => configure(item, (spec) => Promise.resolve(spec), signal),
      ),
    /** setconf of nothing takes peers, key, port and mark away. */
    delete: (items, signal) =>
      eachInTurn(items, async (item) => {
        const present = (await links(signal)).some((found) => found.ifname === item.spec.link);
        if (present) await tell('setconf', item, new Secret('[Interface]\n'), signal);
        await notes.change(new Map([[item.id, undefined]]));
      }),
    needsRecreate: () => false,
  };
}

const isWireGuard = (found: KernelLink): boolean => found.kind === 'wireguard' || isTun(found);

/** The spec it was given, as long as the interface matches it. */
function observedSpec(state: WireGuardState, note: WireGuardSpec | undefined): WireGuardSpec {
  if (note !== undefined && isAsSpecified(state, note)) return note;
  return { ...state, privateKeyFile: note?.privateKeyFile ?? '' };
}
