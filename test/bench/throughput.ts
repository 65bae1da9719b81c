/**
 * Owns the throughput bench: one TCP flow of a tenant (VXLAN in WireGuard over the hub) beside the same way without
 * VXLAN (VTEP to VTEP through the tunnels), and beside raw veth between two hosts of one provider.
 */
import { spawn } from 'node:child_process';
import { inNode, LAB, root, tryIn, until } from '../lab/mainjob/lab.ts';
import { rowOf, type Row } from './result.ts';

const SECONDS = 5;
const PORT = 5201;

async function measure(from: string, to: string, address: string, bind?: string): Promise<number> {
  const server = spawn(
    './branchbox',
    ['lab', 'exec', '--lab', LAB, to, '--', 'iperf3', '-s', '-1', '-p', String(PORT)],
    { cwd: root, stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => server.on('close', resolve));
  try {
    await until(
      'the iperf3 server listens',
      async () => (await inNode(to, 'ss', '-Hltn', `sport = :${PORT}`)).includes(String(PORT)),
      10_000,
    );
    const bound = bind === undefined ? [] : ['-B', bind];
    const text = await inNode(
      from,
      'iperf3',
      '-c',
      address,
      '-p',
      String(PORT),
      '-t',
      String(SECONDS),
      '-J',
      '--connect-timeout',
      '5000',
      ...bound,
    );
    const report = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
    return report.end.sum_received.bits_per_second / 1e6;
  } finally {
    await tryIn(to, ['pkill', '-x', 'iperf3']);
    await ended;
  }
}

const CHAINS = ['tunnel_input', 'tunnel_forward'] as const;
const GATEWAYS = ['hub', 'branch1', 'branch2'] as const;

/**
 * Gateways take nothing but overlay, BFD, BGP and ICMP from a tunnel: the bare tunnel is opened for its measurement,
 * with the agents away, since they would close it at once.
 */
async function openTunnels(): Promise<void> {
  for (const node of GATEWAYS) {
    await inNode(node, 'systemctl', 'stop', 'branchbox-agent.service');
    for (const chain of CHAINS) {
      await inNode(
        node,
        'nft',
        'insert',
        'rule',
        'inet',
        'branchbox',
        chain,
        'meta',
        'l4proto',
        'tcp',
        'accept',
      );
    }
  }
}

/** The agents put back what they find changed. */
async function closeTunnels(): Promise<void> {
  for (const node of GATEWAYS) await tryIn(node, ['systemctl', 'start', 'branchbox-agent.service']);
}

export async function measureThroughput(times: number): Promise<readonly Row[]> {
  const tenant: number[] = [];
  const tunnel: number[] = [];
  const raw: number[] = [];
  for (let i = 0; i < times; i += 1) {
    tenant.push(await measure('branch1-red', 'branch2-red', '10.10.0.12'));
    await openTunnels();
    try {
      tunnel.push(await measure('branch1', 'branch2', '10.255.0.12', '10.255.0.11'));
    } finally {
      await closeTunnels();
    }
    raw.push(await measure('internet-host', 'controller', '198.51.100.10'));
    console.log(
      `${i + 1}/${times}: tenant ${tenant.at(-1)?.toFixed(0)}, tunnel ${tunnel.at(-1)?.toFixed(0)}, raw ${raw.at(-1)?.toFixed(0)} Mbit/s`,
    );
  }
  const ratios = (over: readonly number[]) => tenant.map((value, i) => value / (over[i] ?? Number.NaN));
  return [
    rowOf('branchbox', 'tenant-tcp', 'throughput', 'Mbit/s', tenant),
    rowOf('bare-tunnel', 'vtep-to-vtep-tcp', 'throughput', 'Mbit/s', tunnel),
    rowOf('raw-veth', 'host-to-host-tcp', 'throughput', 'Mbit/s', raw),
    rowOf('branchbox', 'tenant-tcp', 'ratio-to-bare-tunnel', '1', ratios(tunnel)),
    rowOf('branchbox', 'tenant-tcp', 'ratio-to-raw-veth', '1', ratios(raw)),
  ];
}
