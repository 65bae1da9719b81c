/**
 * Owns the case of one box: from the cable in its WAN port to the first packet of its tenant, over the hub to the other
 * branch, of a box as the factory left it, with its shares.
 * What is not ours is told apart: DHCP's (the carrier until an address was there), and BGP's (the first handshake of a
 * tunnel until the session to the hub stood; WireGuard tells whole seconds, so that share is exact to one).
 */
import { elapse, inNode, jsonIn, lab, tryIn, until } from '../lab/mainjob/lab.ts';
import { rowOf, type Row } from './result.ts';

const BOX = 'branch1';
/** `lab cut` and `lab heal` know its uplinks by these; the first is plugged in. */
const UPLINKS = ['internet', 'lte'] as const;
const WAN_INTERFACE = 'wan1';
const TENANT = 'branch1-red';
const FAR_TENANT = '10.10.0.12';
const PING_MS = 20;
const CASE = 'one-box';
const RESET_MS = 120_000;

interface BootstrapStatus {
  readonly state: string;
  readonly history: readonly { readonly state: string; readonly enteredAtMs: number }[];
}
interface BgpSummary {
  readonly [family: string]: {
    readonly peers: Readonly<Record<string, { readonly state: string; readonly peerUptimeMsec?: number }>>;
  };
}

const statusOf = () => jsonIn<BootstrapStatus>(BOX, 'branchbox', 'bootstrap', 'status', '--json');

/** The first stamp of a line that fits; stamps are seconds of the wall clock, which all nodes of a lab share. */
function firstStampMs(text: string, line: RegExp): number | undefined {
  const found = text.split('\n').find((candidate) => line.test(candidate));
  const [, stamp] = /^\[([^\]]+)\]/.exec(found ?? '') ?? [];
  if (stamp === undefined) return undefined;
  return /^\d+\.\d+$/.test(stamp) ? Number(stamp) * 1000 : Date.parse(stamp);
}

/** As the factory left it, without a cable, and waiting for one. */
async function unplugged(): Promise<void> {
  for (const uplink of UPLINKS) await lab('cut', BOX, uplink, '--carrier');
  const before = await tryIn(BOX, ['cat', '/var/lib/branchbox/identity/ldevid.key']);
  await inNode(BOX, 'systemctl', 'start', '--no-block', 'branchbox-factory-reset@button.service');
  await until(
    `${BOX} is reset and waits for a cable`,
    async () => {
      const { state } = await statusOf();
      const key = await tryIn(BOX, ['cat', '/var/lib/branchbox/identity/ldevid.key']);
      return (state === 'LINK' || state === 'ADDR') && key.stdout !== before.stdout;
    },
    RESET_MS,
  );
  // The agent's first look: the box would stand there for hours before somebody comes with a cable.
  await until('its agent answers', async () => (await tryIn(BOX, ['branchbox', 'status'])).exitCode === 0);
}

interface Shares {
  readonly totalMs: number;
  readonly dhcpMs: number;
  readonly bootstrapMs: number;
  readonly configurationMs: number;
  readonly trafficMs: number;
  readonly bgpMs: number;
}

async function once(): Promise<Shares> {
  await unplugged();
  // The kernel's own word of the cable: `lab heal` is a program that has to start first.
  const watching = tryIn(BOX, ['timeout', '150', 'ip', '-ts', '-o', 'monitor', 'link']);
  // No `-w`: with it ping ends at the first "host unreachable", which its own kernel says after 3 s without an answer to
  // ARP (iputils: a deadline waits "for some error notification" as well).
  const ping = ['timeout', '150', 'ping', '-D', '-n', '-O', '-i', String(PING_MS / 1000), FAR_TENANT];
  const pinging = tryIn(TENANT, ping);
  await elapse(500);
  await lab('heal', BOX, UPLINKS[0]);
  const reached = ['ping', '-n', '-c', '1', '-W', '1', FAR_TENANT];
  await until('red reaches red', async () => (await tryIn(TENANT, reached)).exitCode === 0, RESET_MS);
  const bgp = await jsonIn<BgpSummary>(BOX, 'vtysh', '-c', 'show bgp summary json');
  const askedAtMs = Date.now();
  const handshakes = await inNode(BOX, 'wg', 'show', 'all', 'latest-handshakes');
  await tryIn(TENANT, ['pkill', '-INT', '-f', `^ping .*-O.* ${FAR_TENANT}$`]);
  await tryIn(BOX, ['pkill', '-f', 'monitor link$']);
  const carrierMs = firstStampMs((await watching).stdout, new RegExp(`${WAN_INTERFACE}.*LOWER_UP`));
  const packetMs = firstStampMs((await pinging).stdout, /bytes from/);
  await until('the box is in service', async () => (await statusOf()).state === 'OPERATIONAL');
  const { history } = await statusOf();
  await lab('heal', BOX, UPLINKS[1]);
  /** The first of these that it entered: a short trial can be over before anybody looked. */
  const enteredAt = (...states: readonly string[]): number => {
    const entry = history.find((one) => states.includes(one.state));
    if (entry === undefined) throw new Error(`${BOX} was never in ${states.join(' or ')}`);
    return entry.enteredAtMs;
  };
  if (carrierMs === undefined || packetMs === undefined) {
    throw new Error(`no ${carrierMs === undefined ? 'carrier' : 'answer'} was seen: nothing was measured`);
  }
  const peers = Object.values(bgp).flatMap((family) => Object.values(family.peers));
  const up = peers.flatMap(({ peerUptimeMsec }) => (peerUptimeMsec ? [askedAtMs - peerUptimeMsec] : []));
  const tunnels = handshakes
    .split('\n')
    .map((line) => Number(line.split('\t').at(-1)) * 1000)
    .filter((atMs) => atMs > 0);
  const addressMs = enteredAt('CLOCK_FLOOR');
  const stagedMs = enteredAt('CONFIG_STAGED', 'TRIAL', 'OPERATIONAL');
  return {
    totalMs: packetMs - carrierMs,
    dhcpMs: addressMs - carrierMs,
    bootstrapMs: enteredAt('STRICT') - addressMs,
    configurationMs: stagedMs - enteredAt('STRICT'),
    trafficMs: packetMs - stagedMs,
    bgpMs: up.length === 0 || tunnels.length === 0 ? 0 : Math.max(0, Math.min(...up) - Math.min(...tunnels)),
  };
}

export async function measureOneBox(times: number): Promise<readonly Row[]> {
  const all: Shares[] = [];
  try {
    for (let i = 0; i < times; i += 1) {
      const shares = await once();
      all.push(shares);
      console.log(
        `one-box ${i + 1}/${times}: ${Math.round(shares.totalMs)} ms, of that DHCP ${Math.round(shares.dhcpMs)}, BGP ${Math.round(shares.bgpMs)}`,
      );
    }
  } finally {
    for (const uplink of UPLINKS) await lab('heal', BOX, uplink);
  }
  const row = (metric: string, valueOf: (shares: Shares) => number): Row =>
    rowOf('branchbox', CASE, metric, 'ms', all.map(valueOf));
  return [
    row('cable-in-to-first-tenant-packet', ({ totalMs }) => totalMs),
    row('own-share', ({ totalMs, dhcpMs, bgpMs }) => totalMs - dhcpMs - bgpMs),
    row('dhcp', ({ dhcpMs }) => dhcpMs),
    row('bgp', ({ bgpMs }) => bgpMs),
    row('address-to-strict', ({ bootstrapMs }) => bootstrapMs),
    row('strict-to-staged', ({ configurationMs }) => configurationMs),
    row('staged-to-first-tenant-packet', ({ trafficMs }) => trafficMs),
  ];
}
