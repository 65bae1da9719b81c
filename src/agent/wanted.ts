/**
 * Owns what the box wants as items, read anew for each run: the desired state, facts, a bootstrap medium's network and
 * the mark of a box that its owner does not trust; and what follows from it on disk (static leases, PPPoE lines, keys that SSH
 * lets in, units of a boot).
 * Does not own rendering (items.ts), any of these files' form, nor when it is asked.
 */
import type { Quarantine } from '../model/bootstrap.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { PortFact } from '../model/facts.ts';
import { SSH_USER } from '../model/ssh.ts';
import type { AnyItem } from '../reconcile/item.ts';
import type { System } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import type { Line } from '../model/underlay.ts';
import { planFactoryUplinks } from '../wan/factory.ts';
import type { Modems } from './modems.ts';
import { planModemWishes } from './modemLeases.ts';
import { createBootUnits } from './bootUnits.ts';
import { createEngineStart } from './engineStart.ts';
import type { FactsGatherer } from './facts.ts';
import { renderBox } from './items.ts';
import { accountIdOf } from './accounts.ts';
import type { MediumNetwork } from './mediumNetwork.ts';
import {
  type AgentPaths,
  authorizedKeysPath,
  bootUnitsPath,
  leasesDirectory,
  pppoeDirectory,
  resolvConfPath,
} from './paths.ts';
import { readQuarantine } from './quarantine.ts';
import { holdPppoeLines, renderPppoeLines } from './pppoeLines.ts';
import { holdResolvConf, renderResolvConf } from './resolvConf.ts';
import { holdAuthorizedKeys } from './sshKeys.ts';
import { holdStaticLeases, renderStaticLeases } from './staticLeases.ts';

const ACCOUNTS = '/etc/passwd';

export interface Wanted {
  /** For applying: what follows from it on disk is written, too. */
  items(limit: AbortSignal): Promise<readonly AnyItem[]>;
  /** For looking: writes nothing. */
  read(limit: AbortSignal): Promise<readonly AnyItem[]>;
  /** As last read; undefined while the owner trusts this box. */
  quarantine(): Quarantine | undefined;
  /**
   * Whether what the identity process says is other than at the last look. Enrolled: what was for the installer goes.
   * Distrusted, or trusted again: what is for tenants does. A medium came: its network counts.
   */
  look(): Promise<boolean>;
}

export async function createWanted(parts: {
  readonly system: Pick<System, 'files' | 'services' | 'log'>;
  readonly paths: AgentPaths;
  readonly facts: Pick<FactsGatherer, 'gather'>;
  readonly network: Pick<MediumNetwork, 'read'>;
  readonly spec: () => DesiredSpec | undefined;
  readonly gatewayId: () => string | undefined;
  readonly clockIsBehind: () => boolean;
  readonly modems: Pick<Modems, 'hold' | 'byDhcp'>;
  /** In the form of passwd(5). */
  readonly accounts?: string;
}): Promise<Wanted> {
  const { paths, accounts = ACCOUNTS } = parts;
  const { files, log } = parts.system;
  const bootUnits = createBootUnits({ files, path: bootUnitsPath(paths), log });
  const engineStart = createEngineStart({ services: parts.system.services, log });
  // It comes with the image or the package, before the agent.
  const look = accountIdOf((await files.readText(accounts)) ?? '', SSH_USER);
  let quarantine = await readQuarantine(files, paths);
  /** Of looks alone: what one lane or a read-out saw must not keep the other lanes from it. */
  let seen: string | undefined;

  /** Where a modem's network tells no address, its uplink is one by DHCP as any other, once it stands. */
  const asDialled = <U extends Line>(uplink: U): U =>
    uplink.addressing.kind === 'modem' && parts.modems.byDhcp().has(uplink.port)
      ? { ...uplink, addressing: { kind: 'dhcp' } }
      : uplink;
  const asDialledPort = ({ modem, ...port }: PortFact): PortFact =>
    modem === undefined || parts.modems.byDhcp().has(port.label) ? port : { ...port, modem };
  const read = async (limit: AbortSignal) => {
    const facts = await parts.facts.gather(limit);
    quarantine = await readQuarantine(files, paths);
    const network = await parts.network.read();
    const said = parts.spec();
    const spec = said && { ...said, uplinks: said.uplinks.map(asDialled) };
    const quarantined = quarantine !== undefined;
    const clockIsBehind = parts.clockIsBehind();
    const dialled = { ...facts, ports: facts.ports.map(asDialledPort) };
    const items = renderBox(spec, dialled, parts.gatewayId(), { quarantined, clockIsBehind, network, look });
    const uplinks = spec?.uplinks ?? planFactoryUplinks(dialled, network);
    return {
      items,
      facts,
      modems: planModemWishes(said?.uplinks ?? planFactoryUplinks(facts, network), network, facts),
      statics: renderStaticLeases(uplinks, facts),
      resolvConf: renderResolvConf(facts),
      pppoe: renderPppoeLines(uplinks, network, facts),
    };
  };
  const inTurn = createSerialQueue();
  /** The lanes ask at once: one that came late, or with what was wanted before, would stop what another has started. */
  const holdKeys = (): Promise<void> =>
    inTurn(() => holdAuthorizedKeys(parts.system, authorizedKeysPath(paths), parts.spec()?.ssh));
  return {
    quarantine: () => quarantine,
    async read(limit) {
      return (await read(limit)).items;
    },
    async items(limit) {
      const { items, facts, modems, statics, pppoe, resolvConf } = await read(limit);
      parts.modems.hold(modems);
      // Told by a file: the watch over leases brings the facts of it.
      await holdStaticLeases(files, leasesDirectory(paths), statics);
      await holdResolvConf(files, resolvConfPath(paths), resolvConf);
      await holdPppoeLines(parts.system, pppoeDirectory(paths), pppoe);
      await holdKeys();
      await bootUnits.note(items);
      engineStart.look(parts.spec(), facts);
      return items;
    },
    async look() {
      const isMarked = (await readQuarantine(files, paths)) !== undefined;
      const network = await parts.network.read();
      const now = JSON.stringify([parts.gatewayId() ?? '', isMarked, network ?? '']);
      const isOther = now !== seen;
      seen = now;
      return isOther;
    },
  };
}
