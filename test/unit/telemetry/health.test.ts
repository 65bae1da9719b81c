/** The verdict on a box, held against parts that are dark, missing or silent, and what it says of them. */
import { describe, expect, test } from 'vitest';
import type { FirmwareStatus } from '../../../src/model/firmware.ts';
import { type ItemId, itemId } from '../../../src/model/ids.ts';
import type { ModemReason } from '../../../src/model/localStatus.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { conditionsOf, healthState } from '../../../src/telemetry/health.ts';
import { statusOf } from '../../../src/telemetry/status.ts';
import { bfd, boxOf, dark, facts, nothing, spec, verdict, well } from './twoUplinks.ts';

test('a firmware that is refused is told with its own version, where that is known, and in whole sentences', () => {
  const told = (sentence: string, result: 'refused' | 'committed') =>
    verdict(well, nothing, {
      firmware: {
        version: '1.0.0',
        state: 'refused',
        sentence,
        lastResult: { version: '1.1.0', digest: 'd', result, sentence, atMs: 1 },
      },
    }).map((finding) => `${finding.subject}: ${finding.sentence}`);
  const rest = 'The box runs on as it was; build, sign or upload the version again.';
  expect(told('firmware 1.1.0 is refused', 'refused')).toEqual([`1.1.0: firmware 1.1.0 is refused. ${rest}`]);
  expect(told('It is shorter. Upload it again.', 'committed')).toEqual([
    `firmware: It is shorter. Upload it again. ${rest}`,
  ]);
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

test('a modem that wants something of a person is a condition of its own for each reason, and its uplink says it too', () => {
  const port = spec.uplinks[1]?.port ?? '';
  const modem = (reason: ModemReason) => [{ port, reason, sentence: `It is ${reason}.` }];
  const found = (reason: ModemReason) =>
    verdict(well, nothing, { modems: modem(reason) }).map(({ code, subject, sentence }) => [
      code,
      subject,
      sentence,
    ]);
  for (const reason of [
    'pin-wanted',
    'pin-refused',
    'sim-missing',
    'registration-denied',
    'apn-refused',
  ] as const)
    expect(found(reason)).toEqual([['modem', `lte ${reason}`, `It is ${reason}.`]]);
  for (const reason of ['connected', 'starting', 'connecting', 'absent', 'searching'] as const)
    expect(found(reason)).toEqual([]);
  const body = statusOf(
    spec,
    { ...facts, ports: facts.ports.filter(({ label }) => label !== port) },
    well,
    nothing,
  );
  const down = verdict(well, nothing, { body, modems: modem('absent') }).find(
    ({ code }) => code === 'uplink-down',
  );
  expect(down?.sentence).toBe(`Uplink lte (port ${port}) is not connected. It is absent.`);
  // Of a modem that no uplink of this state is by, nothing is said to its controller.
  expect(
    verdict(well, nothing, { modems: [{ port: 'modem9', reason: 'pin-wanted', sentence: 'x' }] }),
  ).toEqual([]);
});

test('keys in files beside a TPM are said with the reason, and no reason to call a box unwell', () => {
  const found = verdict(well, nothing, { keys: readTpmReadiness('old-provider 1.1.1').holding });
  expect(found.map(({ code, severity }) => [code, severity])).toEqual([['keys-beside-tpm', 'info']]);
  expect(found[0]?.sentence).toContain('is 1.1.1: 1.3 or later is needed');
  for (const told of ['ready 1.3.0', 'no-chip', undefined])
    expect(verdict(well, nothing, { keys: readTpmReadiness(told).holding })).toEqual([]);
});

test('a clock behind its tunnels degrades the box, in the words of who holds them back', () => {
  const found = verdict(well, nothing, { clockBehind: 'It waits.' });
  expect(found).toEqual([
    { code: 'clock-behind', severity: 'warning', subject: 'clock', sentence: 'It waits.' },
  ]);
});

test('paths that wait for the clock are blamed on nobody else', () => {
  const silent = boxOf(bfd('down', 'down'), {}, { handshakeAgeS: () => undefined });
  const found = verdict(silent, nothing, { clockBehind: 'It waits.' });
  const blamed = found.filter(({ code }) => ['uplink-down', 'path-down', 'no-path'].includes(code));
  expect(blamed).toHaveLength(5);
  for (const { sentence } of blamed) expect(sentence).toMatch(/clock.*\(clock-behind\)/);
});

test('a path that is down says the same at each look, however long ago its handshake was: a change is a status', () => {
  const said = (handshakeAgeS: number | undefined) =>
    verdict(boxOf(bfd('down', 'down'), {}, { handshakeAgeS: () => handshakeAgeS }), nothing);
  expect(said(5)).toEqual(said(86_400));
  expect(said(5)).not.toEqual(said(undefined));
});

test('a root that is not whole degrades the box, and says what to do', () => {
  const found = verdict(well, nothing, { rootState: 'corrupted' });
  expect(found).toMatchObject([
    { code: 'root-corrupted', severity: 'warning', sentence: expect.stringContaining('Update the box') },
  ]);
  for (const rootState of ['verified', undefined]) expect(verdict(well, nothing, { rootState })).toEqual([]);
});

test('data in clear beside a TPM is said, and no reason to call a box unwell', () => {
  const found = verdict(well, nothing, { dataProtection: 'plain-beside-tpm' });
  expect(found.map(({ code, severity }) => [code, severity])).toEqual([['data-plain', 'info']]);
  // No reset helps while the TPM does not work.
  const [unfit] = verdict(well, nothing, { dataProtection: 'plain-beside-unfit-tpm' });
  expect(unfit).toMatchObject({ code: 'data-plain', severity: 'info' });
  expect(unfit?.sentence).toMatch(
    /^The data of this box is not encrypted .* does not work\. Take the power away/,
  );
  for (const dataProtection of ['tpm2', 'plain', undefined])
    expect(verdict(well, nothing, { dataProtection })).toEqual([]);
});

test('SSH that is open is said with the host key, and no reason to call a box unwell', () => {
  const ssh = { keys: ['k', 'l'], from: ['203.0.113.0/24', '2001:db8::/48'] };
  const found = verdict(well, nothing, { ssh, sshHostKey: 'SHA256:x' });
  expect(found).toMatchObject([
    {
      code: 'ssh-open',
      severity: 'info',
      sentence: expect.stringMatching(
        /to 2 keys from 203.0.113.0\/24, 2001:db8::\/48, .* host key SHA256:x /,
      ),
    },
  ]);
  expect(verdict(well, nothing, { sshHostKey: 'SHA256:x' })).toEqual([]);
  expect(verdict(well, nothing, { ssh })).toEqual([]);
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
  // Its peers drop its tunnels and the broker turns it away: nobody is sent to look at a cable or to a provider.
  const allDown = boxOf(bfd('down', 'down'), {});
  const controller = { connected: false, lastProblem: 'not authorized' };
  const told = verdict(allDown, nothing, { quarantine, controller }).filter(
    ({ code }) => code !== 'quarantined',
  );
  expect(new Set(told.map(({ code }) => code))).toEqual(new Set(['uplink-down', 'path-down', 'no-path']));
  for (const { sentence } of told) {
    expect(sentence).toContain('in quarantine (quarantined)');
    expect(sentence).not.toMatch(/provider|Check|check/);
  }
  // A port that no interface is has no cable that could be out.
  const none = { ...facts, ports: facts.ports.map(({ label, role }) => ({ label, role, carrier: false })) };
  const [, away] = verdict(allDown, nothing, { quarantine, body: statusOf(spec, none, allDown, nothing) });
  expect(away?.sentence).toContain('no interface of this box is that port');
  // A cable that is out is out.
  const unplugged = { ...facts, ports: facts.ports.map((port) => ({ ...port, carrier: false })) };
  const body = statusOf(spec, unplugged, allDown, nothing);
  expect(verdict(allDown, nothing, { quarantine, body })[1]?.sentence).toContain('has no carrier');
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

  test('an engine that is away is one condition, not one an app, and says why', () => {
    const found = verdict({ ...well, apps: { untold: 'the container engine refused GET /x: disk full' } });
    expect(found.map(({ code }) => code)).toEqual(['engine-unreachable']);
    expect(found[0]?.sentence).toContain('the container engine refused GET /x: disk full');
  });

  test('an app that ended is told with its own reason, and not with that of another', () => {
    const ended = (app: string, reason: string) => ({ app, state: 'failed' as const, restarts: 1, reason });
    const apps = [ended('other-app', 'theirs'), ended('red-app', 'it ended with exit code 7')];
    const found = verdict({ ...well, apps: { apps } });
    expect(found.map(({ code, subject }) => `${code} ${subject}`)).toEqual(['app-down red-app']);
    expect(found[0]?.sentence).toMatch(/^App red-app is failed: it ended with exit code 7\./);
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
    const refused = { digest: 'd', reason: 'untrusted' as const, problems: [] };
    expect(verdict(well, nothing, { refused }).map(({ code }) => code)).toEqual(['desired-refused']);
    expect(verdict(well, nothing, { refused: { ...refused, overAtMs: 1 } })).toEqual([]);
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

test('a process that an error ended lately is said with the error, since it runs again and nobody would know', () => {
  const crash = { schema: 1, process: 'agent', version: '1.0.0', atMs: 5, times: 2, stack: '' } as const;
  const found = verdict(well, nothing, { crashes: [{ ...crash, error: 'TypeError: no' }] });
  expect(found.map(({ code, severity, subject }) => [code, severity, subject])).toEqual([
    ['process-crashed', 'warning', 'agent'],
  ]);
  expect(found[0]?.sentence).toMatch(/1970-01-01T00:00:00.005Z, 2 times .*: TypeError: no\. .*journalctl/);
});
