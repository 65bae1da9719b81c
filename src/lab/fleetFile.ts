/**
 * Owns reading a topology's fleet.toml and what the lab fills in before it is applied. Pure but for the reading.
 * Does not own what a fleet may say (model/fleet.ts).
 */
import { join } from 'node:path';
import { parse as parseToml, stringify as stringifyToml } from 'smol-toml';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { contains, ipv4ToNumber, isHostOf, numberToIpv4, splitCidr } from '../model/addresses.ts';
import { Fleet, FleetGateway } from '../model/fleet.ts';
import type { Files } from '../system/ports.ts';
import type { AppImage } from './appImage.ts';
import { isGateway, TOPOLOGIES_DIRECTORY, type Topology } from './topology.ts';

/** Images under this name are built by the lab, in no registry. */
const LAB_IMAGE_PREFIX = 'lab/';
/** Above the addresses that people write into fleet files by hand. */
const FIRST_ADDED_VTEP = 100;

/** undefined where a topology has no fleet: its nodes then stay as they come from the factory. */
export async function readFleet(
  files: Pick<Files, 'readText'>,
  topologyName: string,
): Promise<Fleet | undefined> {
  const path = join(TOPOLOGIES_DIRECTORY, topologyName, 'fleet.toml');
  const text = await files.readText(path);
  return text === undefined ? undefined : parseFleet(text, path);
}

/** A gateway of the fleet that no node is would be waited for in vain. Pure; throws model/invalid. */
export function checkFleetFits(fleet: Fleet, topology: Topology): void {
  const names = topology.nodes.filter(isGateway).map(({ name }) => name);
  const problems = fleet.gateways.flatMap(({ id }, i) =>
    names.includes(id)
      ? []
      : [
          {
            path: `$.gateways[${i}].id`,
            message: `no gateway of the topology is named ${id}: it has ${names.join(', ')}`,
          },
        ],
  );
  if (problems.length === 0) return;
  throw new BranchboxError('model/invalid', {
    message: 'fleet.toml does not fit its topology.toml',
    mend: 'name the gateways of both alike',
    problems,
  });
}

export function parseFleet(text: string, what: string): Fleet {
  try {
    return decode(Fleet, parseToml(text), what);
  } catch (cause) {
    if (cause instanceof BranchboxError) throw cause;
    const message = `${what} is not TOML: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new BranchboxError('model/invalid', { message, cause });
  }
}

/** A branch for that serial, with the lowest VTEP that is free from .100 on, or in a range that ends before, at all; one that is there already gets the serial. */
export function branchFor(
  fleet: Fleet,
  { id, serial }: { readonly id: string; readonly serial: string },
): FleetGateway {
  const present = fleet.gateways.find((gateway) => gateway.id === id);
  if (present !== undefined) return { ...present, serial };
  return FleetGateway.parse({
    id,
    serial,
    role: 'branch',
    site: id,
    vtep: freeVtep(fleet),
    uplinks: [{ name: 'internet', port: 'wan1' }],
  });
}

function freeVtep({ fleet: { vtepRange }, gateways }: Fleet): string {
  const base = ipv4ToNumber(splitCidr(vtepRange).address);
  const taken = new Set(gateways.map(({ vtep }) => vtep));
  for (const first of [FIRST_ADDED_VTEP, 0]) {
    for (let at = base + first; contains(vtepRange, numberToIpv4(at)); at += 1) {
      const vtep = numberToIpv4(at);
      if (isHostOf(vtepRange, vtep) && !taken.has(vtep)) return vtep;
    }
  }
  throw new BranchboxError('cli/usage', {
    message: `every VTEP of ${vtepRange} is taken`,
    mend: 'give the fleet a larger vtepRange',
  });
}

export function labImagesOf(fleet: Fleet): readonly AppImage[] {
  return fleet.gateways
    .flatMap(({ apps }) => apps)
    .filter(({ image, bundle }) => bundle === undefined && image.startsWith(LAB_IMAGE_PREFIX))
    .map(({ image, name }) => ({ reference: image, appName: name }));
}

/** `bundles`: image reference → SHA-256 of what was uploaded. */
export function renderFleet(fleet: Fleet, bundles: ReadonlyMap<string, string>): string {
  const gateways = fleet.gateways.map((gateway) => ({
    ...gateway,
    apps: gateway.apps.map((app) => {
      const bundle = bundles.get(app.image);
      return bundle === undefined ? app : { ...app, bundle };
    }),
  }));
  return renderToml({ ...fleet, gateways });
}

/** By way of JSON: TOML has no word for a field that is absent. */
export const renderToml = (value: object): string => stringifyToml(JSON.parse(JSON.stringify(value)));
