/**
 * For any families of uplinks: both ends of a path agree on it, a box pins each uplink in every family that is there, and
 * what it wants is told apart.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocate, NO_ALLOCATIONS } from '../../src/controller/allocations.ts';
import { designFleet } from '../../src/controller/designer.ts';
import { tryDecode } from '../../src/model/decode.ts';
import type { DesiredSpec } from '../../src/model/desired.ts';
import { Facts } from '../../src/model/facts.ts';
import { Fleet } from '../../src/model/fleet.ts';
import { uplinkMark } from '../../src/model/ids.ts';
import { familyOf, hasFamily } from '../../src/model/underlay.ts';
import type { RuleItem } from '../../src/net/items.ts';
import { renderWan } from '../../src/wan/render.ts';
import { factsOf } from '../lab/wan/fleet.ts';
import { publicKey } from '../unit/controller/fixtures.ts';

type Way = 'four' | 'six' | 'both';
const way = fc.constantFrom<Way>('four', 'six', 'both');
const isStatic = fc.boolean();
const uplinks = fc.array(fc.tuple(way, isStatic), { minLength: 1, maxLength: 2 });

const uplinkOf = (
  [wanted, fixed]: readonly [Way, boolean],
  box: number,
  i: number,
  isHub: boolean,
): object => {
  const host = 10 * box + i + 2;
  const static4 = { address: `198.51.${i}.${host}/24`, gateway: `198.51.${i}.1` };
  const static6 = { address: `2001:db8:${i}::${host}/64`, gateway: 'fe80::1' };
  const has4 = wanted !== 'six';
  const has6 = wanted !== 'four';
  return {
    name: `up${i}`,
    port: `wan${i + 1}`,
    ...(has4 ? (fixed ? { static: static4 } : {}) : { ipv4: 'none' }),
    ...(has6 ? (fixed ? { static6 } : { ipv6: 'auto' }) : {}),
    ...(isHub && has4 ? { publicAddress: `198.51.${i}.${host}` } : {}),
    ...(isHub && has6 ? { publicAddress6: `2001:db8:${i}::${host}` } : {}),
  };
};
const gatewayOf = (id: string, box: number, wanted: readonly (readonly [Way, boolean])[]) => ({
  id,
  role: id === 'hub' ? 'hub' : 'branch',
  site: id,
  vtep: `10.255.0.${box + 1}`,
  uplinks: wanted.map((one, i) => uplinkOf(one, box, i, id === 'hub')),
});
const IDS = ['hub', 'branch1', 'branch2'] as const;
const KEYS = new Map(IDS.map((id, i) => [id, publicKey(i + 1)]));

/** undefined where the fleet is refused. */
function design(
  wanted: readonly (readonly (readonly [Way, boolean])[])[],
): ReadonlyMap<string, DesiredSpec> | undefined {
  const decoded = tryDecode(Fleet, {
    fleet: { name: 'test' },
    gateways: IDS.map((id, box) => gatewayOf(id, box, wanted[box] ?? [])),
  });
  if (!decoded.ok) {
    expect(decoded.problems.map(({ message }) => message).join()).toContain('no path leads there');
    return undefined;
  }
  return designFleet({
    fleet: decoded.value,
    allocations: allocate(decoded.value, NO_ALLOCATIONS),
    publicKeys: KEYS,
    bundleSizes: new Map(),
    firmware: new Map(),
    controller: { mqtt: { host: 'c.example', port: 8883 }, device: { host: 'c.example', port: 8446 } },
  });
}
const pathsOf = (spec: DesiredSpec | undefined): readonly string[] =>
  (spec?.tunnels ?? []).flatMap(({ peers }) => peers.map(({ path }) => path)).sort();

describe('any families of three gateways', () => {
  it('give paths that both ends have, by a family that both have, IPv4 first; or a problem', () => {
    fc.assert(
      fc.property(uplinks, uplinks, uplinks, (...wanted) => {
        const specs = design(wanted);
        if (specs === undefined) return;
        const hub = specs.get('hub');
        const branches = ['branch1', 'branch2'].flatMap((id) => specs.get(id) ?? []);
        expect(pathsOf(hub)).toEqual(branches.flatMap(pathsOf).sort());
        for (const branch of branches) {
          expect(branch.tunnels.length).toBeGreaterThan(0);
          for (const { uplink, peers } of branch.tunnels) {
            const own = branch.uplinks.find(({ name }) => name === uplink) ?? expect.unreachable();
            const [peer] = peers;
            const theirs =
              hub?.uplinks.find(({ name }) => peer?.path.endsWith(`~hub.${name}`)) ?? expect.unreachable();
            const family = familyOf(peer?.endpoint?.address ?? '');
            for (const end of [own, theirs]) expect(hasFamily(end, family)).toBe(true);
            if (family === 6) expect(hasFamily(own, 4) && hasFamily(theirs, 4)).toBe(false);
          }
        }
      }),
    );
  });

  it('leave no mark of an uplink without an end, in any family that the box has', () => {
    fc.assert(
      fc.property(uplinks, uplinks, uplinks, fc.boolean(), (first, second, third, leased) => {
        const specs = design([first, second, third]);
        for (const [id, spec] of specs ?? []) {
          const items = renderWan(spec, factsWith(id, leased));
          const ids = items.map((item) => item.id);
          expect(new Set(ids).size).toBe(ids.length);
          const rules = items.filter((item): item is RuleItem => item.kind === 'rule');
          const families = spec.uplinks.some((uplink) => hasFamily(uplink, 6)) ? [4, 6] : [4];
          for (const { slot } of spec.uplinks) {
            const ends = rules.filter(
              ({ spec: { mark, action } }) => mark === uplinkMark(slot) && action.kind === 'unreachable',
            );
            expect(ends.map((item) => item.spec.family ?? 4).toSorted((a, b) => a - b)).toEqual(families);
          }
          for (const item of items) {
            if (item.kind !== 'wireguard') continue;
            const pins = rules.filter(({ spec: { mark } }) => mark === item.spec.mark).map((rule) => rule.id);
            expect(item.needs).toEqual(expect.arrayContaining(pins));
          }
        }
      }),
    );
  });
});

function factsWith(id: string, leased: boolean): Facts {
  const bare = factsOf(KEYS.get(id as (typeof IDS)[number]) ?? '');
  if (!leased) return bare;
  const lease = (ifname: string, i: number) => ({ ifname, dns: [], bootstrapServers: [], i });
  const wans = ['wan1', 'wan2'].map(lease);
  return Facts.parse({
    ...bare,
    leases: wans.map(({ i, ...rest }) => ({ ...rest, address: `192.0.${i}.9/24`, gateway: `192.0.${i}.1` })),
    leases6: wans.map(({ i, ...rest }) => ({ ...rest, address: `2001:db8:f${i}::9/64`, gateway: 'fe80::1' })),
  });
}
