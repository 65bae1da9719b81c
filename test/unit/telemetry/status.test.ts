/**
 * Status and health from what was read of a box, held against parts that are dark, missing, silent or of
 * another shape.
 */
import { describe, expect, test } from 'vitest';
import { parseLiveness, parseRoutes, parseSessions, parseVnis } from '../../../src/telemetry/frrState.ts';
import { conditionsOf, healthState, type HealthInput, judge } from '../../../src/telemetry/health.ts';
import { parseHandshakes } from '../../../src/telemetry/read.ts';
import { type BoxReading, statusOf, type Undone } from '../../../src/telemetry/status.ts';
import { DesiredSpec } from '../../../src/model/desired.ts';
import type { FirmwareStatus } from '../../../src/model/firmware.ts';
import { type ItemId, itemId, wireguardOf } from '../../../src/model/ids.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';

const KEY = `${'A'.repeat(42)}A=`;
const tunnel = (uplink: string, net: number, preference: number) => ({
  id: `${uplink}-hub`,
  uplink,
  address: `10.254.${net}.2/24`,
  peers: [
    {
      path: `branch1.${uplink}~hub.${uplink}`,
      gatewayId: 'hub',
      publicKey: KEY,
      tunnelAddress: `10.254.${net}.1`,
      vtep: '10.255.0.1',
      allowed: ['10.255.0.0/16'],
      keepaliveS: 25,
      preference,
      liveness: { intervalMs: 50, multiplier: 3 },
    },
  ],
});
const spec = DesiredSpec.parse({
  ...appSpec(),
  uplinks: [
    { name: 'internet', slot: 1, port: 'wan1', colour: 'internet', addressing: { kind: 'dhcp' } },
    { name: 'lte', slot: 2, port: 'wan2', colour: 'lte', addressing: { kind: 'dhcp' } },
  ],
  tunnels: [tunnel('internet', 1, 1), tunnel('lte', 2, 100)],
  overlay: { reflectors: [{ gatewayId: 'hub', vtep: '10.255.0.1' }], clients: [] },
});
const facts = {
  ...appFacts(),
  ports: ['wan1', 'wan2'].map((label) => ({ label, role: 'wan' as const, ifname: label, carrier: true })),
  leases: ['wan1', 'wan2'].map((ifname, i) => ({
    ifname,
    address: `192.0.2.${i + 1}/24`,
    gateway: '192.0.2.254',
    dns: [],
    bootstrapServers: [],
  })),
};
/** As FRR 10.3 prints it. */
const bfd = (internet: string, lte: string) => [
  { multihop: false, peer: '10.254.1.1', interface: wireguardOf('internet-hub'), status: internet },
  { multihop: false, peer: '10.254.2.1', interface: wireguardOf('lte-hub'), status: lte },
];
const route = (via: string, ifname: string) => ({
  '10.255.0.1/32': [
    {
      protocol: 'static',
      selected: true,
      nexthops: [{ fib: true, ip: via, interfaceName: ifname, active: true }],
    },
    { protocol: 'kernel', nexthops: [{ ip: '10.254.1.1', interfaceName: wireguardOf('internet-hub') }] },
  ],
});
const session = (state: string) => ({ peers: { '10.255.0.1': { state } } });
const nothing: Undone = { blocked: new Map(), failures: new Map() };
const boxOf = (liveness: unknown, routes: unknown, more: Partial<BoxReading> = {}): BoxReading => ({
  frr: {
    liveness: parseLiveness(liveness),
    routes: parseRoutes(routes),
    remoteVteps: parseVnis([
      { vni: 10_010, type: 'L2', numRemoteVteps: 1, remoteVteps: [{ ip: '10.255.0.12', flood: 'HER' }] },
    ]),
    sessions: parseSessions(session('Established')),
  },
  handshakeAgeS: () => 7,
  links: new Set(['br-10010', 'vx-10010', 'br-10020', 'vx-10020']),
  apps: [{ app: 'red-app', state: 'running', restarts: 0, reason: undefined }],
  ...more,
});
const well = boxOf(bfd('up', 'up'), route('10.254.1.1', wireguardOf('internet-hub')));
const dark = boxOf(bfd('down', 'up'), route('10.254.2.1', wireguardOf('lte-hub')));

const verdict = (box: BoxReading, undone: Undone = nothing, more: Partial<HealthInput> = {}) =>
  judge({
    spec,
    box,
    undone,
    body: statusOf(spec, facts, box, undone),
    gateSentence: () => undefined,
    controller: { connected: true, lastProblem: undefined },
    refused: undefined,
    eventsDropped: 0,
    ...more,
  });

test('a firmware that is refused, or was taken back and is still wanted, degrades the box; one under way does not', () => {
  const codes = (state: FirmwareStatus['state']) =>
    verdict(well, nothing, { firmware: { version: '1.0.0', state, sentence: 'why' } }).map(
      ({ code }) => code,
    );
  expect(codes('refused')).toEqual(['firmware-refused']);
  expect(codes('rolled-back')).toEqual(['firmware-rolled-back']);
  for (const state of ['unavailable', 'idle', 'downloading', 'trial', 'committed'] as const)
    expect(codes(state)).toEqual([]);
});

test('keys in files beside a TPM are said with the reason, and no reason to call a box unwell', () => {
  const found = verdict(well, nothing, { keys: readTpmReadiness('old-provider 1.1.1').holding });
  expect(found.map(({ code, severity }) => [code, severity])).toEqual([['keys-beside-tpm', 'info']]);
  expect(found[0]?.sentence).toContain('is 1.1.1: 1.3 or later is needed');
  for (const told of ['ready 1.3.0', 'no-chip', undefined])
    expect(verdict(well, nothing, { keys: readTpmReadiness(told).holding })).toEqual([]);
});

test('data in clear beside a TPM is said, and no reason to call a box unwell', () => {
  const found = verdict(well, nothing, { dataProtection: 'plain-beside-tpm' });
  expect(found.map(({ code, severity }) => [code, severity])).toEqual([['data-plain', 'info']]);
  for (const dataProtection of ['tpm2', 'plain', undefined])
    expect(verdict(well, nothing, { dataProtection })).toEqual([]);
});

test('a data partition that apps have filled degrades the box, and the sentence stays the same while they write', () => {
  const MIB = 1024 * 1024;
  const room = (freeBytes: number, freeFiles = 100_000) =>
    verdict(well, nothing, { dataRoom: { freeBytes, freeFiles } });
  const found = room(63 * MIB);
  expect(found.map(({ code, severity }) => [code, severity])).toEqual([['data-full', 'warning']]);
  expect(room(0)).toEqual(found);
  expect(room(1024 * MIB, 100)[0]).toMatchObject({
    code: 'data-full',
    sentence: expect.stringContaining('files'),
  });
  expect(room(64 * MIB)).toEqual([]);
  expect(verdict(well, nothing, { dataRoom: undefined })).toEqual([]);
});

test('a box in quarantine has failed, and says why and what an operator does', () => {
  const quarantine = { schema: 1, sinceMs: 0, why: 'this box was revoked' } as const;
  const findings = verdict(well, nothing, { quarantine });
  expect(findings.map(({ code, severity }) => [code, severity])).toEqual([['quarantined', 'error']]);
  expect(findings[0]?.sentence).toMatch(/this box was revoked.*branchbox fleet release/);
});

describe('status', () => {
  test('a box that is well is said to be', () => {
    const body = statusOf(spec, facts, well, nothing);
    expect(body.paths.map(({ uplink, state, active }) => [uplink, state, active])).toEqual([
      ['internet', 'up', true],
      ['lte', 'up', false],
    ]);
    expect(body.uplinks.map(({ state }) => state)).toEqual(['up', 'up']);
    expect(body.segments[0]).toMatchObject({ state: 'up', remoteVteps: ['10.255.0.12'] });
    expect(body.apps[0]).toMatchObject({ state: 'running' });
    expect(verdict(well)).toEqual([]);
  });

  test('a dark uplink with its carrier up is down, and the other carries', () => {
    const body = statusOf(spec, facts, dark, nothing);
    expect(body.uplinks.map(({ state }) => state)).toEqual(['down', 'up']);
    expect(body.paths.map(({ active }) => active)).toEqual([false, true]);
    expect(verdict(dark).map(({ code, subject }) => [code, subject])).toEqual([
      ['uplink-down', 'internet'],
      ['path-down', 'branch1.internet~hub.internet'],
    ]);
  });

  test('an uplink of IPv6 alone shows its addresses, and is down without one', () => {
    const [first, ...rest] = spec.uplinks;
    if (first === undefined) throw new Error('no uplink');
    const six: DesiredSpec = {
      ...spec,
      uplinks: [{ ...first, addressing: { kind: 'none' }, addressing6: { kind: 'auto' } }, ...rest],
    };
    const lease = {
      ifname: 'wan1',
      address: '2001:db8::7/64',
      gateway: 'fe80::1',
      dns: [],
      bootstrapServers: [],
    };
    const shown = (more: object) => statusOf(six, { ...facts, ...more }, well, nothing).uplinks[0];
    expect(shown({ leases6: [lease] })).toMatchObject({
      address6: '2001:db8::7/64',
      gateway6: 'fe80::1',
      state: 'up',
    });
    expect(shown({ leases6: [lease] })).not.toHaveProperty('address');
    expect(shown({})).toMatchObject({ state: 'down' });
    const body = statusOf(six, facts, well, nothing);
    const [found] = verdict(well, nothing, { spec: six, body });
    expect(found?.sentence).toContain("the provider's router advertises no IPv6 prefix");
  });

  test('a blocked link blocks its segment; a missing one is down', () => {
    const blocked = new Map<ItemId, ItemId[]>([
      [itemId('link', 'br-10010'), [itemId('external', 'kernel', 'bridge')]],
    ]);
    const states = (box: BoxReading, undone: Undone) =>
      statusOf(spec, facts, box, undone).segments.map(({ state }) => state);
    expect(states(well, { ...nothing, blocked })).toEqual(['blocked', 'up']);
    expect(states({ ...well, links: new Set(['br-10010', 'vx-10010']) }, nothing)).toEqual(['up', 'down']);
  });

  test('an app that runs without its attachment has failed', () => {
    const failures = new Map([[itemId('app-attachment', 'red-app'), { message: 'no bridge' }]]);
    expect(statusOf(spec, facts, well, { ...nothing, failures }).apps[0]?.state).toBe('failed');
  });
});

describe('health', () => {
  test('no path at all is the one condition that fails a branch', () => {
    const box = boxOf(bfd('down', 'down'), {});
    const conditions = conditionsOf(verdict(box), [], 1);
    expect(conditions.filter(({ severity }) => severity === 'error').map(({ code }) => code)).toEqual([
      'no-path',
    ]);
    expect(healthState(conditions)).toBe('failed');
  });

  test('daemons that are silent are said to be, and not taken for dead paths alone', () => {
    const frr = { liveness: undefined, routes: undefined, remoteVteps: undefined, sessions: undefined };
    const sentences = verdict({ ...well, frr })
      .map(({ sentence }) => sentence)
      .join('\n');
    expect(sentences).toContain("FRR's bfdd does not answer");
    expect(sentences).toContain("FRR's bgpd does not answer");
  });

  test('a bfdd that is silent makes no uplink dark and ends no path: nothing is known, and that is said', () => {
    const silent = { ...well, frr: { ...well.frr, liveness: undefined } };
    expect(statusOf(spec, facts, silent, nothing).uplinks.map(({ state }) => state)).toEqual([
      'degraded',
      'degraded',
    ]);
    const found = verdict(silent);
    expect(found.map(({ code }) => code)).toEqual(['path-down', 'path-down']);
    expect(found[0]?.sentence).toBe(
      "Whether the path to hub over uplink internet is up is not known: FRR's bfdd does not answer. Routes stay as they are; `systemctl status frr-bfdd.service` says why.",
    );
    const pulled = {
      ...facts,
      ports: facts.ports.map((port) => ({ ...port, carrier: port.label !== 'wan2' })),
    };
    expect(statusOf(spec, pulled, silent, nothing).uplinks.map(({ state }) => state)).toEqual([
      'degraded',
      'down',
    ]);
  });

  test('an item that failed is said with one period, whether its message has one or not', () => {
    for (const message of ['the kernel refused it', 'The kernel refused it.']) {
      const failures = new Map([[itemId('x', 'y'), { message }]]);
      expect(verdict(well, { ...nothing, failures })[0]?.sentence).toMatch(/[^.]\. It is tried again\.$/);
    }
  });

  test('an engine that is away is one condition, not one an app', () => {
    expect(verdict({ ...well, apps: undefined }).map(({ code }) => code)).toEqual(['engine-unreachable']);
  });

  test('what an item waits for is said in the words of its gate', () => {
    const blocked = new Map<ItemId, ItemId[]>([[itemId('x', 'y'), [itemId('external', 'engine')]]]);
    const [found] = verdict(well, { ...nothing, blocked }, { gateSentence: () => 'Plug it in.' });
    expect(found).toMatchObject({ code: 'item-blocked', subject: 'x:y' });
    expect(found?.sentence).toContain('Plug it in.');
  });

  test('controller, refusals and dropped events are conditions', () => {
    const codes = verdict(well, nothing, {
      controller: { connected: false, lastProblem: 'refused' },
      refused: { digest: 'd', generation: 3, reason: 'rolled-back', problems: [] },
      eventsDropped: 4,
    }).map(({ code }) => code);
    expect(codes).toEqual(['controller-unreachable', 'desired-rolled-back', 'events-dropped']);
  });

  test('a condition keeps the time since it is there, and a thousand of a kind are a few', () => {
    const found = verdict(dark);
    const first = conditionsOf(found, [], 1000);
    expect(conditionsOf(found, first, 2000)).toEqual(first);
    expect(conditionsOf(verdict(dark), [], 2000)[0]?.sinceMs).toBe(2000);
    const many = Array.from({ length: 1000 }, (_, i) => ({ ...first[0], subject: `${i}` }));
    const findings = many.flatMap((one) =>
      one.code === undefined || one.severity === undefined || one.sentence === undefined
        ? []
        : [{ code: one.code, severity: one.severity, sentence: one.sentence, subject: one.subject }],
    );
    expect(conditionsOf(findings, [], 1)).toHaveLength(20);
  });
});

test('answers of another shape are unknown, not dead', () => {
  for (const answer of [undefined, null, 'x', { peers: 7 }, [{ peer: 1 }]]) {
    expect(parseLiveness(answer)).toBeUndefined();
  }
  expect(parseVnis(undefined)).toBeUndefined();
  expect(parseVnis({})).toEqual(new Map());
  expect(parseVnis([{ vni: 1, type: 'L2', numRemoteVteps: ['10.0.0.1'] }])?.get(1)).toEqual(['10.0.0.1']);
  expect(parseSessions([])).toBeUndefined();
});

test('a peer that never shook hands has no age', () => {
  expect([...parseHandshakes(`wg-a\t${KEY}\t0\nwg-b\t${KEY}\t17\n`)]).toEqual([[`wg-b ${KEY}`, 17]]);
});

test('a process that an error ended lately is said with the error, since it runs again and nobody would know', () => {
  const crash = { schema: 1, process: 'agent', version: '1.0.0', atMs: 5, times: 2, stack: '' } as const;
  const found = verdict(well, nothing, { crashes: [{ ...crash, error: 'TypeError: no' }] });
  expect(found.map(({ code, severity, subject }) => [code, severity, subject])).toEqual([
    ['process-crashed', 'warning', 'agent'],
  ]);
  expect(found[0]?.sentence).toMatch(/1970-01-01T00:00:00.005Z, 2 times .*: TypeError: no\. .*journalctl/);
});
