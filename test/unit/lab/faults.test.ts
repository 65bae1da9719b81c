/** Cutting and healing over a node that fails, held against what a person is told: which step, which port, what now. */
import { describe, expect, it } from 'vitest';
import { createFaults, renderFault } from '../../../src/lab/faults.ts';
import { SPARE_NODE } from '../../../src/lab/paths.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { CommandResult } from '../../../src/system/ports.ts';

const cable = {
  kind: 'uplink' as const,
  uplink: 'internet',
  a: { node: 'branch1', ifname: 'wan1', mac: '02:00:00:00:00:01', setUp: [] },
  b: { node: 'provider-a', ifname: 'port4', mac: '02:00:00:00:00:02', setUp: [] },
};
const second = { ...cable, uplink: 'lte', b: { ...cable.b, ifname: 'port5' } };
const wiring = {
  nodes: ['provider-a', 'branch1', 'branch1-red', SPARE_NODE],
  before: new Map(),
  cables: [cable, second],
  silent: [],
};
const dark = { lossPercent: 100, carrier: false };

function faultsOver(exec: (command: readonly string[]) => Promise<CommandResult>) {
  return createFaults({
    wiring,
    machines: { setCarrier: async () => {} },
    nodes: { exec: (_node, command) => exec(command) },
  });
}

describe('a step of a cut that fails', () => {
  it('is named with its port and a mend where it did not end in time', async () => {
    const faults = faultsOver(async () => {
      throw new BranchboxError('system/command-timeout', { message: 'nsenter did not end within 60000 ms' });
    });
    await expect(faults.cut('branch1', 'internet', dark)).rejects.toMatchObject({
      code: 'system/command-timeout',
      message: expect.stringMatching(
        /^setting what is dropped at port port4 in provider-a: nsenter did not end/,
      ),
      mend: expect.stringContaining('run the command again'),
    });
  });

  it('is named with the words of what refused', async () => {
    const faults = faultsOver(async ([program]) => ({
      exitCode: program === 'ip' ? 1 : 0,
      stdout: '',
      stderr: 'Cannot find device',
    }));
    await expect(faults.heal('branch1', 'internet')).rejects.toMatchObject({
      code: 'system/command-failed',
      message: 'taking port port4 up in provider-a: ip link set dev port4 up: Cannot find device',
    });
  });
});

describe('what is cut', () => {
  it('is asked of providers that run alone', async () => {
    const asked: string[] = [];
    const two = { ...second, b: { ...second.b, node: 'provider-b' } };
    const faults = createFaults({
      wiring: { ...wiring, cables: [cable, two] },
      machines: { setCarrier: async () => {} },
      nodes: {
        exec: async (node, [program]) => {
          asked.push(node);
          if (node !== 'provider-b') throw new BranchboxError('lab/not-running', { message: node });
          const rule = { rule: { table: 'lab_fault_port5', comment: 'in 100' } };
          const nft = { nftables: [{ metainfo: {} }, rule] };
          const links = [{ ifname: 'port5', flags: ['UP'] }];
          return { exitCode: 0, stdout: JSON.stringify(program === 'nft' ? nft : links), stderr: '' };
        },
      },
    });
    expect(await faults.list(['provider-b'])).toEqual([
      { node: 'branch1', uplink: 'lte', losses: ['in 100'], carrier: true },
    ]);
    expect(new Set(asked)).toEqual(new Set(['provider-b']));
  });
});

describe('a name that the lab does not have', () => {
  const faults = faultsOver(async () => {
    throw new Error('nothing is run');
  });
  it.each([
    ['nope', 'internet', 'there is no node nope in this lab', 'name one of provider-a, branch1, branch1-red'],
    ['branch1', 'nope', 'branch1 has no uplink nope', 'name one of internet, lte'],
    ['branch1-red', 'lte', 'branch1-red has no uplinks', 'name one of branch1'],
  ])('%s %s is refused with those that there are', async (node, uplink, message, mend) => {
    const said = { code: 'cli/usage', message, mend };
    await expect(faults.cut(node, uplink, dark)).rejects.toMatchObject(said);
    await expect(faults.heal(node, uplink)).rejects.toMatchObject(said);
  });
});

describe('what is dropped', () => {
  it('is both ways, ARP included, for the node and through the bridge', () => {
    const text = renderFault('port4', { lossPercent: 100, carrier: false });
    expect(text.match(/drop/g)).toHaveLength(4);
    expect(text).not.toContain('numgen');
    expect(text.startsWith('table bridge lab_fault_port4 {}\ndelete table bridge lab_fault_port4\n')).toBe(
      true,
    );
  });
  it('can be one way, and a share', () => {
    const text = renderFault('port4', { lossPercent: 2.5, direction: 'in', carrier: false });
    expect(text.match(/oifname "port4" numgen random mod 10000 < 250 drop/g)).toHaveLength(2);
    expect(text).not.toContain('iifname');
  });
  it('is gone after healing: no table is left', () => {
    expect(renderFault('port4', undefined)).not.toContain('chain');
  });
});
