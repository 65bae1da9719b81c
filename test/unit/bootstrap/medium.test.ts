/**
 * A bootstrap medium: what is taken from it, and that the box goes on from it alone. How one is refused: faults/medium.test.ts.
 */
import { describe, expect, it, vi } from 'vitest';
import { Journal } from '../../../src/model/bootstrap.ts';
import { BootstrapNetwork, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { DAY_MS, GATEWAY, NOW_MS } from './authorities.ts';
import { createFaultBench, failed } from './faultBench.ts';
import { goodStick, plugIn, pullOut, STATIC_NETWORK, stickVoucher } from './stick.ts';

const bench = createFaultBench();
const read = (name: string) => bench.box.files.readText(`${bench.box.paths.state}/${name}`);
const entries = async () => Journal.parse(JSON.parse((await read('journal.json')) ?? '')).entries;
const states = async () => (await entries()).map(({ state }) => state);
const run = (until: Parameters<typeof bench.box.run>[0]['until'], dieAt?: number) =>
  bench.box.run({ controller: bench.controller, until, ...(dieAt === undefined ? {} : { dieAt }) });

describe('a box with a medium', () => {
  it('is owned with no WAN at all, waits for one, and goes on by itself', async () => {
    const { box } = bench;
    const wan = box.uplinks;
    box.uplinks = [];
    await plugIn(bench, goodStick(bench));
    await run('OWNED');
    expect(await states()).toEqual(['FACTORY', 'OWNED']);
    expect(BootstrapNetwork.parse(JSON.parse((await read('network.json')) ?? ''))).toEqual(STATIC_NETWORK);
    await pullOut(bench);
    // Nobody can be asked; that is waited for and is no failure.
    let looks = 0;
    Object.defineProperty(box, 'uplinks', {
      get: () => {
        looks += 1;
        return looks < 50 ? [] : wan;
      },
    });
    await run('OPERATIONAL');
    expect(box.log.filter(failed)).toEqual([]);
    expect(await states()).not.toContain('PROVISIONAL');
    expect(bench.controller.asked.join()).not.toContain('bootstrapping-data');
    expect(await read('medium.json')).toBeUndefined();
    expect(await read('network.json')).toBeDefined();
  });

  it('that is pulled out while it is read hears nothing of files that it lacks', async () => {
    const { box } = bench;
    await plugIn(bench, goodStick(bench));
    const readBytes = box.files.readBytes.bind(box.files);
    let isPulled = false;
    vi.spyOn(box.files, 'readBytes').mockImplementation(async (path, maxBytes) => {
      const bytes = await readBytes(path, maxBytes);
      if (!isPulled && path.endsWith(`/sdb1/${MEDIUM_FILES.conveyed}`)) {
        isPulled = true;
        await pullOut(bench);
      }
      return bytes;
    });
    await run('OPERATIONAL');
    expect(isPulled).toBe(true);
    expect(box.log.filter(({ message }) => message.startsWith('bootstrap medium'))).toEqual([]);
  });

  it('tells what that says of the line until the box comes out by it', async () => {
    const { box } = bench;
    const wan = box.uplinks;
    box.uplinks = [];
    box.wanPorts = ['wan1', 'wan2'];
    await plugIn(bench, goodStick(bench, { ...STATIC_NETWORK, port: 'wan9' }));
    await run('OWNED');
    expect(box.told?.notices).toEqual([
      expect.stringContaining('port wan9, and this box has no such WAN port'),
    ]);
    await pullOut(bench);
    box.uplinks = wan;
    await run('OPERATIONAL');
    expect(box.told?.notices).toBeUndefined();
  });

  it('that is plugged in while the box waits for an address is taken then', async () => {
    const { box } = bench;
    box.uplinks = [];
    let asked = 0;
    Object.defineProperty(box, 'uplinks', {
      get: () => {
        asked += 1;
        if (asked === 3) void plugIn(bench, goodStick(bench));
        return [];
      },
    });
    await run('OWNED');
    expect(await states()).toEqual(['FACTORY', 'LINK', 'ADDR', 'OWNED']);
  });

  it('is through when it was killed at any write', async () => {
    for (let dieAt = 0; ; dieAt += 1) {
      await plugIn(bench, goodStick(bench));
      const before = bench.box.log.length;
      const survived = await run('OWNED', dieAt);
      if (survived) break;
      await run('LDEVID');
      expect((await entries()).find(({ state }) => state === 'OWNED')?.note['gatewayId']).toBe(GATEWAY);
      expect(bench.box.log.length).toBeGreaterThan(before);
      for (const name of await bench.box.files.list(bench.box.paths.state)) {
        await bench.box.files.remove(`${bench.box.paths.state}/${name}`);
      }
    }
  });

  it('is forgotten in service also where the power went right behind the record of the owner', async () => {
    await plugIn(bench, goodStick(bench));
    await run('STRICT');
    expect(await read('medium.json')).toBeDefined();
    const { box } = bench;
    await box.files.writeDurable(`${box.paths.state}/owner.json`, (await read('pending-owner.json')) ?? '');
    await run('OPERATIONAL');
    expect(await read('medium.json')).toBeUndefined();
  });

  it('asks online once the medium led nowhere, and comes back to it where nobody answers', async () => {
    const { box, controller } = bench;
    await plugIn(bench, goodStick(bench));
    controller.behaviour.cacerts = () => ({ status: 500 });
    await run((line) => line.message === 'bootstrap state entered' && line.fields['state'] === 'PROVISIONAL');
    controller.behaviour.sztp = () => ({ status: 503 });
    await run('OWNED');
    const after = (await states()).slice(0, 5);
    expect(after).toEqual(['FACTORY', 'OWNED', 'DISCOVER', 'PROVISIONAL', 'OWNED']);
    expect(box.log.some(failed)).toBe(true);
    bench.mend();
    await run('OPERATIONAL');
  });

  it('may have a clock of 2045, or of 1970', async () => {
    const { box } = bench;
    for (const atMs of [Date.UTC(2045, 0, 1), 0]) {
      box.clock.setMs(atMs);
      await plugIn(bench, goodStick(bench));
      await run('OWNED');
      expect((await entries()).at(-1)?.note['medium']).toMatch(/^[0-9a-f]{16}$/);
      for (const name of await box.files.list(box.paths.state))
        await box.files.remove(`${box.paths.state}/${name}`);
    }
  });

  it('knows at a later start that it is no earlier than its voucher was made, once the owner’s server stood by that', async () => {
    bench.box.clock.setMs(0);
    await plugIn(bench, goodStick(bench));
    await run('OWNED');
    const made = `${NOW_MS - DAY_MS}\n`;
    expect(await read('clock-floor')).not.toBe(made);
    await run('ENROLLING');
    expect(await read('clock-floor')).toBe(made);
  });

  it('does not look at one once it was owned, whatever became of the record', async () => {
    const { box } = bench;
    await run('OPERATIONAL');
    await box.files.remove(`${box.paths.state}/owner.json`);
    await plugIn(bench, goodStick(bench));
    bench.controller.asked.length = 0;
    await run('LDEVID');
    expect(bench.controller.asked.join()).toContain('bootstrapping-data');
    expect(await read('network.json')).toBeUndefined();
    expect((await entries()).filter(({ note }) => note['medium'] !== undefined)).toEqual([]);
  });
});

const taken = () => bench.box.log.filter(({ message }) => message === 'bootstrap medium taken').length;
const network = async () => BootstrapNetwork.parse(JSON.parse((await read('network.json')) ?? ''));
const MENDED = { ...STATIC_NETWORK, vlan: 7 };

describe('a medium that told a wrong line', () => {
  it('is mended by another one, where it gave no address', async () => {
    const { box } = bench;
    const wan = box.uplinks;
    box.uplinks = [];
    await plugIn(bench, goodStick(bench));
    await run('OWNED');
    await pullOut(bench);
    let looks = 0;
    Object.defineProperty(box, 'uplinks', {
      get: () => {
        looks += 1;
        if (looks === 5) void plugIn(bench, goodStick(bench, MENDED));
        // Whoever leaves it in changes nothing more.
        return looks < 50 ? [] : wan;
      },
    });
    await run('OPERATIONAL');
    expect([taken(), await network()]).toEqual([2, MENDED]);
    expect(box.log.filter(failed)).toEqual([]);
  });

  it('is mended by another one before twelve tries, where it led nowhere', async () => {
    const { box, controller } = bench;
    await plugIn(bench, goodStick(bench));
    controller.behaviour.cacerts = () => ({ status: 500 });
    await run(failed);
    await plugIn(bench, goodStick(bench, MENDED));
    await run(() => taken() === 2);
    expect(await network()).toEqual(MENDED);
    expect(await states()).not.toContain('DISCOVER');
    bench.mend();
    await run('OPERATIONAL');
    expect(box.log.filter(failed).length).toBeLessThan(12);
  });

  it('is not another one that was in beside it all the time', async () => {
    const { box } = bench;
    const wan = box.uplinks;
    await plugIn(bench, goodStick(bench), 'sda1');
    await plugIn(bench, goodStick(bench, MENDED), 'sdb1');
    let looks = 0;
    Object.defineProperty(box, 'uplinks', { get: () => ((looks += 1) < 30 ? [] : wan) });
    await run('OPERATIONAL');
    expect([taken(), await network()]).toEqual([1, STATIC_NETWORK]);
  });

  it('is none where a server named the owner: a stick moves such a box no more', async () => {
    const { box, controller } = bench;
    controller.behaviour.cacerts = () => ({ status: 500 });
    await run('OWNED');
    await plugIn(bench, goodStick(bench, MENDED));
    await run((line) => failed(line) && box.log.filter(failed).length > 2);
    expect(taken()).toBe(0);
  });
});

describe('of two media', () => {
  it('the good one is taken, whatever the other is', async () => {
    await plugIn(
      bench,
      { ...goodStick(bench), voucher: stickVoucher(bench, { serialNumber: 'BBX-0002' }) },
      'sda1',
    );
    await plugIn(bench, goodStick(bench), 'sdb1');
    await run('OWNED');
    expect(await states()).toEqual(['FACTORY', 'OWNED']);
  });
});
