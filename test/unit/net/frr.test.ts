/** Owns the FRR driver against a vtysh that answers as FRR 10.3 did. */
import { describe, expect, it } from 'vitest';
import { NOT_STORED_ORDER, frrLine } from '../../../src/net/frrConfig.ts';
import { FRR_CONFIG_FILE, createFrrDriver } from '../../../src/net/frr.ts';
import type { CommandResult, Files, Runner } from '../../../src/system/ports.ts';

const CONTEXT = ['router bgp 64512'];
const signal = AbortSignal.timeout(10_000);

function fakeFrr(options: { daemons?: string; running?: string; apply?: Partial<CommandResult> }) {
  const files = new Map<string, string>();
  const calls: string[][] = [];
  const unknown = (what: string): never => {
    throw new Error(`the fake FRR knows no ${what}`);
  };
  const run: Runner['run'] = async (command, args) => {
    if (command !== 'vtysh') unknown(command);
    calls.push([...args]);
    const daemons = options.daemons ?? 'mgmtd zebra bgpd staticd bfdd';
    if (args[0] === '-f') return { exitCode: 0, stdout: '', stderr: '', ...options.apply };
    return {
      exitCode: 0,
      stdout: ` ${daemons}\nCurrent configuration:\n!\n${options.running ?? ''}end\n`,
      stderr: '',
    };
  };
  const fake: Files = {
    readText: async (path) => files.get(path),
    readBytes: () => unknown('readBytes'),
    writeDurable: async (path, content) => void files.set(path, String(content)),
    writeKernel: () => unknown('writeKernel'),
    remove: () => unknown('remove'),
    list: () => unknown('list'),
    watch: () => unknown('watch'),
  };
  const runner: Runner = { run, runChecked: () => unknown('runChecked'), follow: () => unknown('follow') };
  return { driver: createFrrDriver({ runner, files: fake }), files, calls };
}

const stored = (frr: ReturnType<typeof fakeFrr>): string[] =>
  (frr.files.get(FRR_CONFIG_FILE) ?? '').split('\n').filter((line) => line !== '' && !line.startsWith('!'));

describe('FRR driver', () => {
  it('does not take a dead daemon for an empty configuration', async () => {
    const { driver } = fakeFrr({ daemons: 'mgmtd zebra staticd bfdd' });
    await expect(driver.observe(signal)).rejects.toMatchObject({ code: 'frr/unreachable', message: /bgpd/ });
  });

  it('says of a line that runs but is not stored that it differs, so that it is stated again', async () => {
    const frr = fakeFrr({ running: 'router bgp 64512\n bgp router-id 10.255.0.1\nexit\n' });
    const orders = async () => (await frr.driver.observe(signal)).map((item) => item.spec.order);
    expect(await orders()).toEqual([NOT_STORED_ORDER, NOT_STORED_ORDER]);
    await frr.driver.create(
      [frrLine([], 'router bgp 64512'), frrLine(CONTEXT, 'bgp router-id 10.255.0.1')],
      signal,
    );
    expect(await orders()).toEqual([
      frrLine([], 'router bgp 64512').spec.order,
      frrLine(CONTEXT, 'bgp router-id 10.255.0.1').spec.order,
    ]);
  });

  it('states many lines by one vtysh, and stores them', async () => {
    const frr = fakeFrr({});
    const items = [
      frrLine([], 'router bgp 64512'),
      frrLine(CONTEXT, 'coalesce-time 0'),
      frrLine(['bfd'], 'profile a'),
    ];
    expect((await frr.driver.create(items, signal)).every((outcome) => outcome.ok)).toBe(true);
    expect(frr.calls).toHaveLength(1);
    expect(stored(frr)).toEqual([
      'bfd',
      ' profile a',
      ' exit',
      'exit',
      'router bgp 64512',
      ' coalesce-time 0',
      'exit',
    ]);
  });

  it('fails the refused line alone, and does not store it', async () => {
    const frr = fakeFrr({
      apply: { exitCode: 13, stderr: 'line 2: Failure to communicate[13] to bgpd, line:  bgp nonsense 1\n' },
    });
    const outcomes = await frr.driver.create(
      [
        frrLine([], 'router bgp 64512'),
        frrLine(CONTEXT, 'bgp nonsense 1'),
        frrLine(CONTEXT, 'coalesce-time 0'),
      ],
      signal,
    );
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, false, true]);
    expect(stored(frr)).toEqual(['router bgp 64512', ' coalesce-time 0', 'exit']);
  });

  it('fails all where vtysh fails and names no line', async () => {
    const frr = fakeFrr({ apply: { exitCode: 1, stderr: 'Exiting: failed to connect to any daemons.' } });
    const outcomes = await frr.driver.create([frrLine([], 'router bgp 64512')], signal);
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([false]);
    expect(stored(frr)).toEqual([]);
  });

  it('forgets what stood in a removed context', async () => {
    const frr = fakeFrr({});
    const items = [frrLine([], 'router bgp 64512'), frrLine(CONTEXT, 'coalesce-time 0')];
    await frr.driver.create(items, signal);
    await frr.driver.delete(items.slice(0, 1), signal);
    expect(stored(frr)).toEqual([]);
  });
});
