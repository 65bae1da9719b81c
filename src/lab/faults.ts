/**
 * Owns faults on uplinks: dark, lossy, one way, no carrier; made at the provider's end, where the box sees nothing
 * but missing packets. What is cut is read from the kernel, never remembered. Does not own when.
 */
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError, type ErrorCode } from '../model/errors.ts';
import { noSuchNode } from './enter.ts';
import type { Nodes } from './nodes.ts';
import { SPARE_NODE } from './paths.ts';
import type { Machines } from './vm/machineNodes.ts';
import { type UplinkEnds, uplinkEndsOf, uplinksOf, type Wiring } from './wiring.ts';

export interface Cut {
  /** Share of packets lost each way, 0–100; 100 is dark. */
  readonly lossPercent: number;
  /** `in` is towards the node. Both where undefined. */
  readonly direction?: 'in' | 'out' | undefined;
  readonly carrier: boolean;
}

export interface FaultState {
  readonly node: string;
  readonly uplink: string;
  /** `in 100`: way and percent. */
  readonly losses: readonly string[];
  readonly carrier: boolean;
}

export interface Faults {
  /** Replaces what was cut of this uplink before. */
  cut(node: string, uplink: string, cut: Cut): Promise<void>;
  heal(node: string, uplink: string): Promise<void>;
  /** Uplinks that are not whole, as far as those providers know: one that does not run has nothing to ask. */
  list(running: readonly string[]): Promise<readonly FaultState[]>;
}

const TABLE_PREFIX = 'lab_fault_';
/** Each step is milliseconds; this is for a machine that is busy with several labs at once. */
const STEP_TIMEOUT_MS = 60_000;
/** numgen counts in these: a hundredth of a percent. */
const STEPS = 10_000;

export interface FaultsDeps {
  readonly nodes: Pick<Nodes, 'exec'>;
  readonly machines: Pick<Machines, 'setCarrier'>;
  readonly wiring: Wiring;
}

export function createFaults({ nodes, machines, wiring }: FaultsDeps): Faults {
  const portOf = (node: string, uplink: string): UplinkEnds => {
    const found = uplinkEndsOf(wiring, node, uplink);
    if (found !== undefined) return found;
    const nodeNames = wiring.nodes.filter((name) => name !== SPARE_NODE);
    if (!nodeNames.includes(node)) throw noSuchNode(node, nodeNames);
    const uplinks = uplinksOf(wiring);
    const own = uplinks.get(node);
    throw new BranchboxError('cli/usage', {
      message: own === undefined ? `${node} has no uplinks` : `${node} has no uplink ${uplink}`,
      mend: `name one of ${(own ?? [...uplinks.keys()]).toSorted().join(', ')}`,
    });
  };
  /** `step` says what the command is for, with the port it is about. */
  const checked = async (
    provider: string,
    step: string,
    command: readonly string[],
    stdin?: string,
  ): Promise<string> => {
    const failed = (code: ErrorCode, why: string, cause?: unknown): BranchboxError =>
      new BranchboxError(code, {
        message: `${step} in ${provider}: ${why}`,
        mend: 'run the command again, as often as need be: it begins anew; branchbox lab status shows what is cut',
        cause,
      });
    const options = { timeoutMs: STEP_TIMEOUT_MS, ...(stdin === undefined ? {} : { stdin }) };
    const result = await nodes.exec(provider, command, options).catch((cause: unknown) => {
      if (!(cause instanceof BranchboxError) || cause.code !== 'system/command-timeout') throw cause;
      throw failed(cause.code, `${cause.message}; the machine may be busy`, cause);
    });
    if (result.exitCode === 0) return result.stdout;
    throw failed('system/command-failed', `${command.join(' ')}: ${result.stderr.trim().slice(-400)}`);
  };
  const setRules = (provider: string, port: string, cut: Cut | undefined): Promise<string> =>
    checked(provider, `setting what is dropped at port ${port}`, ['nft', '-f', '-'], renderFault(port, cut));
  const setCarrier = async (node: string, ends: UplinkEnds, state: 'up' | 'down'): Promise<void> => {
    const { provider, port } = ends;
    await checked(provider, `taking port ${port} ${state}`, ['ip', 'link', 'set', 'dev', port, state]);
    // Between the cable and a machine's NIC is a tap, which has its carrier from QEMU.
    if (wiring.silent.includes(node)) await machines.setCarrier(node, ends.nodePort, state === 'up');
  };

  return {
    async cut(node, uplink, cut) {
      const ends = portOf(node, uplink);
      await setRules(ends.provider, ends.port, cut);
      await setCarrier(node, ends, cut.carrier ? 'down' : 'up');
    },
    async heal(node, uplink) {
      const ends = portOf(node, uplink);
      await setRules(ends.provider, ends.port, undefined);
      await setCarrier(node, ends, 'up');
    },
    async list(running) {
      const found: FaultState[] = [];
      for (const provider of new Set(
        wiring.cables.filter(({ kind }) => kind === 'uplink').map(({ b }) => b.node),
      )) {
        if (!running.includes(provider)) continue;
        const ruleset = decodeJson(
          Ruleset,
          await checked(provider, 'reading what is dropped', ['nft', '-j', 'list', 'ruleset', 'bridge']),
          'nft',
        );
        const shown = await checked(provider, 'reading carriers', ['ip', '-j', 'link', 'show']);
        const links = decodeJson(Links, shown, 'ip link');
        for (const cable of wiring.cables.filter(({ kind, b }) => kind === 'uplink' && b.node === provider)) {
          const losses = lossesOf(ruleset, cable.b.ifname);
          const carrier =
            links.find(({ ifname }) => ifname === cable.b.ifname)?.flags.includes('UP') === true;
          if (losses.length === 0 && carrier) continue;
          found.push({ node: cable.a.node, uplink: cable.uplink ?? '', losses, carrier });
        }
      }
      return found;
    },
  };
}

/**
 * One nft transaction that replaces a port's table. A packet towards the node leaves the bridge by its port, from
 * the router itself (output) or from another port (forward); one from the node comes in by it. ARP too: the
 * bridge family sees frames.
 */
export function renderFault(port: string, cut: Cut | undefined): string {
  const table = `bridge ${TABLE_PREFIX}${port}`;
  const lines = [`table ${table} {}`, `delete table ${table}`];
  if (cut === undefined || cut.lossPercent === 0) return `${lines.join('\n')}\n`;
  const steps = Math.round((cut.lossPercent * STEPS) / 100);
  const chance = steps >= STEPS ? '' : `numgen random mod ${STEPS} < ${steps} `;
  const rule = (match: string, way: string): string =>
    cut.direction === undefined || cut.direction === way
      ? `    ${match} "${port}" ${chance}drop comment "${way} ${cut.lossPercent}"`
      : '';
  const hooks = [
    { hook: 'input', rules: [rule('iifname', 'out')] },
    { hook: 'output', rules: [rule('oifname', 'in')] },
    { hook: 'forward', rules: [rule('iifname', 'out'), rule('oifname', 'in')] },
  ];
  lines.push(`table ${table} {`);
  for (const { hook, rules } of hooks) {
    lines.push(
      `  chain ${hook} {`,
      `    type filter hook ${hook} priority 0`,
      ...rules.filter(Boolean),
      '  }',
    );
  }
  return `${lines.join('\n')}\n}\n`;
}

/** What is lost of one port, as its rules' comments say: `in 100`. */
function lossesOf(ruleset: z.output<typeof Ruleset>, port: string): string[] {
  const comments = ruleset.nftables.flatMap(({ rule }) =>
    rule?.table === `${TABLE_PREFIX}${port}` && rule.comment !== undefined ? [rule.comment] : [],
  );
  return [...new Set(comments)].sort();
}

const Ruleset = z.object({
  nftables: z.array(
    z.object({ rule: z.object({ table: z.string(), comment: z.string().optional() }).optional() }),
  ),
});
const Links = z.array(z.object({ ifname: z.string(), flags: z.array(z.string()) }));
