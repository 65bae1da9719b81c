/**
 * A modem from its PIN to its lease over a real message bus: Debian's dbus-daemon between the agent's client and a
 * ModemManager of the test's own, of both of which it takes no message that is malformed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { toolsCommand } from '../../src/lab/vm/tools.ts';
import { Secret } from '../../src/model/secret.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { type ModemBox, startModemBox } from '../fakes/modemBox.ts';
import { joinModemManager } from '../fakes/modemManager.ts';
import { createProcesses } from './processes.ts';

const processes = createProcesses();
let directory: string;
let box: ModemBox;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-modem-'));
  const tree = await ensureTree(TOOLS_TREE, { runner: createRunner(), say: () => {} });
  const config = join(directory, 'bus.conf');
  await writeFile(
    config,
    `<busconfig><type>session</type><listen>unix:path=${join(directory, 'bus')}</listen><policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>\n`,
  );
  const daemon = ['dbus-daemon', `--config-file=${config}`, '--nofork', '--print-address'];
  const [program = '', ...args] = toolsCommand(tree, [directory], daemon);
  await processes.start(program, args).said(/^unix:path=/);
  box = await startModemBox(directory);
});
afterAll(async () => {
  await box.stop();
  await processes.end('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

it('a modem is dialled, lost with ModemManager, and known again by the next one', async () => {
  box.modems.hold([{ port: 'lte1', ifname: 'wwan0', apn: 'internet', pin: new Secret('4711') }]);
  await box.become('no-manager');
  const first = await joinModemManager(join(directory, 'bus'), { state: 'locked', pin: '4711' });
  await box.become('connected');
  expect(first.calls).toEqual([
    'SendPin 4711',
    'Enable true',
    'Connect {"ip-type":1,"multiplex":1,"apn":"internet"}',
  ]);
  expect(await box.leases()).toMatchObject([{ ifname: 'wwan0', address: '10.64.0.2/32', mtu: 1430 }]);

  // The bus lives on: it tells that the name has nobody any more.
  const startedBefore = box.started.length;
  await first.close();
  await box.become('no-manager');
  expect(await box.leases()).toHaveLength(1);
  const second = await joinModemManager(join(directory, 'bus'), { state: 'searching', registration: 3 });
  await box.become('registration-denied');
  expect(await box.leases()).toEqual([]);
  expect(box.started.length).toBeGreaterThan(startedBefore);
  // The pause after the first dial is over.
  const untilMs = box.nowMs() + 30_000;
  while (box.nowMs() < untilMs) await new Promise(setImmediate);
  // The bus hands on what ModemManager signals: nothing else wakes the box now.
  await box.holdPauses();
  second.set({ state: 'registered', registration: 1 });
  await box.become('connected');
  await second.close();
});
