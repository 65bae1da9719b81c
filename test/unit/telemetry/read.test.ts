/** What a look at a box costs in processes, and that a path which came to life is not said to have had no handshake. */
import { expect, test } from 'vitest';
import { DesiredSpec } from '../../../src/model/desired.ts';
import { wireguardOf } from '../../../src/model/ids.ts';
import { createStatusReader } from '../../../src/telemetry/read.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';

const KEY = `${'A'.repeat(42)}A=`;
const IFNAME = wireguardOf('internet-hub');
const spec = DesiredSpec.parse({
  ...appSpec(),
  apps: [],
  uplinks: [{ name: 'internet', slot: 1, port: 'wan1', colour: 'internet', addressing: { kind: 'dhcp' } }],
  tunnels: [
    {
      id: 'internet-hub',
      uplink: 'internet',
      address: '10.254.1.2/24',
      peers: [
        {
          path: 'branch1.internet~hub.internet',
          gatewayId: 'hub',
          publicKey: KEY,
          tunnelAddress: '10.254.1.1',
          vtep: '10.255.0.1',
          allowed: ['10.255.0.0/16'],
          keepaliveS: 25,
          preference: 1,
          liveness: { intervalMs: 50, multiplier: 3 },
        },
      ],
    },
  ],
});

/** A box with one path, whose clock and WireGuard the test turns. */
function oneLine() {
  const box = { atMs: 1_000_000, bfd: 'down', handshakeS: 0, looks: 0 };
  const reader = createStatusReader({
    system: {
      clock: { nowMs: () => box.atMs, monotonicMs: () => box.atMs, sleep: () => Promise.resolve() },
      files: { list: async () => [], readText: async () => undefined } as never,
      runner: {
        run: async (command: string) => {
          expect(command).toBe('wg');
          box.looks += 1;
          return { exitCode: 0, stdout: `${IFNAME}\t${KEY}\t${box.handshakeS}\n`, stderr: '' };
        },
      } as never,
    },
    vty: {
      show: async (daemon) =>
        daemon === 'bfdd'
          ? [{ multihop: false, peer: '10.254.1.1', interface: IFNAME, status: box.bfd }]
          : undefined,
    },
    apps: async () => ({ apps: [] }),
    gateSentence: () => undefined,
    onHandshakes: () => undefined,
  });
  const input = {
    spec,
    facts: appFacts(),
    undone: { blocked: new Map(), failures: new Map() },
    controller: undefined,
    refused: undefined,
    eventsDropped: 0,
    modems: [],
  };
  return { box, read: () => reader.read(input, new AbortController().signal) };
}

test('the handshake of a path that came to life after the last look is known with it', async () => {
  const { box, read } = oneLine();
  expect((await read()).paths[0]).not.toHaveProperty('handshakeAgeS');
  Object.assign(box, { atMs: box.atMs + 6000, bfd: 'up', handshakeS: box.atMs / 1000 + 4 });
  expect((await read()).paths[0]).toMatchObject({ state: 'up', handshakeAgeS: 2 });
  expect(box.looks).toBe(2);
});

test('a box at rest is asked once a minute, and one whose path stays dark no oftener', async () => {
  for (const rest of [{ bfd: 'up', handshakeS: 999 }, { bfd: 'down' }]) {
    const { box, read } = oneLine();
    Object.assign(box, rest);
    for (let looks = 0; looks < 12; looks += 1) {
      await read();
      box.atMs += 5000;
    }
    expect(box.looks).toBe(1);
    await read();
    expect(box.looks).toBe(2);
  }
});
