/**
 * Owns gathering facts, from files and one socket: what never changes during a boot once, everything else at every run.
 * Does not own their schema (model/facts) nor what follows from them.
 */
import { randomUUID } from 'node:crypto';
import { release } from 'node:os';
import { z } from 'zod';
import type { EngineVersion } from '../containers/engine.ts';
import { engineErrorWords } from '../containers/engineWords.ts';
import { tryDecode, tryJson } from '../model/decode.ts';
import { type Facts, HardwareFact, KERNEL_FEATURES, type Lease, type Lease6 } from '../model/facts.ts';
import type { HardwareModel } from '../model/hardware.ts';
import { readLeases6 } from '../system/leases6.ts';
import { readLeases } from '../system/leases.ts';
import type { System } from '../system/ports.ts';
import { matchPorts, namedInterfaces, readHardwareModel } from './hardware.ts';
import { readInterfaces } from './interfaces.ts';
import { readHardware } from './inventory.ts';
import { probeKernel } from './kernelFeatures.ts';
import { type AgentPaths, bootFindingsPath, leasesDirectory, wireguardKeyPath } from './paths.ts';
import { readSshServer } from './sshServer.ts';
import { ensureWireguardKey, makeWireguardKey } from './wireguardKey.ts';

/** What is found once a boot and kept in /run, so that an agent's restart costs nothing. */
const BootFindings = z.strictObject({
  bootId: z.string().min(1).max(64),
  kernelRelease: z.string(),
  features: z.record(z.enum(KERNEL_FEATURES), z.boolean()),
  hardware: HardwareFact.optional(),
});
type BootFindings = z.output<typeof BootFindings>;

/** An engine that hangs must not hold up the box. */
const ENGINE_TIMEOUT_MS = 2000;
/** An engine's version is asked again after this, or when it was away. */
const ENGINE_KNOWN_MS = 30_000;

export interface FactsGatherer {
  /** What kind of box this is. */
  readonly model: HardwareModel;
  /** Anew from the box. */
  gather(signal: AbortSignal): Promise<Facts>;
  /** The engine came, went, or did something. */
  forgetEngine(): void;
  /** Why facts have no engine although there is one, in its words, when it was last asked. */
  engineProblem(): string | undefined;
  /** The last gathered. */
  latest(): Facts;
  /** Another WireGuard key; facts have its public half, which it resolves to, from then on. */
  renewWireguardKey(): Promise<string>;
  /** Reads the machine's inventory where this boot has not yet; resolves to whether facts changed. */
  readInventory(): Promise<boolean>;
}

export async function createFactsGatherer(parts: {
  readonly system: System;
  readonly paths: AgentPaths;
  readonly version: string;
  /** undefined where there is no engine. */
  readonly engineVersion: (signal: AbortSignal) => Promise<EngineVersion | undefined>;
  readonly signal: AbortSignal;
}): Promise<FactsGatherer> {
  const { system, paths } = parts;
  const { files, log, clock } = system;
  const readFactory = async (name: string): Promise<string> =>
    (await files.readText(`${paths.factory}/${name}`, 4096))?.trim() ?? '';
  const [serial, modelName, findings, firstPublicKey] = await Promise.all([
    readFactory('serial'),
    readFactory('model'),
    readFindings(system, paths, parts.signal),
    ensureWireguardKey(files, wireguardKeyPath(paths)),
  ]);
  const model = await readHardwareModel(files, paths.models, modelName);
  let hardware = findings.hardware;
  let wireguardPublicKey = firstPublicKey;

  const gather = async (signal: AbortSignal): Promise<Facts> => {
    const [ports, leases, leases6, engine, ssh] = await Promise.all([
      readPorts(system, model),
      readLeases(files, leasesDirectory(paths)),
      readLeases6(files, leasesDirectory(paths)),
      readEngine(signal),
      readSshServer(files, paths.sshHostKey),
    ]);
    return {
      serial: serial === '' ? 'unknown' : serial,
      model: model.model,
      version: parts.version,
      bootId: findings.bootId,
      kernel: { release: findings.kernelRelease, features: findings.features },
      ports: [...ports],
      leases: [...leases] satisfies Lease[],
      leases6: [...leases6] satisfies Lease6[],
      wireguardPublicKey,
      ...(engine === undefined ? {} : { engine: { name: engine.name, version: engine.version } }),
      ...(ssh === undefined ? {} : { ssh }),
      ...(hardware === undefined ? {} : { hardware }),
    };
  };
  const readEngine = async (signal: AbortSignal): Promise<EngineVersion | undefined> => {
    if (engineKnown !== undefined && clock.monotonicMs() < engineKnown.untilMs) return engineKnown.version;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ENGINE_TIMEOUT_MS)]);
    let problem: string | undefined;
    const version = await parts.engineVersion(limit).catch((thrown: unknown) => {
      problem = engineErrorWords(thrown);
      return undefined;
    });
    // Whoever gave up asking learnt nothing.
    if (!signal.aborted) engineProblem = problem;
    engineKnown =
      version === undefined ? undefined : { version, untilMs: clock.monotonicMs() + ENGINE_KNOWN_MS };
    return version;
  };
  let engineProblem: string | undefined;
  let engineKnown: { readonly version: EngineVersion; readonly untilMs: number } | undefined;
  let latest = await gather(parts.signal);

  return {
    model,
    async gather(signal) {
      latest = await gather(signal);
      return latest;
    },
    latest: () => latest,
    forgetEngine() {
      engineKnown = undefined;
    },
    engineProblem: () => engineProblem,
    async renewWireguardKey() {
      wireguardPublicKey = await makeWireguardKey(files, wireguardKeyPath(paths));
      latest = { ...latest, wireguardPublicKey };
      return wireguardPublicKey;
    },
    async readInventory() {
      if (hardware !== undefined) return false;
      try {
        hardware = await readHardware();
      } catch (thrown) {
        log.warn('the machine does not say what it is', { error: thrown });
        return false;
      }
      await writeFindings(system, paths, { ...findings, hardware });
      return true;
    },
  };
}

const readPorts = async (system: System, model: HardwareModel) =>
  matchPorts(model, await readInterfaces(system.files, namedInterfaces(model)));

async function readFindings(system: System, paths: AgentPaths, signal: AbortSignal): Promise<BootFindings> {
  const text = await system.files.readText(bootFindingsPath(paths));
  const known = text === undefined ? undefined : tryDecode(BootFindings, tryJson(text));
  if (known?.ok === true && known.value.kernelRelease === release()) return known.value;
  const features = await probeKernel(system.runner, signal);
  const findings = { bootId: randomUUID(), kernelRelease: release(), features };
  await writeFindings(system, paths, findings);
  return findings;
}

/** If they are not kept, the next start finds them again: no reason to end this one. */
async function writeFindings(
  { files, log }: System,
  paths: AgentPaths,
  findings: BootFindings,
): Promise<void> {
  await files.writeDurable(bootFindingsPath(paths), JSON.stringify(findings)).catch((error: unknown) => {
    log.warn('what was found in this boot cannot be kept', { error });
  });
}
