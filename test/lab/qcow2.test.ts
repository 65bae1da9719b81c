/** The disk for hypervisors, of a raw one that is small: its content, and its size. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeQcow2 } from '../../image/qcow2.ts';
import { createToolbox } from '../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

it('has room for all that a box makes at its first start, as it is', async () => {
  const runner = createRunner();
  const toolbox = createToolbox(runner, await ensureTree(TOOLS_TREE, { runner, say: () => {} }));
  const directory = mkdtempSync(join(tmpdir(), 'bbt-qcow2-'));
  const [raw, made] = [join(directory, 'disk.raw'), join(directory, 'disk.qcow2')];
  try {
    writeFileSync(raw, Buffer.alloc(1024 * 1024, 'slot A'));
    truncateSync(raw, 8 * 1024 * 1024);
    await makeQcow2(raw, made, toolbox);
    const inDirectory = (...words: string[]): Promise<string> => toolbox.run([directory], words);
    const info = JSON.parse(await inDirectory('qemu-img', 'info', '--output=json', made)) as {
      'virtual-size': number;
      'actual-size': number;
    };
    // docs/image.md, "Write it to a disk".
    expect(info['virtual-size']).toBeGreaterThan(4e9);
    expect(info['actual-size']).toBeLessThan(2e6);
    // What one has more than the other is zeros.
    expect(await inDirectory('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, made)).toContain(
      'Images are identical',
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 1_200_000);
