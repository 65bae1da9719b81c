/**
 * Owns what the fleet means for one gateway: its uplinks, overlay neighbours, segments and apps. Pure: the same
 * inputs give the same bytes, and nothing here knows how a box renders it.
 * Does not own tunnels (designTunnels.ts), numbers (allocations.ts), nor when a design is sent (publisher.ts).
 */
import { splitCidr } from '../model/addresses.ts';
import { tryDecode } from '../model/decode.ts';
import { DesiredSpec } from '../model/desired.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import { type Fleet, type FleetGateway, firmwareOf } from '../model/fleet.ts';
import { addressingOf } from '../model/fleetUnderlay.ts';
import { asWritten } from './designProblems.ts';
import {
  branchTunnels,
  hubTunnels,
  listenPortProblems,
  slotOf,
  sortBy,
  type TunnelInputs,
} from './designTunnels.ts';

export interface DesignInputs extends TunnelInputs {
  /** SHA-256 → size of what was uploaded. */
  readonly bundleSizes: ReadonlyMap<string, number>;
  /** Whole firmware versions: version → signed manifest. */
  readonly firmware: ReadonlyMap<string, string>;
  readonly controller: DesiredSpec['controller'];
}

const MIB = 1024 * 1024;
/** Of the model: an app that forks without end must not take the box with it. */
const DEFAULT_PIDS = 256;

export function designGateway(inputs: DesignInputs, gateway: FleetGateway): DesiredSpec {
  const { fleet } = inputs;
  const hubs = fleet.gateways.filter((other) => other.role === 'hub');
  const branches = fleet.gateways.filter((other) => other.role === 'branch');
  const used = segmentsOf(gateway);
  const spec: DesiredSpec = {
    role: gateway.role,
    site: gateway.site,
    fleet: {
      asn: fleet.fleet.asn,
      tenantMtu: fleet.fleet.tenantMtu,
      vtepRange: fleet.fleet.vtepRange,
      tunnelRange: fleet.fleet.tunnelRange,
    },
    vtep: gateway.vtep,
    controller: inputs.controller,
    uplinks: gateway.uplinks.map((uplink) => ({
      name: uplink.name,
      slot: slotOf(inputs, gateway, uplink),
      port: uplink.port,
      ...(uplink.vlan === undefined ? {} : { vlan: uplink.vlan }),
      colour: uplink.colour ?? uplink.name,
      ...addressingOf(uplink),
      metered: uplink.metered,
      ...(uplink.expect === undefined ? {} : { expect: uplink.expect }),
    })),
    tunnels:
      gateway.role === 'hub' ? hubTunnels(inputs, gateway, branches) : branchTunnels(inputs, gateway, hubs),
    overlay: {
      // Every hub reflects to every branch. None has a tunnel to another one, so a session there would never stand.
      reflectors:
        gateway.role === 'hub'
          ? []
          : sortBy(hubs, (hub) => hub.id).map((hub) => ({ gatewayId: hub.id, vtep: hub.vtep })),
      clients: gateway.role === 'hub' ? sortBy(branches, (b) => b.id).map((b) => clientOf(fleet, b)) : [],
    },
    segments: sortBy(
      fleet.segments.filter((segment) => used.has(segment.id)),
      (segment) => segment.id,
    ).map(({ id, tenant, vni, subnet }) => ({
      id,
      tenant,
      vni,
      ...(subnet === undefined ? {} : { subnet }),
    })),
    ports: sortBy(gateway.ports, (port) => port.port).map(({ port, segment }) => ({ port, segment })),
    apps: sortBy(gateway.apps, (app) => app.name).map((app) => designApp(inputs, gateway, app)),
    ...designFirmware(inputs, gateway),
    ...(gateway.ssh === undefined ? {} : { ssh: gateway.ssh }),
  };
  const decoded = tryDecode(DesiredSpec, spec);
  if (decoded.ok) return decoded.value;
  throw new BranchboxError('model/invalid', {
    message: `the fleet asks for what gateway ${gateway.id} cannot be told`,
    problems: decoded.problems.map((problem) => asWritten(problem, fleet.gateways.indexOf(gateway))),
  });
}

/** Every gateway's design, or all problems of all of them at once. */
export function designFleet(inputs: DesignInputs): ReadonlyMap<string, DesiredSpec> {
  const problems: Problem[] = listenPortProblems(inputs);
  const specs = new Map<string, DesiredSpec>();
  for (const gateway of inputs.fleet.gateways) {
    try {
      specs.set(gateway.id, designGateway(inputs, gateway));
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      // What all gateways share is told once.
      problems.push(...thrown.problems.filter((problem) => !problems.some(isSame(problem))));
    }
  }
  if (problems.length === 0) return specs;
  throw new BranchboxError('model/invalid', {
    message: `the fleet has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
    problems,
  });
}

const isSame =
  ({ path, message }: Problem) =>
  (other: Problem): boolean =>
    other.path === path && other.message === message;

function clientOf(fleet: Fleet, branch: FleetGateway): DesiredSpec['overlay']['clients'][number] {
  const used = segmentsOf(branch);
  const vnis = fleet.segments.filter((segment) => used.has(segment.id)).map((segment) => segment.vni);
  return { gatewayId: branch.id, vtep: branch.vtep, vnis: vnis.sort((a, b) => a - b) };
}

function designApp(
  inputs: DesignInputs,
  gateway: FleetGateway,
  app: FleetGateway['apps'][number],
): DesiredSpec['apps'][number] {
  const subnet = inputs.fleet.segments.find((segment) => segment.id === app.segment)?.subnet ?? '0.0.0.0/32';
  return {
    name: app.name,
    tenant: app.tenant,
    image: {
      reference: app.image,
      ...(app.bundle === undefined
        ? {}
        : { bundle: { sha256: app.bundle, sizeBytes: bundleSize(inputs, gateway, app, app.bundle) } }),
    },
    ...(app.command === undefined ? {} : { command: app.command }),
    environment: Object.fromEntries(sortBy(Object.entries(app.environment), ([name]) => name)),
    ...(app.volumes === undefined ? {} : { volumes: sortBy(app.volumes, ({ name }) => name) }),
    attachment: {
      segment: app.segment,
      address: `${app.address}/${splitCidr(subnet).prefixLength}`,
      ...(app.macAddress === undefined ? {} : { macAddress: app.macAddress }),
    },
    limits: { memoryBytes: app.memoryMiB * MIB, cpus: app.cpus, pids: DEFAULT_PIDS },
  };
}

function bundleSize(
  inputs: DesignInputs,
  gateway: FleetGateway,
  app: FleetGateway['apps'][number],
  sha256: string,
): number {
  const sizeBytes = inputs.bundleSizes.get(sha256);
  if (sizeBytes !== undefined) return sizeBytes;
  const path = `$.gateways[${inputs.fleet.gateways.indexOf(gateway)}].apps[${gateway.apps.indexOf(app)}].bundle`;
  throw new BranchboxError('model/invalid', {
    message: `app ${app.name} names a bundle that was not uploaded`,
    problems: [{ path, message: 'no such bundle was uploaded' }],
  });
}

function designFirmware(inputs: DesignInputs, gateway: FleetGateway): Pick<DesiredSpec, 'firmware'> {
  const wanted = firmwareOf(inputs.fleet, gateway);
  if (wanted === undefined) return {};
  const { version, rateLimitKbps, window, allowDowngrade = false } = wanted;
  const manifest = inputs.firmware.get(version);
  if (manifest !== undefined) {
    return {
      firmware: {
        version,
        manifest,
        ...(rateLimitKbps === undefined ? {} : { rateLimitKbps }),
        ...(window === undefined ? {} : { window }),
        allowDowngrade,
      },
    };
  }
  const own = gateway.firmware?.version !== undefined;
  const path = own ? `$.gateways[${inputs.fleet.gateways.indexOf(gateway)}].firmware` : '$.fleet.firmware';
  throw new BranchboxError('model/invalid', {
    message: `gateway ${gateway.id} is to run firmware ${version}, which is not here`,
    problems: [
      { path: `${path}.version`, message: `no firmware ${version} was uploaded with all its parts` },
    ],
  });
}

function segmentsOf(gateway: FleetGateway): ReadonlySet<string> {
  return new Set([...gateway.ports, ...gateway.apps].map((attachment) => attachment.segment));
}
