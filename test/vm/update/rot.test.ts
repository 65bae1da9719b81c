/**
 * A committed version of which a block goes bad on the disk: its Node, so that no agent can run. The box goes on with what
 * it has in memory, and when it has to read, it restarts into the version before by itself. Takes longer than a good
 * update, so it is no part of `npm test`.
 */
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createToolbox } from '../../../image/toolbox.ts';
import { ensureToolsTree } from '../../../src/lab/rootTree.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { inNode, pings, until } from '../../lab/mainjob/lab.ts';
import { BOX, booted, eventsOf, followTo, readFromVolume, reported, want, writeIntoVolume } from './box.ts';
import { forget, makeVersion, upload } from './versions.ts';

const TIMEOUT_MS = 45 * 60_000;
/** Two looks, and a start of an emulated machine. */
const BACK_MS = 15 * 60_000;
const BLOCK = 4096;
const NOTE = 'written before a block went bad\n';
const inBox = (script: string): Promise<string> => inNode(BOX, 'sh', '-euc', script);

afterAll(() => want(undefined));

/** The first block of Node in the root of a version that was made at `directory`. */
async function firstBlockOfNode(directory: string, version: string): Promise<number> {
  const runner = createRunner();
  const tools = await ensureToolsTree(runner, (line) => process.stderr.write(`${line}\n`));
  const image = join(directory, `branchbox-${version}.root`);
  const words = ['dump.erofs', '--path=/usr/lib/branchbox/node', '-e', image];
  const said = await createToolbox(runner, tools).run([dirname(image)], words);
  const offset = Number(/^ *0: +0\.\. .*: +(\d+)\.\./m.exec(said)?.[1]);
  expect(offset % BLOCK, said.slice(0, 1000)).toBe(0);
  return offset / BLOCK;
}

it(
  'restarts into the version before where a committed one cannot be read any more',
  async () => {
    const from = await booted();
    const rots = `${from.version}.6`;
    await want(undefined);
    await forget(rots);
    const directory = await makeVersion(rots);
    await upload(directory);
    await writeIntoVolume('note', NOTE);
    await want({ version: rots });
    await followTo(
      `${BOX} keeps ${rots}`,
      ({ version, state }) => version === rots && state === 'committed',
      ({ state }) => state === 'rolled-back' || state === 'refused',
    );
    // Nobody asks for it again once it is left.
    await want(undefined);
    const before = await booted();
    expect(before.version).toBe(rots);
    await inBox('systemctl start branchbox-root-check.service');
    expect(await inBox('cat /run/branchbox/boot/root-state')).toBe('verified\n');

    const block = await firstBlockOfNode(directory, rots);
    await inBox(`dd if=/dev/urandom of="$(readlink -f /run/branchbox/boot/root-${before.slot})" \\
      bs=${BLOCK} count=1 seek=${block} conv=notrunc oflag=direct status=none`);
    // Whoever runs has it in memory, until nobody does.
    const nodes = 'branchbox-agent.service branchbox-identity.service';
    await inBox(`systemctl stop ${nodes} 'branchbox-console@*'; echo 3 >/proc/sys/vm/drop_caches
      systemctl start --no-block ${nodes}`);
    // Traffic is no matter of the agent's.
    await until('red reaches red meanwhile', () => pings('branch2-red', '10.10.0.11'));

    const agentsStarted = async (): Promise<number> => (await eventsOf('agent-started', BOX)).length;
    const started = await agentsStarted();
    await until('the box is back', async () => (await agentsStarted()) > started, BACK_MS);
    const now = await booted();
    expect(now).toMatchObject({ version: from.version, slot: from.slot });
    expect(now.bootId).not.toBe(before.bootId);
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
    expect(await readFromVolume('note')).toBe(NOTE);
    expect((await reported()).health.conditions.map(({ code }) => code)).not.toContain('root-corrupted');
  },
  TIMEOUT_MS,
);
