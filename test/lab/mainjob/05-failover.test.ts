/** A sequenced stream through a cut and back: under a second away, nothing lost on the way back. */
import { afterEach, describe, expect, it } from 'vitest';
import { elapse, jsonIn, lab, streamWhile, until } from './lab.ts';

interface Status {
  readonly paths: readonly {
    readonly id: string;
    readonly uplink: string;
    readonly state: string;
    readonly active: boolean;
  }[];
}
const pathsOf = async (node: string) => (await jsonIn<Status>(node, 'branchbox', 'status', '--json')).paths;
const activeUplink = async (node: string) => (await pathsOf(node)).find((path) => path.active)?.uplink;

const allUp = () =>
  until('every path of branch1 is up and internet is active', async () => {
    const paths = await pathsOf('branch1');
    return (
      paths.length === 4 &&
      paths.every((path) => path.state === 'up') &&
      (await activeUplink('branch1')) === 'internet'
    );
  });

describe('failover', () => {
  afterEach(async () => {
    await lab('heal', 'branch1', 'internet');
    await allUp();
  });

  it.each([
    { name: 'dark, the carrier up', flags: [] },
    { name: 'carrier lost', flags: ['--carrier'] },
  ])('goes on by the other uplink within a second: $name', async ({ flags }) => {
    await allUp();
    const report = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', 2, async () => {
      await elapse(1000);
      await lab('cut', 'branch1', 'internet', ...flags);
      await until('lte is active', async () => (await activeUplink('branch1')) === 'lte');
      await elapse(2000);
    });
    expect(report.received).toBeGreaterThan(1000);
    // Packets are 2 ms apart: 500 in a row are the second that is promised.
    expect(report.longestRun).toBeLessThan(500);
    // The cut was real: something was lost by it.
    expect(report.longestRun).toBeGreaterThan(0);
  });

  it('comes back after healing without loss', async () => {
    await allUp();
    await lab('cut', 'branch1', 'internet');
    await until('lte is active', async () => (await activeUplink('branch1')) === 'lte');
    const report = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', 2, async () => {
      await elapse(500);
      await lab('heal', 'branch1', 'internet');
      await allUp();
      await elapse(1000);
    });
    expect(report.received).toBeGreaterThan(500);
    expect(report.lost).toBe(0);
  });
});
