/**
 * Owns FRR's running configuration and its stored copy: reads both by one vtysh, changes them by one `vtysh -f`
 * a batch (`-c` commits line by line, FRR#23360). Everything in FRR but its own defaults is ours.
 * Does not own the text (frrConfig.ts) nor the daemons: units start them, and load the stored copy into a daemon
 * that was restarted, so that a crash there needs no agent.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { Outcome } from '../reconcile/item.ts';
import type { System } from '../system/ports.ts';
import {
  type FrrText,
  NOT_STORED_ORDER,
  isContextLine,
  parseFrrConfig,
  parseFrrRejections,
  renderFrrConfig,
  renderFrrRemoval,
} from './frrConfig.ts';
import type { FrrLineItem } from './items.ts';

export const FRR_CONFIG_FILE = '/etc/frr/frr.conf';
const CHANGE_FILE = '/run/branchbox/frr-change.conf';
/** All must answer before an observation counts: vtysh leaves out, without a word, what a dead daemon held. */
const DAEMONS = ['mgmtd', 'zebra', 'staticd', 'bfdd', 'bgpd'] as const;
/** The configuration of a hub with 4,096 clients is about 1 MB. */
const CONFIG_MAX_BYTES = 16 * 1024 * 1024;
/** 300 VNI blocks took 0.8 s on a laptop core; a small box under load is ten times slower. */
const VTYSH_TIMEOUT_MS = 30_000;
const FILE_HEADER = '! Written by branchbox: what FRR runs, for daemons that restart. Edits are lost.\n';

/** Ports the driver takes. */
type FrrSystem = Pick<System, 'runner' | 'files'>;

export function createFrrDriver({ runner, files }: FrrSystem): Driver<FrrLineItem> {
  async function readStored(): Promise<FrrLineItem[]> {
    return parseFrrConfig((await files.readText(FRR_CONFIG_FILE, CONFIG_MAX_BYTES)) ?? '');
  }

  async function observe(signal: AbortSignal): Promise<readonly FrrLineItem[]> {
    const result = await runner.run('vtysh', ['-c', 'show daemons', '-c', 'show running-config'], {
      signal,
      timeoutMs: VTYSH_TIMEOUT_MS,
      maxOutputBytes: CONFIG_MAX_BYTES,
    });
    const answering = new Set((result.stdout.split('\n', 1)[0] ?? '').trim().split(/\s+/));
    const silent = DAEMONS.filter((daemon) => !answering.has(daemon));
    if (silent.length > 0) throw unreachable(silent);
    const stored = new Map((await readStored()).map((item) => [item.id, item.spec.line]));
    return parseFrrConfig(result.stdout).map((item) =>
      stored.get(item.id) === item.spec.line
        ? item
        : { ...item, spec: { ...item.spec, order: NOT_STORED_ORDER } },
    );
  }

  /** One file, one vtysh; what FRR named as refused fails, the rest holds. */
  async function send(
    items: readonly FrrLineItem[],
    { text, itemAt }: FrrText,
    signal: AbortSignal,
  ): Promise<Outcome[]> {
    await files.writeDurable(CHANGE_FILE, text);
    const result = await runner.run('vtysh', ['-f', CHANGE_FILE], {
      signal,
      timeoutMs: VTYSH_TIMEOUT_MS,
      maxOutputBytes: CONFIG_MAX_BYTES,
    });
    if (result.exitCode === 0) return items.map((item) => ({ id: item.id, ok: true }));
    const rejections = parseFrrRejections(result.stderr, result.stdout);
    if (rejections.length === 0) {
      const error = new BranchboxError('frr/rejected', {
        message: `vtysh ended with ${result.exitCode} and named no line: ${result.stderr.trim().slice(-500)}`,
      });
      return items.map((item) => ({ id: item.id, ok: false, error }));
    }
    const reasons = new Map<string, string>();
    for (const { lineNumber, reason } of rejections) {
      const item = itemAt.get(lineNumber);
      if (item !== undefined) reasons.set(item.id, reason);
    }
    return items.map((item) => {
      const reason = reasons.get(item.id);
      if (reason === undefined) return { id: item.id, ok: true };
      const place = [...item.spec.context, item.spec.line].join(' / ');
      const error = new BranchboxError('frr/rejected', { message: `FRR refused "${place}": ${reason}` });
      return { id: item.id, ok: false, error };
    });
  }

  /** The stored copy follows what FRR took, and is written only where that changes it. */
  async function store(set: readonly FrrLineItem[], unset: readonly FrrLineItem[]): Promise<void> {
    const before = await readStored();
    const items = new Map(before.map((item) => [item.id, item]));
    for (const item of unset) {
      items.delete(item.id);
      if (!isContextLine(item.spec.line)) continue;
      const within = [...item.spec.context, item.spec.line];
      for (const [id, other] of items) {
        if (within.every((line, depth) => other.spec.context[depth] === line)) items.delete(id);
      }
    }
    for (const item of set) items.set(item.id, item);
    const text = FILE_HEADER + renderFrrConfig([...items.values()]).text;
    if (text !== (await files.readText(FRR_CONFIG_FILE, CONFIG_MAX_BYTES))) {
      await files.writeDurable(FRR_CONFIG_FILE, text, 0o640);
    }
  }

  async function set(items: readonly FrrLineItem[], signal: AbortSignal): Promise<readonly Outcome[]> {
    if (items.length === 0) return [];
    const outcomes = await send(items, renderFrrConfig(items), signal);
    await store(accepted(items, outcomes), []);
    return outcomes;
  }

  return {
    observe,
    observesWhole: true,
    create: set,
    modify: (changes, signal) =>
      set(
        changes.map((change) => change.to),
        signal,
      ),
    async delete(items, signal) {
      if (items.length === 0) return [];
      const outcomes = await send(items, renderFrrRemoval(items), signal);
      await store([], accepted(items, outcomes));
      return outcomes;
    },
    // The id holds all that FRR keys a line by; the rest is replaced by saying the new line.
    needsRecreate: () => false,
  };
}

function accepted(items: readonly FrrLineItem[], outcomes: readonly Outcome[]): FrrLineItem[] {
  const ok = new Set(outcomes.filter((outcome) => outcome.ok).map((outcome) => outcome.id));
  return items.filter((item) => ok.has(item.id));
}

function unreachable(silent: readonly string[]): BranchboxError {
  return new BranchboxError('frr/unreachable', {
    message: `FRR's ${silent.join(', ')} did not answer vtysh, so its configuration cannot be read.`,
    mend: `Look at ${silent.map((daemon) => `frr-${daemon}.service`).join(', ')}; the next round tries again.`,
  });
}
