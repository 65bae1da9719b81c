/**
 * A box that only a stick can bring into service: its one line is PPPoE on a VLAN. From a factory reset on, by the image
 * alone: udev, the kernel's FAT, 802.1Q and PPPoE, the real agent. The provider is real too (provider.sh); it stands in
 * the same machine, behind two LAN ports whose cables lead to its own WAN port and to where that one led before.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { labPaths } from '../../../src/lab/paths.ts';
import { machinePaths } from '../../../src/lab/vm/machinePaths.ts';
import { setCarrier } from '../../../src/lab/vm/qmp.ts';
import { MadeMedium, MEDIUM_DIRECTORY } from '../../../src/model/medium.ts';
import {
  api,
  editFleet,
  type FleetDocument,
  fleetGateway,
  labInfo,
  readFleet,
} from '../../lab/mainjob/fleet.ts';
import { inNode, jsonIn, LAB, lab, pings, tryIn, until } from '../../lab/mainjob/lab.ts';
import { LINE_PASSWORD, LINE_USER, LINE_VLAN, placeProvider, provider } from '../provider.ts';
import { BOX } from '../update/box.ts';
import { plugStickIn, type Stick } from '../usbStick.ts';

const SERIAL = 'LAB-BRANCH2';
/** As the machine's kernel names the cards of PORT_SLOTS (src/lab/vm/argv.ts). */
const WAN1 = 'enp0s16';
const [UPSTREAM, ACCESS] = [
  { port: 'lan3', card: 'enp0s22' },
  { port: 'lan4', card: 'enp0s23' },
] as const;
/** Of provider-a's network, outside what it gives by DHCP: its router, the concentrator, and the concentrator's client. */
const [ROUTER, CONCENTRATOR, CLIENT] = ['198.51.100.1', '198.51.100.200/24', '198.51.100.201'] as const;
/** What fits in every tunnel where a line is PPPoE (docs/wan.md). */
const TENANT_MTU = 1382;
/** Two starts of an emulated machine, and a bootstrap. */
const TIMEOUT_MS = 25 * 60_000;

interface BootstrapStatus {
  readonly state: string;
  readonly medium?: { readonly state: string };
  readonly history: readonly { readonly state: string }[];
}
const bootstrapStatus = () => jsonIn<BootstrapStatus>(BOX, 'branchbox', 'bootstrap', 'status', '--json');
const inBox = (script: string): Promise<string> => inNode(BOX, 'sh', '-c', script);
const bootId = async () =>
  (await tryIn(BOX, ['cat', '/proc/sys/kernel/random/boot_id'])).stdout.trim() || undefined;

/** Puts the machine's end of a cable into the bridge that stands for another: between lab and machine, not in either. */
async function plug(what: string, where: string): Promise<void> {
  const netns = (await labInfo()).nodes.find(({ name }) => name === BOX)?.netns ?? '';
  const words = [`--net=${netns}`, 'ip', 'link', 'set', 'dev', what, 'master', where];
  const { status, stderr } = spawnSync('nsenter', words, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
}
const carrierOf = (port: string, up: boolean): Promise<void> =>
  setCarrier(machinePaths(labPaths(LAB), BOX).qmpSocket, port, up);

/** Ordered by the controller. Returns when the box starts. */
async function startFromFactory(meanwhile: () => Promise<void>): Promise<void> {
  const before = await bootId();
  const { status } = await api('POST', `/api/v1/gateways/${BOX}/factory-reset`, { confirm: BOX });
  expect(status).toBeLessThan(300);
  await meanwhile();
  await until('the box starts anew', async () => ![undefined, before].includes(await bootId()), 180_000);
}
const comesIntoService = (): Promise<unknown> =>
  until(
    'the box is in service',
    async () => (await bootstrapStatus()).state === 'OPERATIONAL' && pings('branch2-red', '10.10.0.11'),
    240_000,
  );

let stick: Stick | undefined;
let fleetBefore: FleetDocument | undefined;

beforeAll(async () => {
  const network = {
    schema: 1,
    vlan: LINE_VLAN,
    addressing: { kind: 'pppoe', user: LINE_USER, password: LINE_PASSWORD },
  };
  const { body } = await api('POST', `/api/v1/inventory/${SERIAL}/medium`, { network });
  const { files } = MadeMedium.parse(body);
  const directory = mkdtempSync(join(tmpdir(), 'bbt-stick-'));
  for (const { path, content } of files)
    writeFileSync(join(directory, basename(path)), Buffer.from(content, 'base64'));
  const names = files.map(({ path }) => basename(path));
  stick = await plugStickIn(directory, `${MEDIUM_DIRECTORY}/${SERIAL}`, names);
  rmSync(directory, { recursive: true });
}, TIMEOUT_MS);

afterAll(async () => {
  await stick?.pullOut();
  if (fleetBefore === undefined) return;
  const before = fleetBefore;
  await startFromFactory(async () => {
    await editFleet((fleet) => Object.assign(fleet, before));
    await plug('wan1', 'b-wan1');
    for (const { port } of [UPSTREAM, ACCESS]) {
      await plug(`t-${port}`, `b-${port}`);
      await carrierOf(port, false);
    }
    await lab('heal', BOX, 'lte');
  });
  await comesIntoService();
}, TIMEOUT_MS);

it(
  'reads the stick beside no line at all, and waits for one',
  async () => {
    fleetBefore = (await readFleet()).fleet;
    await startFromFactory(async () => {
      await editFleet((fleet) => {
        fleet.fleet['tenantMtu'] = TENANT_MTU;
        const gateway = fleetGateway(fleet, BOX);
        gateway.uplinks = gateway.uplinks.map((uplink) =>
          uplink.name === 'internet' ? { ...uplink, vlan: LINE_VLAN, ipv4: 'pppoe' } : uplink,
        );
      });
      await lab('cut', BOX, 'lte', '--carrier');
      await plug('wan1', `b-${UPSTREAM.port}`);
      await plug(`t-${ACCESS.port}`, 'b-wan1');
      for (const { port } of [UPSTREAM, ACCESS]) await carrierOf(port, true);
    });
    await until(
      'the medium is taken',
      async () => (await bootstrapStatus()).medium?.state === 'taken',
      120_000,
    );
    const { state, history } = await bootstrapStatus();
    expect(state).toBe('OWNED');
    expect(history.map((each) => each.state)).not.toContain('PROVISIONAL');
  },
  TIMEOUT_MS,
);

it(
  'comes into service by the PPPoE session on the VLAN that the stick names',
  async () => {
    await placeProvider();
    await provider('between', ACCESS.card, UPSTREAM.card, CONCENTRATOR, ROUTER, CLIENT, ROUTER);
    await comesIntoService();

    expect(JSON.parse(await inBox(`ip -j -d link show type vlan`))).toEqual([
      expect.objectContaining({
        link: WAN1,
        linkinfo: expect.objectContaining({ info_data: expect.objectContaining({ id: LINE_VLAN }) }),
      }),
    ]);
    // Nothing was asked of the bare port, and the VLAN has nothing but the session.
    expect(await inBox(`ip -4 -brief address show | grep -v '^lo ' | grep -F '${CLIENT}'`)).toMatch(/^ppp-/);
    expect(await inBox(`ip -4 -brief address show | grep -c '^${WAN1}.*[0-9]/' || :`)).toBe('0\n');
    const { uplinks } = await jsonIn<{ uplinks: { name: string; address?: string }[] }>(
      BOX,
      'branchbox',
      'status',
      '--json',
    );
    expect(uplinks).toContainEqual(
      expect.objectContaining({ name: 'internet', address: expect.stringContaining(CLIENT) }),
    );
  },
  TIMEOUT_MS,
);

it('carries what the tenant’s MTU says through VLAN, session, tunnel and segment', async () => {
  const fits = async (bytes: number): Promise<boolean> => {
    const size = String(bytes - 28);
    const words = ['ping', '-n', '-c', '3', '-W', '2', '-M', 'do', '-s', size, '10.10.0.11'];
    return (await tryIn('branch2-red', words)).exitCode === 0;
  };
  expect(await fits(TENANT_MTU)).toBe(true);
  expect(await fits(TENANT_MTU + 1)).toBe(false);
});

it('keeps the password out of sight', async () => {
  expect(await inBox(`cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c 's3cre[t]' || :`)).toBe('0\n');
  expect(await inBox(`journalctl -b | grep -c 's3cre[t]' || :`)).toBe('0\n');
});
