import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BOOTSTRAP_SENTENCES, type BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { LocalStatus } from '../../../src/model/localStatus.ts';
import { statusWith } from '../controller/statusFixture.ts';

const CONSOLE = join(import.meta.dirname, '../../../firmware/console');

const { sequence: _sequence, sentAtMs: _sentAtMs, ...told } = statusWith('branch1', { sequence: 1, seed: 1 });
const status = LocalStatus.parse({
  ...told,
  readAtMs: 1,
  health: {
    state: 'degraded',
    conditions: [
      {
        code: 'uplink-down',
        severity: 'warning',
        subject: 'lte',
        sentence: 'Uplink lte has no \u001b[2Jcarrier: ü "wan2".\\ Plug it in.',
        sinceMs: 1,
      },
    ],
  },
  uplinks: [
    {
      name: 'internet',
      port: 'wan1',
      ifname: 'eth0',
      carrier: true,
      state: 'up',
      address: '198.51.100.7/24',
    },
  ],
  facts: {
    ...told.facts,
    ports: [
      { label: 'wan1', role: 'wan', ifname: 'eth0', carrier: true },
      { label: 'wan2', role: 'wan', ifname: 'eth1', carrier: false },
      { label: 'lan1', role: 'lan', ifname: 'eth2', carrier: true },
    ],
  },
  controller: { connected: false, sinceMs: 1, lastProblem: 'nobody answers' },
  agent: {
    version: '0.1.0',
    upMs: 1,
    residentBytes: 1,
    cpuPercent: 0,
    childProcessesPerMinute: 0,
    source: 'factory',
    lanes: [],
  },
});
const bootstrap: BootstrapStatus = {
  state: 'DISCOVER',
  sinceMs: 1,
  waitsFor: 'a bootstrap server that answers',
  mend: 'check the cable',
  lastProblem: 'bootstrap/unreachable: no answer',
  serial: 'SN-1',
  history: [],
};

describe('the local console', () => {
  let root: string;
  const servers: Server[] = [];
  const serve = async (name: string, path: string, value: unknown): Promise<void> => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === path ? 200 : 404, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(value)}\n`);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(join(root, 'run/branchbox', name), resolve));
  };
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o755 });
  };
  const env = () => ({ BRANCHBOX_CONSOLE_ROOT: root, PATH: `${root}/bin:${process.env['PATH'] ?? ''}` });
  const screen = (): Promise<string> =>
    new Promise((resolve, reject) =>
      execFile(CONSOLE, ['--once'], { env: env() }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      ),
    );
  /** Types lines, each after the screen asked for it, and gives back what was started. */
  const type = async (...answers: readonly (readonly [after: string, line: string])[]): Promise<string> => {
    const child = spawn(CONSOLE, [], { env: env(), stdio: ['pipe', 'pipe', 'inherit'] });
    let seen = '';
    const waiting = [...answers];
    child.stdout.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
      const next = waiting[0];
      if (next === undefined || !seen.includes(next[0])) return;
      waiting.shift();
      seen = '';
      if (next[1] === '') child.stdin.end();
      else child.stdin.write(`${next[1]}\n`);
    });
    await new Promise((resolve) => child.once('exit', resolve));
    const asked = join(root, 'asked');
    return existsSync(asked) ? readFileSync(asked, 'utf8').trim() : '';
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'bbt-console-'));
    mkdirSync(join(root, 'run/branchbox'), { recursive: true });
    put('etc/branchbox/factory/serial', 'SN-1\n');
    put('etc/branchbox/factory/model', 'qemu\n');
    put('usr/lib/os-release', 'ID=debian\nIMAGE_VERSION=0.2.0\n');
    put('bin/systemctl', `#!/bin/sh\necho "$@" >${root}/asked\n`);
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    rmSync(root, { recursive: true });
  });

  it.each(['DISCOVER', 'OPERATIONAL'] as const)(
    'says in %s what is worth a look, a stick that is not read say',
    async (state) => {
      const notice =
        'USB medium sdb1: it has exFAT, and an update is read off FAT alone (format it with FAT32, copy it again)';
      await serve('identity.sock', '/bootstrap', { ...bootstrap, state, notices: [notice] });
      const text = await screen();
      expect(text.replaceAll(/\n {12}/g, ' ')).toContain(` Worth a look: ${notice}`);
      expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(79);
    },
  );

  it('keeps what the agent says on the screen, however much is worth a look', async () => {
    const notices = Array.from(
      { length: 8 },
      (_, index) => `server${index} names no server ${'x '.repeat(200)}`,
    );
    await serve('identity.sock', '/bootstrap', { ...bootstrap, notices });
    const firmware = {
      version: '0.2.0',
      state: 'downloading',
      sentence: 'y '.repeat(200),
      progressPercent: 7,
    };
    await serve('agent.sock', '/status', { ...status, firmware });
    const text = await screen();
    expect(text).toContain('Worth a look: server0');
    expect(text).toContain('... (all of it: branchbox bootstrap status)');
    expect(text).toContain('Controller  not connected');
    expect(text).toContain('Firmware    downloading 7 %');
  });

  it('says what to do where the disk does not come up, and nothing of processes that cannot be there', async () => {
    put('run/branchbox/rescue', 'var.mount branchbox-disk.service\n');
    const text = await screen();
    expect(text).toContain('Failed: var.mount branchbox-disk.service');
    expect(text).not.toContain('does not answer');
    expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(79);
  });

  it('says why the disk does not come up and what mends that, where somebody knows', async () => {
    const [why, mend] = [
      'The data is sealed to a TPM, and this machine shows none.',
      'Switch it on. '.repeat(30),
    ];
    put('run/branchbox/rescue', `branchbox-disk.service\n${why}\n${mend}\n`);
    const text = await screen();
    expect(text).toContain(`Failed: branchbox-disk.service\n            ${why}\n\nWhat to do  Switch it on.`);
    expect(text).toContain('tried again every ten minutes');
    // A stick mends slots, which are not what is wrong.
    expect(text).not.toContain('overwrite=slots');
    const lines = text.split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(79);
    expect(lines.at(-2)).toBe('r and Enter: factory reset');
  });

  it('says why a machine was not installed, and offers no reset of the stick', async () => {
    put(
      'run/branchbox/install-failed',
      'no disk will do (read-only, smaller than 4 GB, or on USB); there are sda; name one in install.conf: target=NAME\n',
    );
    const text = await screen();
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      'there are sda; name one in install.conf: target=NAME What to do',
    );
    expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(79);
    expect(text).not.toContain('factory reset');
    const menu = 'not installed';
    expect(await type([menu, 'r'], [menu, 'SN-1'], [menu, ''])).toBe('');
  });

  it('says who the box is, how far it is and what is wrong', async () => {
    await serve('agent.sock', '/status', status);
    await serve('identity.sock', '/bootstrap', bootstrap);
    const lines = (await screen()).split('\n');
    expect(lines).toEqual([
      'Branchbox 0.2.0   serial SN-1   model qemu',
      '',
      'Identity    DISCOVER',
      '            waits for a bootstrap server that answers',
      '            check the cable',
      '            bootstrap/unreachable: no answer',
      '',
      'Controller  not connected: nobody answers',
      'Uplink      wan1     up         198.51.100.7/24',
      'Uplink      wan2     no cable   no address',
      'LAN         lan1 up',
      '',
      'Health      degraded',
      '            Uplink lte has no ?[2Jcarrier: ? "wan2".\\ Plug it in.',
      '',
      'r and Enter: factory reset',
      '',
    ]);
  });

  it.each(['run/branchbox/factory-reset', 'var/lib/branchbox-factory-reset'])(
    'says that it is reset, in the words of all others, where %s is',
    async (path) => {
      put('etc/branchbox/factory/idevid.crt', '');
      put(path, 'button 1780000000\n');
      const { waitsFor, mend } = BOOTSTRAP_SENTENCES.WIPE;
      const words = `            waits for ${waitsFor}\n            ${mend}\n`;
      expect(await screen()).toContain(`Identity    WIPE\n${words}`);
    },
  );

  it('names the places of ports where nobody described the box', async () => {
    const [wan] = status.facts.ports;
    const place = '0000:00:1c.0/00.0';
    const ports = [
      { ...wan, place },
      { ...wan, label: 'wan2', place, placeNumber: 0 },
    ];
    const facts = { ...status.facts, ports };
    await serve('agent.sock', '/status', { ...status, facts });
    expect(await screen()).not.toContain('Places');
    put('etc/branchbox/factory/model', 'generic\n');
    expect(await screen()).toContain(`Places      wan1 ${place}   wan2 ${place}#0\n`);
  });

  it('says what becomes of a stick, in words that fit', async () => {
    const firmware = {
      version: '0.2.0',
      state: 'refused',
      sentence: `firmware 0.3.0 of the stick is refused: the controller wants 0.2.1, and a stick may bring nothing else ${'x '.repeat(200)}`,
    };
    await serve('agent.sock', '/status', { ...status, firmware });
    const lines = (await screen()).split('\n');
    const from = lines.indexOf('Firmware    refused');
    expect(lines.slice(from + 1, from + 3)).toEqual([
      '            firmware 0.3.0 of the stick is refused: the controller wants 0.2.1,',
      expect.stringMatching(/^ {12}and a stick may bring nothing else x x/),
    ]);
    expect(lines[from + 4]).toBe('');
    servers.splice(0).forEach((server) => server.close());
    rmSync(join(root, 'run/branchbox/agent.sock'), { force: true });
    const under = { ...firmware, state: 'downloading', sentence: 'It is fetched.', progressPercent: 35 };
    await serve('agent.sock', '/status', { ...status, firmware: under });
    expect(await screen()).toContain('Firmware    downloading 35 %\n            It is fetched.\n');
  });

  it('fits a terminal, whatever it is told', async () => {
    const [condition] = status.health.conditions;
    const conditions = Array.from({ length: 60 }, () => ({ ...condition, sentence: 'x'.repeat(500) }));
    await serve('agent.sock', '/status', { ...status, health: { state: 'failed', conditions } });
    const lines = (await screen()).split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
    expect(lines.at(-2)).toBe('r and Enter: factory reset');
  });

  it('says that nobody answers, and that the box may work all the same', async () => {
    expect(await screen()).toContain('nobody gave this box a factory identity');
    put('etc/branchbox/factory/idevid.crt', 'a certificate');
    const text = await screen();
    expect(text).toContain('Identity    its process does not answer');
    expect(text).toContain('Agent       does not answer; traffic and failover go on');
  });

  it('resets for whoever types the serial, and for nobody else', async () => {
    const menu = 'factory reset';
    expect(await type([menu, 'r'], ['SN-1', 'SN-2'], ['Nothing was erased', ''])).toBe('');
    expect(await type([menu, 'r'], ['SN-1', ''])).toBe('');
    expect(await type([menu, 'reset'], [menu, ''])).toBe('');
    expect(await type([menu, 'r'], ['SN-1', 'SN-1'], ['Erasing', ''])).toBe(
      '--no-block start branchbox-factory-reset@console.service',
    );
  });
});
