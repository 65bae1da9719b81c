/** With which time a box starts, by the files that say so; and that nothing of a lab's node can set a clock. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const IMAGE = 'firmware/root/usr/lib';

describe('a box that starts', () => {
  it('is never before the build: the file is there, and its time is that of all files of the root', () => {
    expect(statSync(join(ROOT, IMAGE, 'clock-epoch')).size).toBe(0);
    expect(text('image/make-slot.sh')).toMatch(/mkfs\.erofs .*-T "\$SOURCE_DATE_EPOCH" --all-time/);
  });

  it('goes on from the time of the drift file, by an option that Debian has no say in', () => {
    const lines = text(`${IMAGE}/systemd/system/chrony.service.d/start.conf`).split('\n');
    const settings = lines.filter((line) => line !== '' && !line.startsWith('#'));
    expect(settings).toEqual([
      '[Service]',
      'EnvironmentFile=',
      'Environment="DAEMON_OPTS=-F 1 -s"',
      // Of a hardware clock in 2070 systemd believed nothing; chrony would.
      'DeviceAllow=',
      expect.stringMatching(/^ExecStartPre=-\+/),
    ]);
  });

  it.each([
    ['later', '2026-03-01', '2026-06-01', '2026-06-01'],
    ['earlier', '2026-06-01', '2026-03-01', '2026-06-01'],
    ['not there', '2026-03-01', undefined, '2026-03-01'],
  ])('or from the time that its tunnels have used, where that is %s', (_, drift, used, expected) => {
    const directory = mkdtempSync(join(tmpdir(), 'bbt-clock-'));
    const at = (name: string) => join(directory, name);
    for (const [name, day] of [
      ['drift', drift],
      ['used', used],
    ] as const) {
      if (day === undefined) continue;
      writeFileSync(at(name), '');
      utimesSync(at(name), new Date(day), new Date(day));
    }
    const script = /^ExecStartPre=.* -c '(.*)'$/m
      .exec(text(`${IMAGE}/systemd/system/chrony.service.d/start.conf`))?.[1]
      ?.replaceAll('$$', () => '$')
      .replace('/var/lib/branchbox/agent/used-time.json', at('used'))
      .replace('/var/lib/chrony/chrony.drift', at('drift'));
    execFileSync('sh', ['-c', script ?? 'exit 1']);
    expect(statSync(at('drift')).mtime).toEqual(new Date(expected));
    rmSync(directory, { recursive: true });
  });

  it('has a drift file before chrony first runs, which says what chrony assumes without one', () => {
    const line = text(`${IMAGE}/tmpfiles.d/chrony.conf`).trim().split('\n').at(-1);
    expect(line).toBe('f /var/lib/chrony/chrony.drift 0640 _chrony _chrony - 0.0 1000000.0');
  });
});

/** What they are given is what tenants' containers are, whose own profile the engine sets: without CAP_SYS_TIME. */
const ENGINE = ['containerd.service', 'docker.service'];
const services = readdirSync(join(ROOT, 'firmware/units')).filter((name) => name.endsWith('.service'));

describe('no clock is set', () => {
  it.each(services.filter((name) => !ENGINE.includes(name)))('by %s', (name) => {
    const unit = text(`firmware/units/${name}`);
    expect(unit).not.toMatch(/CAP_SYS_TIME/);
    expect(unit).not.toMatch(/^Exec.*(chronyd|hwclock|timedatectl|date -s)/m);
    expect(/^ProtectClock=yes$/m.test(unit) || /^CapabilityBoundingSet=/m.test(unit)).toBe(true);
  });

  it.each(['src/lab/node-init.sh', 'test/lab/systemd-node.sh'])('in a node of %s', (path) => {
    expect(text(path)).toMatch(/^exec setpriv --bounding-set=-sys_time --inh-caps=-sys_time env -i /m);
  });
});
