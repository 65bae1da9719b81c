/**
 * Owns proving that the golden files are what the real programs take: each frr.conf by `vtysh -C`, each ruleset.nft by
 * `nft -c`, in a bare node; and that a bad one of each is refused.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BareNode, rootTree, startBareNode } from './wan/bareNode.ts';

const GOLDEN = join(import.meta.dirname, '../golden');
const FRR = ['vtysh', '-C', '-f'] as const;
const NFT = ['nft', '-c', '-f'] as const;
const tree = rootTree();

const named = (file: string): string[] => globSync(`*/*/${file}`, { cwd: GOLDEN }).sort();
const golden = (path: string): string => readFileSync(join(GOLDEN, path), 'utf8');

describe.skipIf(tree === undefined)('golden files and the real programs', () => {
  let node: BareNode;
  /** What the program says of a file it refuses; undefined where it takes it. */
  const refusal = async ([command, ...args]: readonly [string, ...string[]], text: string) => {
    await node.files.writeDurable('/run/golden', text);
    const { exitCode, stdout, stderr } = await node.runner.run(command, [...args, '/run/golden']);
    return exitCode === 0 ? undefined : stdout + stderr;
  };

  beforeAll(async () => {
    node = await startBareNode('golden', tree ?? '');
  });
  afterAll(() => node?.stop());

  it.each(named('frr.conf'))('FRR takes %s', async (path) => {
    expect(await refusal(FRR, golden(path))).toBeUndefined();
  });

  it.each(named('ruleset.nft'))('nft takes %s', async (path) => {
    expect(await refusal(NFT, golden(path))).toBeUndefined();
  });

  it('both refuse a file with one bad word', async () => {
    const conf = golden('box/new-hub/frr.conf').replace('route-type macip', 'route-type frobnicate');
    expect(await refusal(FRR, conf)).toContain('frobnicate');
    const ruleset = golden('box/new-hub/ruleset.nft').replace('@vtep_vnis', '@vtep_vnix');
    expect(await refusal(NFT, ruleset)).toContain('vtep_vnix');
  });
});
