/**
 * Owns when uplinks are tested and what becomes of the report: before the box has an owner, once after its first
 * committed state, on demand and on the controller's order; one test at a time; sent until the controller has
 * it. Does not own measuring or judging (wan/uplinkTest), nor what is kept on disk (uplinkReports.ts).
 */
import { randomUUID } from 'node:crypto';
import type { DesiredSpec } from '../model/desired.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Facts } from '../model/facts.ts';
import {
  type LocalUplinkTest,
  reportLine,
  type UplinkReport,
  type UplinkResult,
  type UplinkTestRequest,
} from '../model/uplinkReport.ts';
import type { InstallerPorts } from '../model/installer.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import { MESSAGE_MAX_BYTES, type Reply } from '../model/mqtt.ts';
import { uplinkIfname } from '../model/underlay.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';
import { createWaker } from '../system/waker.ts';
import { planFactoryUplinks } from '../wan/factory.ts';
import type { UplinkTester } from '../wan/uplinkTest/measure.ts';
import { planSubjects, type Subject, type Target } from '../wan/uplinkTest/subject.ts';
import type { AgentPaths } from './paths.ts';
import { openUplinkReports } from './uplinkReports.ts';

export interface UplinkTests {
  /** Begins one; throws uplink-test/busy or uplink-test/nothing. Resolves at once. */
  start(request: UplinkTestRequest, occasion: UplinkReport['occasion']): Promise<LocalUplinkTest>;
  read(): LocalUplinkTest;
  /** For the installer's page; undefined before the first. */
  forInstaller(): InstallerPorts['uplinkTest'];
  /** Leases, the owner, the desired state or the connection may have changed. */
  wake(): void;
  /** From the controller; never fails. */
  stored(id: string): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

/** Nobody asked for it, and a thousand boxes may do it at once. */
const BY_ITSELF_BUDGET_BYTES = 1024 * 1024;
/** What comes up together is tested together; so much longer each time, up to the pause. */
const SETTLE_MS = 3_000;
/** Tunnels, segments and apps come first. */
const AFTER_COMMIT_MS = { least: 15_000, spread: 30_000 };
/** Between tests that nobody asked for. */
const PAUSE_MS = 60_000;
const LOOK_MS = 60_000;

export async function createUplinkTests(parts: {
  readonly files: Files;
  readonly paths: AgentPaths;
  readonly facts: () => Facts;
  readonly spec: () => DesiredSpec | undefined;
  readonly gatewayId: () => string | undefined;
  /** Its controller's device API. */
  readonly owner: () => Target | undefined;
  /** Whether a desired state is committed, and the controller there. */
  readonly inService: () => boolean;
  readonly connected: () => boolean;
  readonly test: UplinkTester;
  readonly network: () => BootstrapNetwork | undefined;
  /** false where it did not arrive. */
  readonly reply: (reply: Reply) => Promise<boolean>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Ends a test that runs. */
  readonly signal: AbortSignal;
}): Promise<UplinkTests> {
  const { files, paths, clock, log } = parts;
  const waker = createWaker(clock);
  const reports = await openUplinkReports(files, paths);
  /** Over this connection: the controller may be older than this box and never say that it has one. */
  const sent = new Set<string>();
  let running: LocalUplinkTest['running'];
  const builtIn = ((await files.readText(`${paths.factory}/bootstrap-servers`)) ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

  const read = (): LocalUplinkTest => ({
    ...(running === undefined ? {} : { running }),
    ...reports.read(),
  });

  async function work(
    subjects: readonly Subject[],
    id: string,
    startedAtMs: number,
    occasion: UplinkReport['occasion'],
  ): Promise<UplinkReport> {
    const beganAtMs = clock.monotonicMs();
    const uplinks: UplinkResult[] = [];
    for (const subject of subjects) {
      const onStep = (step: string): void => {
        running = { id, startedAtMs, uplink: subject.name, step };
      };
      uplinks.push(await parts.test(subject, parts.signal, onStep));
    }
    const gatewayId = parts.gatewayId();
    // The clock may have been put right meanwhile, by 56 years on a box that is new.
    const endedAtMs = clock.nowMs();
    const report: UplinkReport = {
      schema: 1,
      id,
      occasion,
      serial: parts.facts().serial,
      ...(gatewayId === undefined ? {} : { gatewayId }),
      startedAtMs: Math.max(0, endedAtMs - (clock.monotonicMs() - beganAtMs)),
      endedAtMs,
      verdict: uplinks.some(({ verdict }) => verdict === 'fail') ? 'fail' : 'pass',
      uplinks,
    };
    await reports.keep(report);
    log.info('uplinks were tested', { id, occasion, verdict: report.verdict });
    return report;
  }

  const begin = (
    request: UplinkTestRequest,
    occasion: UplinkReport['occasion'],
    capBytes?: number,
  ): Promise<UplinkReport> => {
    if (running !== undefined) {
      throw new BranchboxError('uplink-test/busy', {
        message: `uplink ${running.uplink} is being tested (${running.step})`,
        mend: 'wait for its end: `branchbox test uplinks --last` shows how it stands',
      });
    }
    const known = {
      spec: parts.spec(),
      facts: parts.facts(),
      network: parts.network(),
      builtIn,
      owner: parts.owner(),
    };
    const subjects = planSubjects(known, request, capBytes);
    const [first] = subjects;
    if (first === undefined) {
      throw new BranchboxError('uplink-test/nothing', {
        message:
          request.uplink === undefined ? 'this box has no uplink' : `no uplink is named ${request.uplink}`,
        mend: 'name an uplink that `branchbox status` lists',
      });
    }
    const id = randomUUID();
    const startedAtMs = clock.nowMs();
    running = { id, startedAtMs, uplink: first.name, step: 'start' };
    return work(subjects, id, startedAtMs, occasion).finally(() => {
      running = undefined;
      waker.wake();
    });
  };
  const byItself = async (occasion: 'before-bootstrap' | 'after-bootstrap'): Promise<void> => {
    await begin({}, occasion, BY_ITSELF_BUDGET_BYTES).catch((error: unknown) => {
      if (!parts.signal.aborted) log.warn('uplinks could not be tested', { occasion, error });
    });
  };
  const deliver = async (): Promise<void> => {
    const gatewayId = parts.gatewayId();
    if (!parts.connected()) sent.clear();
    else if (gatewayId !== undefined) {
      for (const report of reports.unstored()) {
        if (sent.has(report.id)) continue;
        const reply: Reply = { kind: 'uplink-report', gatewayId, report };
        if (Buffer.byteLength(JSON.stringify(reply)) > MESSAGE_MAX_BYTES.reply) {
          log.warn('an uplink report is too large to be sent', { id: report.id });
          sent.add(report.id);
        } else if (await parts.reply(reply).catch(() => false)) sent.add(report.id);
      }
    }
  };

  return {
    async start(request, occasion) {
      begin(request, occasion).catch((error: unknown) => {
        if (!parts.signal.aborted) log.warn('an uplink test failed', { error });
      });
      return read();
    },
    read,
    forInstaller() {
      const { report } = reports.read();
      if (report === undefined) return undefined;
      return { atMs: report.endedAtMs, verdict: report.verdict, line: reportLine(report).slice(0, 2000) };
    },
    wake: () => waker.wake(),
    async stored(id) {
      // If that is not recorded, the next start sends it again, and the controller keeps one.
      await reports.stored(id).catch((error: unknown) => {
        log.warn('that the controller has an uplink report cannot be noted', { id, error });
      });
    },
    async run(signal) {
      /** Of the last test before the box had an owner. */
      let testedFor = '';
      let testsBefore = 0;
      while (!signal.aborted) {
        try {
          await deliver();
          const owned = parts.gatewayId() !== undefined;
          if (!owned && addressesOf(parts.facts(), parts.network()) !== testedFor) {
            // Longer each time: a network that keeps giving new addresses must not use up the volume of other lines.
            await clock.sleep(Math.min((testsBefore + 1) * SETTLE_MS, PAUSE_MS), signal);
            testedFor = addressesOf(parts.facts(), parts.network());
            if (testedFor !== '' && running === undefined) {
              testsBefore += 1;
              await byItself('before-bootstrap');
            }
          } else if (owned && !reports.has('after-bootstrap') && parts.inService()) {
            await clock.sleep(AFTER_COMMIT_MS.least + parts.random() * AFTER_COMMIT_MS.spread, signal);
            if (running === undefined) {
              await byItself('after-bootstrap');
              await deliver();
              if (!reports.has('after-bootstrap')) await clock.sleep(PAUSE_MS, signal);
            }
          }
          await waker.wait(LOOK_MS, signal);
        } catch (thrown) {
          if (signal.aborted) return;
          log.warn('uplinks could not be tested', { error: thrown });
          await clock.sleep(PAUSE_MS, signal).catch(() => undefined);
        }
      }
    },
  };
}

/** Which uplinks of a box without an owner have which address. */
function addressesOf(facts: Facts, network: BootstrapNetwork | undefined): string {
  const wan = new Set(planFactoryUplinks(facts, network).map((uplink) => uplinkIfname(uplink, facts)));
  return [...facts.leases, ...facts.leases6]
    .filter(({ ifname }) => wan.has(ifname))
    .map(({ ifname, address }) => `${ifname} ${address}`)
    .toSorted()
    .join();
}
