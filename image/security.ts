/**
 * `npm run image:security [UNIT]`: how exposed each unit is, as the box's own systemd judges it; with a unit's name,
 * what it judges by. Does not own the bounds (test/lab/units.test.ts).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createRunner } from '../src/system/linux/runner.ts';
import { ensureTree, TOOLS_TREE } from './trees.ts';

/** Of every gateway, and of one with a disk of its own. */
const UNITS = ['units', 'root/usr/lib/systemd/system'].map((name) =>
  join(import.meta.dirname, '../firmware', name),
);
const files = UNITS.flatMap((units) =>
  readdirSync(units)
    .filter((name) => name.endsWith('.service'))
    .map((unit) => ({ units, unit })),
);
const [only, ...more] = process.argv.slice(2);
if (more.length > 0 || (only !== undefined && !files.some(({ unit }) => unit === only))) {
  const usage = `usage: npm run image:security [-- UNIT]\n  UNIT  what one is judged by: ${files.map(({ unit }) => unit).join(', ')}\nexample: npm run image:security -- branchbox-agent.service\n`;
  (only === '--help' ? process.stdout : process.stderr).write(usage);
  process.exit(only === '--help' ? 0 : 2);
}
const runner = createRunner();
const tree = await ensureTree(TOOLS_TREE, { runner, say: (line) => console.error(line) });
for (const { units, unit } of only === undefined ? files : files.filter((file) => file.unit === only)) {
  // Mounted for this one run alone: nothing is written into the tree.
  const script =
    'mount -t tmpfs units "$0/mnt" && cp "$1/$2" "$0/mnt/" && chroot "$0" systemd-analyze security --offline=true --no-pager "/mnt/$2"';
  const words = ['--mount', '--propagation', 'private', 'sh', '-c', script, tree, units, unit];
  const text = (await runner.runChecked('unshare', words, { timeoutMs: 60_000 })).trim();
  console.log(
    only === undefined
      ? `${unit.padEnd(38)} ${/([\d.]+ [A-Z]+)/.exec(text.split('\n').at(-1) ?? '')?.[1] ?? 'no verdict'}`
      : text,
  );
}
