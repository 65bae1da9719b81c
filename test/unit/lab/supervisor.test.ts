/** The supervisor over real processes, held against what systemd does with the same units. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManager, type Manager } from '../../../src/lab/supervisor/manager.ts';
import type { ServiceStatus } from '../../../src/lab/supervisor/service.ts';
import { answerSystemctl } from '../../../src/lab/supervisor/systemctl.ts';
import { createUnitSet } from '../../../src/lab/supervisor/unitSet.ts';

/** Real processes, in a directory of their own. */
describe('the supervisor', () => {
  let directory: string;
  let manager: Manager;
  const problems: string[] = [];
  const watchers = new Set<(unit: string, status: ServiceStatus) => void>();

  const unit = (name: string, ...lines: string[]): void =>
    writeFileSync(join(directory, name), `${lines.join('\n')}\n`);
  const service = (name: string, command: string, ...more: string[]): void =>
    unit(name, '[Service]', `ExecStart=${command}`, ...more);
  const state = (name: string) => manager.get(name)?.status.state;
  /** The next time a unit comes to a state. */
  const comesTo = (name: string, wanted: string): Promise<ServiceStatus> =>
    new Promise((resolve) => {
      const watcher = (changed: string, status: ServiceStatus): void => {
        if (changed !== name || status.state !== wanted) return;
        watchers.delete(watcher);
        resolve(status);
      };
      watchers.add(watcher);
    });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'supervisor-'));
    problems.length = 0;
    watchers.clear();
    manager = createManager({
      units: createUnitSet([directory]),
      logDirectory: join(directory, 'log'),
      onState: (name, status) => {
        for (const watcher of Array.from(watchers)) watcher(name, status);
      },
      onProblem: (text) => problems.push(text),
    });
  });
  afterEach(async () => {
    await Promise.all(manager.list().map((loaded) => manager.stop(loaded.unit.name)));
    rmSync(directory, { recursive: true });
  });

  it('starts what a target wants, in the order of After=', async () => {
    const log = join(directory, 'order');
    unit('t.target', '[Unit]', 'Description=t');
    const oneshot = (name: string, after: string): void =>
      unit(
        `${name}.service`,
        '[Unit]',
        `After=${after}`,
        '[Service]',
        'Type=oneshot',
        'RemainAfterExit=yes',
        `ExecStart=/bin/sh -c "echo ${name} >> ${log}"`,
        '[Install]',
        'WantedBy=t.target',
      );
    oneshot('a', 'b.service');
    oneshot('b', 'c.service');
    oneshot('c', '');
    await manager.start('t.target');
    expect(readFileSync(log, 'utf8')).toBe('c\nb\na\n');
    expect(state('t.target')).toBe('active');
  });

  it('starts what somebody stopped when a target that is up is started again', async () => {
    unit('t.target', '[Unit]', 'Description=t');
    service('d.service', '/bin/sleep 1000', 'Type=exec', '[Install]', 'WantedBy=t.target');
    await manager.start('t.target');
    await manager.stop('d.service');
    await manager.start('t.target');
    expect(state('d.service')).toBe('active');
  });

  it('brings a killed service back and counts it', async () => {
    service('d.service', '/bin/sleep 1000', 'Type=exec', 'Restart=always', 'RestartSec=10ms');
    await manager.start('d.service');
    const first = manager.get('d.service')?.status.mainPid ?? 0;
    const back = comesTo('d.service', 'active');
    process.kill(first, 'SIGKILL');
    const status = await back;
    expect(status.restarts).toBe(1);
    expect(status.mainPid).not.toBe(first);
    expect(readFileSync(join(directory, 'log/d.service.log'), 'utf8')).toContain('killed by SIGKILL');
  });

  // The agent asks for the engine while its unit already brings it back: of two, the second would take the socket of the
  // first, and the first hold what the second waits for.
  it('takes a start that is asked for during a restart for that restart', async () => {
    const [launches, gate] = [join(directory, 'launches'), join(directory, 'gate')];
    const command = `/bin/sh -c "echo x >> ${launches}; exec sleep 1000"`;
    const post = `ExecStartPost=/bin/sh -c "until test -e ${gate}; do sleep 0.01; done"`;
    service('d.service', command, 'Type=exec', 'Restart=always', 'RestartSec=1ms', post);
    writeFileSync(gate, '');
    await manager.start('d.service');
    rmSync(gate);
    const restarts = comesTo('d.service', 'activating');
    process.kill(manager.get('d.service')?.status.mainPid ?? 0, 'SIGKILL');
    await restarts;
    await expect.poll(() => readFileSync(launches, 'utf8')).toBe('x\nx\n');
    const asked = manager.start('d.service');
    writeFileSync(gate, '');
    await asked;
    expect(readFileSync(launches, 'utf8')).toBe('x\nx\n');
    expect(manager.get('d.service')?.status).toMatchObject({ state: 'active', restarts: 1 });
  });

  it('ends a restart that is under way when the service is stopped', async () => {
    const pids = join(directory, 'pids');
    const post = `ExecStartPost=/bin/sh -c "test $(wc -l < ${pids}) -lt 2 || exec sleep 1000"`;
    const command = `/bin/sh -c "echo $$$$ >> ${pids}; exec sleep 1000"`;
    service('d.service', command, 'Type=exec', 'Restart=always', 'RestartSec=1ms', post);
    await manager.start('d.service');
    process.kill(manager.get('d.service')?.status.mainPid ?? 0, 'SIGKILL');
    const started = (): readonly number[] => readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    await expect.poll(() => started().length).toBe(2);
    await manager.stop('d.service');
    expect(state('d.service')).toBe('inactive');
    expect(() => process.kill(started()[1] ?? 0, 0)).toThrow('ESRCH');
  });

  it('leaves a stopped service down', async () => {
    service('d.service', '/bin/sleep 1000', 'Type=exec', 'Restart=always', 'RestartSec=1ms');
    await manager.start('d.service');
    const pid = manager.get('d.service')?.status.mainPid ?? 0;
    await manager.stop('d.service');
    expect(state('d.service')).toBe('inactive');
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('fails a start whose ExecStartPost fails, and says why', async () => {
    service('d.service', '/bin/sleep 1000', 'Type=exec', 'ExecStartPost=/bin/false');
    await expect(manager.start('d.service')).rejects.toThrow('/bin/false: exit code 1');
    expect(state('d.service')).toBe('failed');
  });

  it('does not start what requires a unit that fails, and starts what only wants it', async () => {
    service('bad.service', '/bin/false', 'Type=oneshot');
    unit(
      'needs.service',
      '[Unit]',
      'Requires=bad.service',
      '[Service]',
      'Type=exec',
      'ExecStart=/bin/sleep 1000',
    );
    unit(
      'wants.service',
      '[Unit]',
      'Wants=bad.service',
      '[Service]',
      'Type=exec',
      'ExecStart=/bin/sleep 1000',
    );
    await expect(manager.start('needs.service')).rejects.toThrow('bad.service');
    await manager.start('wants.service');
    expect(state('wants.service')).toBe('active');
  });

  it('skips a unit whose condition is not met', async () => {
    unit(
      'd.service',
      '[Unit]',
      `ConditionPathExists=${directory}/there`,
      '[Service]',
      'ExecStart=/bin/sleep 1000',
    );
    await manager.start('d.service');
    expect(state('d.service')).toBe('inactive');
    writeFileSync(join(directory, 'there'), '');
    await manager.start('d.service');
    expect(state('d.service')).toBe('active');
  });

  it('makes instances of a template', async () => {
    service('d@.service', '/bin/sleep 100%i', 'Type=exec');
    await manager.start('d@7.service');
    expect(state('d@7.service')).toBe('active');
    const answer = await answerSystemctl(manager, ['show', '-p', 'Id,ActiveState,MainPID', 'd@*']);
    expect(answer.stdout).toMatch(/^Id=d@7\.service\nActiveState=active\nMainPID=\d+\n$/);
  });

  it('answers systemctl as systemd does', async () => {
    service('d.service', '/bin/sleep 1000', 'Type=exec');
    expect(await answerSystemctl(manager, ['is-active', 'd'])).toEqual({
      exitCode: 3,
      stdout: 'inactive\n',
      stderr: '',
    });
    expect((await answerSystemctl(manager, ['start', 'd'])).exitCode).toBe(0);
    expect((await answerSystemctl(manager, ['is-active', 'd'])).stdout).toBe('active\n');
    expect((await answerSystemctl(manager, ['show', '-p', 'NRestarts', '--value', 'd'])).stdout).toBe('0\n');
    const list = await answerSystemctl(manager, ['list-units', '--output=json']);
    expect(JSON.parse(list.stdout)).toMatchObject([{ unit: 'd.service', active: 'active', sub: 'running' }]);
    const missing = await answerSystemctl(manager, ['start', 'nobody']);
    expect(missing).toMatchObject({ exitCode: 1, stderr: 'Unit nobody.service not found.\n' });
    expect((await answerSystemctl(manager, ['dance'])).exitCode).toBe(1);
  });

  it('tells of a unit that nobody started yet that it is loaded and dead, and of none that it is not there', async () => {
    unit('d.service', '[Unit]', 'Description=a daemon', '[Service]', 'ExecStart=/bin/sleep 1000');
    service('e@.service', '/bin/sleep 100%i');
    const ask = (...argv: string[]) => answerSystemctl(manager, argv);
    expect(await ask('status', 'd')).toEqual({
      exitCode: 3,
      stdout: 'd.service - a daemon\n     Loaded: loaded\n     Active: inactive (dead)\n',
      stderr: '',
    });
    expect(await ask('status', 'e@7')).toMatchObject({
      exitCode: 3,
      stdout: expect.stringMatching(/^e@7\.service - /),
    });
    expect((await ask('show', '-p', 'LoadState,ActiveState', 'd')).stdout).toBe(
      'LoadState=loaded\nActiveState=inactive\n',
    );
    for (const name of ['nobody', 'e@', '../d']) {
      expect(await ask('status', name)).toMatchObject({
        exitCode: 4,
        stdout: '',
        stderr: expect.stringMatching(/^Unit .* could not be found\.\n$/),
      });
    }
    // The first that is not 0, as systemctl(1) does; and asking touched nothing.
    expect((await ask('status', 'nobody', 'd')).exitCode).toBe(4);
    expect((await ask('status', 'd', 'nobody')).exitCode).toBe(3);
    expect(manager.list()).toEqual([]);
    await ask('start', 'd');
    expect(await ask('status', 'd')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/ {5}Active: active \(running\)\n {3}Main PID: \d+\n$/),
    });
  });
});
