/** The reader of unit files, held against systemd's grammar and every unit of the firmware. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCommand, parseEnvironment } from '../../../src/lab/supervisor/commandLine.ts';
import { restartDelayMs } from '../../../src/lab/supervisor/service.ts';
import { parseTimeMs, parseUnit } from '../../../src/lab/supervisor/unitFile.ts';
import { createUnitSet, templateOf } from '../../../src/lab/supervisor/unitSet.ts';

const UNITS = join(import.meta.dirname, '../../../firmware/units');

describe('unit files', () => {
  it('reads sections, lists, continuations, comments and resets', () => {
    const text = [
      '# a comment',
      '[Unit]',
      'Description=Some %i',
      'After=a.service b.service',
      'After=c.service',
      '[Service]',
      'ExecStart=/bin/true \\',
      '  --flag',
      'ExecStartPre=/bin/one',
      'ExecStartPre=',
      'ExecStartPre=/bin/two',
      'Restart=always',
      'RestartSec=250ms',
      'KillMode=process',
      '[Install]',
      'WantedBy=x.target',
    ].join('\n');
    const { unit, problems } = parseUnit('some@wan1.service', [text]);
    expect(problems).toEqual([]);
    expect(unit.description).toBe('Some wan1');
    expect(unit.after).toEqual(['a.service', 'b.service', 'c.service']);
    expect(unit.wantedBy).toEqual(['x.target']);
    expect(unit.service).toMatchObject({
      startPre: ['/bin/two'],
      restart: 'always',
      restartMs: 250,
      killGroup: false,
      type: 'simple',
    });
    expect(parseCommand(unit.name, unit.service?.start[0] ?? '', {}).words).toEqual(['/bin/true', '--flag']);
  });

  it('lets a drop-in win', () => {
    const base = '[Service]\nExecStart=/bin/a\nRestartSec=1s\n';
    const dropIn = '[Service]\nExecStart=\nExecStart=/bin/b\nRestartSec=2s\n';
    expect(parseUnit('x.service', [base, dropIn]).unit.service).toMatchObject({
      start: ['/bin/b'],
      restartMs: 2000,
    });
  });

  it('names everything it does not understand, by unit and setting', () => {
    const text =
      '[Service]\nExecStart=/bin/a\nRestrat=always\nType=notify\nRestartSec=soon\n[Unti]\nAfter=b\n';
    const paths = parseUnit('x.service', [text]).problems.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'x.service: [Service] Restrat',
        'x.service: Type',
        'x.service: RestartSec',
        'x.service: [Unti]',
      ]),
    );
  });

  it('says that a service without a command is none', () => {
    expect(parseUnit('x.service', ['[Service]\nType=exec\n']).problems).toHaveLength(1);
    expect(parseUnit('x.target', ['[Unit]\nDescription=t\n']).problems).toEqual([]);
  });

  it.each([
    ['5', 5000],
    ['500ms', 500],
    ['1min 30s', 90_000],
    ['infinity', Number.POSITIVE_INFINITY],
    ['soon', undefined],
    ['', undefined],
  ])('reads the time span %j', (text, wanted) => {
    expect(parseTimeMs(text)).toBe(wanted);
  });
});

describe('command lines', () => {
  it('keeps quotes together, expands specifiers, splits a bare variable only', () => {
    const variables = { WORDS: 'a b', ONE: 'x y' };
    const line = '-/bin/sh -c "echo %i" \'%%\' $WORDS ${ONE} %t/%p';
    const command = parseCommand('dhcpcd@wan1.service', line, variables);
    expect(command.mayFail).toBe(true);
    expect(command.words).toEqual(['/bin/sh', '-c', 'echo wan1', '%', 'a', 'b', 'x y', '/run/dhcpcd']);
  });

  it('reads environment lines with quotes', () => {
    expect(parseEnvironment('A=1 "B=two words" C=\'3\'')).toEqual({ A: '1', B: 'two words', C: '3' });
  });
});

describe('the units of the firmware', () => {
  const set = createUnitSet([UNITS]);

  it.each(set.names())('%s is understood to the last setting', (name) => {
    const instance = name.replace('@.', '@wan1.');
    expect(set.load(instance)?.problems).toEqual([]);
  });

  it('name no unit that is not there, nor is that of Debian which ours conflict with', () => {
    const debians = set.names().flatMap((name) => conflictsOf(readFileSync(join(UNITS, name), 'utf8')));
    const names = new Set([...readdirSync(UNITS), ...debians]);
    const asked = set.names().flatMap((name) => {
      const unit = set.load(name)?.unit;
      return [
        ...(unit?.requires ?? []),
        ...(unit?.wants ?? []),
        ...(unit?.after ?? []),
        ...(unit?.wantedBy ?? []),
      ];
    });
    expect(asked.filter((name) => !names.has(name) && !names.has(templateOf(name) ?? ''))).toEqual([]);
  });

  it('want each daemon of a gateway, and none of the controller', () => {
    const wanted = set.wantedBy('branchbox-gateway.target');
    expect(wanted).toEqual(expect.arrayContaining(['branchbox-agent.service', 'frr-zebra.service']));
    expect(wanted).not.toContain('branchbox-controller.service');
    expect(wanted.filter((name) => name.includes('@'))).toEqual([]);
    // Only the agent knows whether there are apps.
    expect(wanted).not.toContain('docker.service');
  });

  /** Name and directory below /var/lib. */
  const states = (): (readonly [string, string])[] =>
    set.names().flatMap((name) => {
      const directory = /^StateDirectory=(.+)$/m.exec(readFileSync(join(UNITS, name), 'utf8'))?.[1];
      return directory === undefined ? [] : [[name, directory] as const];
    });

  it('end before a factory reset removes the state that they hold', () => {
    const script = readFileSync(join(UNITS, '../factory-reset'), 'utf8');
    const stopped = [...script.matchAll(/^ *systemctl stop ((?:.*\\\n)*.*)$/gm)].flatMap(([, names = '']) =>
      names.split(/[\s\\]+/),
    );
    const ofController = /^branchbox-(controller|signer|manufacturer)\.service$/;
    const holders = states().flatMap(([name]) => (ofController.test(name) ? [] : [name]));
    expect(holders).toContain('branchbox-agent.service');
    expect(holders.filter((name) => !stopped.includes(name))).toEqual([]);
  });

  it('show who looks by SSH the state of none', () => {
    const ssh = 'branchbox-ssh.service';
    const hidden =
      /^InaccessiblePaths=((?:.*\\\n)*.*)$/m.exec(readFileSync(join(UNITS, ssh), 'utf8'))?.[1] ?? '';
    const paths = hidden.split(/[\s\\]+/);
    const others = states().flatMap(([name, directory]) => (name === ssh ? [] : [`-/var/lib/${directory}`]));
    expect(others.filter((path) => !paths.includes(path))).toEqual([]);
  });

  it('restart whatever runs on', () => {
    const oneshots = set
      .names()
      .filter((name) => readFileSync(join(UNITS, name), 'utf8').includes('Type=oneshot'));
    // It leaves a DHCP server for as long as there is another one, and is over then.
    const ends = [...oneshots, 'branchbox-other-dhcp@.service'];
    const services = set.names().filter((name) => name.endsWith('.service') && !ends.includes(name));
    expect(services.filter((name) => set.load(name)?.unit.service?.restart !== 'always')).toEqual([]);
  });
});

describe('the delay before a restart', () => {
  it('grows in equal ratios to its maximum and stays there', () => {
    const settings = { restartMs: 100, restartMaxMs: 1600, restartSteps: 4 };
    expect([0, 1, 2, 3, 4, 9].map((n) => restartDelayMs(settings, n))).toEqual([
      100, 200, 400, 800, 1600, 1600,
    ]);
  });
  it('is constant without steps', () => {
    const settings = { restartMs: 100, restartMaxMs: Number.POSITIVE_INFINITY, restartSteps: 0 };
    expect(restartDelayMs(settings, 7)).toBe(100);
  });
});

const conflictsOf = (unit: string): string[] =>
  [...unit.matchAll(/^Conflicts=(.*)$/gm)].flatMap(([, names = '']) => names.split(/\s+/));
