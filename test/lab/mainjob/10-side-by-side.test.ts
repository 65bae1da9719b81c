/** Two labs at once, a crashed one brought up again, and nothing left after `lab down`. */
import { readdirSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { branchbox, pings, root } from './lab.ts';

const OTHER = 'beside';

/** All that a lab could leave: namespaces, mounts, processes by their mark, directories. */
function remains(lab: string): readonly string[] {
  const found: string[] = [];
  const netns = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
  for (const line of netns.split('\n')) if (line.includes(`bb-${lab}.`)) found.push(`netns ${line}`);
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n'))
    if (line.includes(`branchbox-lab/${lab}/`) || line.includes(`bb-${lab}.`)) found.push(`mount ${line}`);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`BRANCHBOX_LAB=${lab}`))
        found.push(`process ${pid}`);
    } catch {
      // It ended meanwhile.
    }
  }
  for (const directory of ['/run/branchbox-lab', '/var/lib/branchbox-lab']) {
    try {
      if (readdirSync(directory).includes(lab)) found.push(`directory ${directory}/${lab}`);
    } catch {
      // There is no lab at all.
    }
  }
  return found;
}

describe('a second lab beside the first', () => {
  afterAll(() => {
    spawnSync('./branchbox', ['lab', 'down', '--lab', OTHER], { cwd: root });
  });

  it('comes up, is crashed, comes up again over its remains, and leaves nothing; the first goes on', async () => {
    const up = await branchbox(['lab', 'up', '--lab', OTHER]);
    expect(up.exitCode, up.stderr + up.stdout).toBe(0);
    expect(remains(OTHER)).not.toEqual([]);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);

    // A crash: half of its processes are gone, and nobody tidied up.
    const processes = remains(OTHER).filter((line) => line.startsWith('process '));
    expect(processes.length).toBeGreaterThan(10);
    for (const line of processes.filter((_, i) => i % 2 === 0)) {
      try {
        process.kill(Number(line.slice('process '.length)), 'SIGKILL');
      } catch {
        // It ended with another.
      }
    }
    const again = await branchbox(['lab', 'up', '--lab', OTHER]);
    expect(again.exitCode, again.stderr + again.stdout).toBe(0);

    const down = await branchbox(['lab', 'down', '--lab', OTHER]);
    expect(down.exitCode, down.stderr).toBe(0);
    expect(remains(OTHER)).toEqual([]);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
  });

  it('says why where it does not come up, ends with 1, and leaves nothing once it is taken down', async () => {
    // A fiftieth of the time that it may take: three seconds from the first box to all at work.
    const up = await branchbox(['lab', 'up', '--lab', OTHER], '', { BRANCHBOX_LAB_PATIENCE: '0.02' });
    expect(up.exitCode, up.stderr + up.stdout).toBe(1);
    expect(up.stderr).toMatch(/^branchbox: (lab\/not-ready|system\/command-timeout): ./m);
    expect(up.stdout).not.toContain(`lab ${OTHER} works`);
    const down = await branchbox(['lab', 'down', '--lab', OTHER]);
    expect(down.exitCode, down.stderr).toBe(0);
    expect(remains(OTHER)).toEqual([]);
  });
});
