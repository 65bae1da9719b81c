/**
 * Owns a box of the firmware's units under a real systemd, with a factory identity, a provider at wan1 and an installer's
 * device at lan1; and trying what a unit's sandbox lets through. Does not own what is expected of it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRunner } from '../../src/system/linux/runner.ts';
import type { CommandResult } from '../../src/system/ports.ts';
import { type SystemdNode, startSystemdNode } from './systemdNode.ts';

export const UNITS = join(import.meta.dirname, '../../firmware/units');
/** What only a box with a disk of its own has. */
export const OF_THE_IMAGE = join(import.meta.dirname, '../../firmware/root/usr/lib/systemd/system');
const BRANCHBOX = join(import.meta.dirname, '../../branchbox');
/** For whatever a unit does in its own time. */
export const WAIT = { timeout: 90_000, interval: 250 };

export interface UnitsNode {
  readonly node: SystemdNode;
  /** The agent's answer on its socket. */
  agent(path: string): Promise<unknown>;
  /** A command of the node's programs, at the far end of its cables. */
  far(...words: readonly string[]): Promise<CommandResult>;
  /** Whether a unit's sandbox lets a script through: a copy of the unit runs it. */
  doesIn(unit: string, script: string, directory?: string): Promise<'done' | 'refused'>;
  remove(): Promise<void>;
}

/** `name`: of its namespace. */
export async function startUnitsNode(name: string): Promise<UnitsNode> {
  const runner = createRunner();
  const scratch = mkdtempSync(join(tmpdir(), 'bbt-factory-'));
  const state = join(scratch, 'manufacturer');
  const factory = join(scratch, 'factory');
  await runner.runChecked(
    BRANCHBOX,
    ['manufacturer', 'init', '--state', state, '--name', 'manufacturer.test', '--address', '198.51.100.1'],
    { timeoutMs: 60_000 },
  );
  await runner.runChecked(
    BRANCHBOX,
    ['manufacturer', 'identity', '--state', state, '--serial', 'SN-1', '--model', 'lab', '--out', factory],
    { timeoutMs: 60_000 },
  );
  const node = await startSystemdNode({
    name,
    directories: { '/etc/branchbox/factory': factory, '/image-units': OF_THE_IMAGE },
  });
  // A provider: the far end of wan1, in a namespace of its own.
  const isp = `${node.netns}-isp`;
  const ip = (...words: string[]) => runner.runChecked('ip', words);
  await ip('netns', 'add', isp);
  const far = `link add name wan1 netns ${node.netns} type veth peer name isp0 netns ${isp}`;
  await ip(...far.split(' '));
  await ip('-n', isp, 'address', 'add', '198.51.100.1/24', 'dev', 'isp0');
  await ip('-n', isp, 'link', 'set', 'dev', 'isp0', 'up');
  // And an installer's device on lan1, in the same far namespace.
  const lan = `link add name lan1 netns ${node.netns} type veth peer name lan0 netns ${isp}`;
  await ip(...lan.split(' '));
  await ip('-n', isp, 'address', 'add', '172.31.254.2/28', 'dev', 'lan0');
  await ip('-n', isp, 'link', 'set', 'dev', 'lan0', 'up');
  await runner.runChecked('nsenter', [
    `--net=/run/netns/${isp}`,
    'chroot',
    node.root,
    'dnsmasq',
    '--conf-file=/dev/null',
    '--port=0',
    '--interface=isp0',
    '--bind-interfaces',
    '--dhcp-range=198.51.100.100,198.51.100.199',
    '--dhcp-leasefile=/tmp/isp.leases',
    '--pid-file=/tmp/isp.pid',
  ]);
  return {
    node,
    agent: async (path) =>
      JSON.parse(
        await node.checked(
          'curl',
          '-sf',
          '--unix-socket',
          '/run/branchbox/agent.sock',
          `http://agent${path}`,
        ),
      ),
    far: (...words) => runner.run('nsenter', [`--net=/run/netns/${isp}`, 'chroot', node.root, ...words]),
    async doesIn(unit, script, directory = '/usr/lib/systemd/system') {
      await node.checked(
        'sh',
        '-c',
        `sed -e 's/^Type=.*/Type=oneshot/' -e 's/^Restart.*//' -e 's/^WatchdogSec.*//' -e 's/^RuntimeDir.*//' \
           -e 's/^Condition.*//' -e 's/^RemainAfterExit.*//' -e 's/^StandardOutput.*//' \
           -e "s|^ExecStart=.*|ExecStart=/bin/sh /probe|" ${directory}/${unit} \
           >/run/systemd/system/probe.service; cat >/probe <<'END'\n${script}\nEND\nsystemctl daemon-reload`,
      );
      const result = await node.run('systemctl', 'start', 'probe.service');
      return result.exitCode === 0 ? 'done' : 'refused';
    },
    async remove() {
      await runner.run('nsenter', [
        `--net=/run/netns/${isp}`,
        'sh',
        '-c',
        `kill $(cat ${node.root}/tmp/isp.pid)`,
      ]);
      await node.stop();
      await runner.run('ip', ['netns', 'delete', isp]);
      rmSync(scratch, { recursive: true });
    },
  };
}
