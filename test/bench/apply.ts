/**
 * Owns the apply bench: how long a box takes to hold N segments, and one segment more, beside raw `ip -batch` and
 * `nft -f` of the same state in the same run.
 */
import { build } from 'esbuild';
import { root, tryIn } from '../lab/mainjob/lab.ts';
import { rowOf, type Row } from './result.ts';

const SIZES = [10, 100, 1000] as const;
/** A plain node: nothing of ours runs in it. */
const NODE = 'internet-host';

interface Measurement {
  readonly coldMs: number;
  readonly oneChangeMs: number;
  readonly coldFloorMs: number;
  readonly oneFloorMs: number;
}

export async function measureApply(times: number): Promise<readonly Row[]> {
  const bundled = await build({
    entryPoints: [`${root}test/bench/applyInNode.ts`],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    write: false,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire('/');" },
  });
  const program = bundled.outputFiles[0]?.text ?? '';
  const rows: Row[] = [];
  for (const size of SIZES) {
    const ended = await tryIn(
      NODE,
      ['/usr/lib/branchbox/node', '--input-type=module', '-', String(size), String(times)],
      program,
    );
    if (ended.exitCode !== 0)
      throw new Error(`apply at ${size} segments ended with ${ended.exitCode}: ${ended.stderr.slice(-2000)}`);
    const found = ended.stdout
      .split('\n')
      .filter((line) => line.startsWith('{"coldMs"'))
      .map((line) => JSON.parse(line) as Measurement);
    const label = `${size}-segments`;
    rows.push(
      rowOf(
        'branchbox',
        `cold-${label}`,
        'time',
        'ms',
        found.map((m) => m.coldMs),
      ),
      rowOf(
        'ip-batch+nft',
        `cold-${label}`,
        'time',
        'ms',
        found.map((m) => m.coldFloorMs),
      ),
      rowOf(
        'branchbox',
        `cold-${label}`,
        'ratio-to-floor',
        '1',
        found.map((m) => m.coldMs / m.coldFloorMs),
      ),
      rowOf(
        'branchbox',
        `one-change-at-${label}`,
        'time',
        'ms',
        found.map((m) => m.oneChangeMs),
      ),
      rowOf(
        'ip-batch+nft',
        `one-change-at-${label}`,
        'time',
        'ms',
        found.map((m) => m.oneFloorMs),
      ),
      rowOf(
        'branchbox',
        `one-change-at-${label}`,
        'ratio-to-floor',
        '1',
        found.map((m) => m.oneChangeMs / m.oneFloorMs),
      ),
    );
    console.log(`${label}: cold ${rows.at(-6)?.p50} ms, one change ${rows.at(-3)?.p50} ms`);
  }
  return rows;
}
