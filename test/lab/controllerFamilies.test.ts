/**
 * A controller that listens at ::, reached by a box in either family: the real servers and mosquitto, the box's own
 * dialler; and a fleet with addresses of both, as somebody writes it.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dialController } from '../../src/agent/controllerDial.ts';
import { topicsOf } from '../../src/model/mqtt.ts';
import { Secret } from '../../src/model/secret.ts';
import { createUplinkDialer } from '../../src/system/uplinkDial.ts';
import { type ControllerWorld, createControllerWorld } from './controllerWorld.ts';
import { silentLog as silent } from '../fakes/silentLog.ts';
import { quietRootTree } from './quietRootTree.ts';

let world: ControllerWorld;

/** `hub` and `branch`: the words of their one uplink. */
const fleetToml = (hub: string, branch: string, tenantMtu = 1370): string => `
[fleet]
name = "test"
tenantMtu = ${tenantMtu}
[[gateways]]
id = "hub"
serial = "SN-hub"
role = "hub"
site = "hub"
vtep = "10.255.0.1"
uplinks = [{ name = "internet", port = "wan1", ${hub} }]
[[gateways]]
id = "branch1"
serial = "SN-branch1"
role = "branch"
site = "branch1"
vtep = "10.255.0.11"
uplinks = [{ name = "internet", port = "wan1"${branch} }]
`;
const BOTH = 'ipv6 = "auto", publicAddress = "198.51.100.20", publicAddress6 = "2001:db8:a::20"';
const SIX = ', ipv4 = "none", ipv6 = "auto"';

async function apply(toml: string): Promise<void> {
  await writeFile(world.at('fleet.toml'), toml);
  await world.fleet('apply', world.at('fleet.toml'));
}

beforeAll(async () => {
  world = await createControllerWorld(await quietRootTree(), '::');
  await world.startController();
  await world.fleet('inventory', 'SN-hub', 'SN-branch1');
  await apply(fleetToml(BOTH, SIX));
  for (const id of ['hub', 'branch1']) await world.enrol(await world.newIdentity(`SN-${id}`));
});
afterAll(() => world?.remove());

it.each([
  ['IPv6', '::1'],
  ['IPv4', '127.0.0.1'],
])('a box whose uplink has %s alone hears what it is to be', async (_, address) => {
  const box = world.at('box-SN-branch1');
  const heard = Promise.withResolvers<string>();
  const { session, uplink } = await dialController(
    {
      dialer: createUplinkDialer({ leases: () => [], log: silent }),
      // The other family first: it cannot get there, and that holds nobody up.
      uplinks: [
        { ifname: 'other', address: address === '::1' ? '127.0.0.1' : '::1', dns: [] },
        { ifname: 'lo', address, dns: [] },
      ],
      endpoint: { host: address, port: world.ports.mqtt },
      identity: {
        gatewayId: 'branch1',
        anchorPem: await readFile(world.at('anchors/domain.pem'), 'utf8'),
        certificatePem: await readFile(join(box, 'ldevid.crt'), 'utf8'),
        key: new Secret(await readFile(join(box, 'ldevid.key'), 'utf8')),
      },
      onMessage: (topic, payload) => {
        if (topic === topicsOf('branch1').desired) heard.resolve(Buffer.from(payload).toString('utf8'));
      },
    },
    AbortSignal.timeout(30_000),
  );
  expect(uplink.ifname).toBe('lo');
  const [, claims = ''] = (await heard.promise).split('.');
  const { spec } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
  expect(spec.uplinks[0]).toMatchObject({ addressing: { kind: 'none' }, addressing6: { kind: 'auto' } });
  session.end('the test is over');
});

it('a fleet that does not fit is refused at what was written', async () => {
  const refusal = async (toml: string): Promise<string> => {
    const words = await apply(toml).then(
      () => 'taken',
      (thrown: unknown) => (thrown instanceof Error && 'stderr' in thrown ? String(thrown.stderr) : 'other'),
    );
    return words;
  };
  const four = 'publicAddress = "198.51.100.20"';
  expect(await refusal(fleetToml(four, SIX))).toMatch(
    /\$\.gateways\[1\]\.uplinks: none has an address family in common with hub hub/,
  );
  expect(await refusal(fleetToml(`${four}, publicAddress6 = "2001:db8:a::20"`, ''))).toMatch(
    /\$\.gateways\[0\]\.uplinks\[0\]\.publicAddress6: the uplink has no IPv6/,
  );
  expect(await refusal(fleetToml(BOTH, SIX, 1390))).toMatch(
    /\$\.fleet\.tenantMtu: does not fit path branch1\.internet/,
  );
  expect(await refusal(fleetToml(BOTH, SIX))).toBe('taken');
  expect(await world.api('/api/v1/gateways/branch1/desired')).toMatchObject({
    state: { spec: { uplinks: [{ addressing6: { kind: 'auto' } }] } },
  });
});
