/**
 * Owns a box for bootstrap's tests: files in memory (durability is tested where it is made), a clock that can be set
 * and whose sleeps take no time, a log that is listened to, and storage that can die at the n-th write.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createDeviceKeys } from '../../../src/bootstrap/deviceKeys.ts';
import { runIdentity } from '../../../src/bootstrap/main.ts';
import { readJournal } from '../../../src/bootstrap/journal.ts';
import { type BootstrapPaths, journalPath } from '../../../src/bootstrap/paths.ts';
import type { Uplink } from '../../../src/bootstrap/uplink.ts';
import type { BootstrapState, BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { toPem } from '../../../src/pki/certificate.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import type { Clock, Files, LogFields, Logger, Runner } from '../../../src/system/ports.ts';
import { type Authorities, HOST, NOW_MS, SERIAL } from './authorities.ts';
import type { FakeTpm } from './fakeTpm.ts';
import { createOnlooker } from './onlooker.ts';
import type { TestController } from './servers.ts';

/** What a SIGKILL looks like from inside: not an error that anybody may handle. */
class Killed extends Error {}

export interface TestClock extends Clock {
  setMs(ms: number): void;
  readonly slept: number[];
}

/** Sleeping moves both clocks on and yields once. */
export function createTestClock(startMs = NOW_MS): TestClock {
  let wallMs = startMs;
  let monotonicMs = 1_000;
  const slept: number[] = [];
  return {
    slept,
    nowMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    setMs(ms) {
      wallMs = ms;
    },
    async sleep(durationMs, signal) {
      signal?.throwIfAborted();
      slept.push(durationMs);
      await setImmediate();
      signal?.throwIfAborted();
      wallMs += durationMs;
      monotonicMs += durationMs;
    },
  };
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface Box {
  readonly directory: string;
  readonly paths: BootstrapPaths;
  readonly files: Files;
  readonly clock: TestClock;
  readonly log: LogLine[];
  modeOf(path: string): number | undefined;
  uplinks: Uplink[];
  /** Whether one is in a WAN port. */
  cable: boolean;
  /** Labels, as the agent tells them. */
  wanPorts: readonly string[];
  /** What DNS-SD lists in any domain. */
  listed: string[];
  /** undefined: it has none. */
  tpm: FakeTpm | undefined;
  /** What it said over its socket when the last `run` came to where it was to (or to `lookAt`). */
  readonly told: BootstrapStatus | undefined;
  /** Runs the identity process until the state is entered (or a line is logged), then stops it; false where it died. */
  run(options: {
    readonly controller: TestController;
    readonly until: BootstrapState | ((line: LogLine) => boolean);
    /** It is asked at the first of these lines what it tells, and not at its end. */
    readonly lookAt?: (line: LogLine) => boolean;
    /** Dies before (even) or after (odd) the k-th change of a file. */
    readonly dieAt?: number;
  }): Promise<boolean>;
  remove(): Promise<void>;
}

/** `disk`: other storage than memory, and where on it the box's directories are. */
export async function createBox(
  authorities: Authorities,
  port: number,
  disk?: { readonly files: Files; readonly root: string },
): Promise<Box> {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-bootstrap-'));
  const modes = new Map<string, number>();
  const files = disk?.files ?? memoryFiles(modes);
  const root = disk?.root ?? directory;
  const paths: BootstrapPaths = {
    factory: join(root, 'factory'),
    state: join(root, 'identity'),
    agent: join(root, 'agent'),
    socket: join(directory, 'identity.sock'),
    installerSocket: join(directory, 'installer/identity.sock'),
    portsSocket: join(directory, 'installer/agent.sock'),
    resetMarks: [join(root, 'factory-reset')],
    hardwareClocks: join(root, 'rtc'),
    knownTime: join(root, 'run/known-time.json'),
  };
  const { idevid, manufacturer } = authorities;
  const factory: Record<string, string> = {
    'idevid.key': exportPrivateKey(idevid.key).reveal(),
    'idevid.crt': idevid.certificate.pem,
    'chain.pem': toPem([manufacturer.certificate]),
    'voucher-anchor.pem': manufacturer.certificate.pem,
    serial: `${SERIAL}\n`,
    model: 'lab\n',
    'bootstrap-servers': '# none\n',
  };
  for (const [name, text] of Object.entries(factory))
    await files.writeDurable(`${paths.factory}/${name}`, text);
  // The agent of these tests has long committed.
  await files.writeDurable(`${paths.agent}/committed.jws`, 'x');
  const clock = createTestClock();
  const log: LogLine[] = [];
  const journalled = async (): Promise<string | undefined> =>
    (await readJournal(files, journalPath(paths)).catch(() => undefined))?.entries.at(-1)?.state;
  let told: BootstrapStatus | undefined;
  const box: Box = {
    get told() {
      return told;
    },
    directory,
    paths,
    files,
    clock,
    log,
    modeOf: (path) => modes.get(path),
    uplinks: [
      { ifname: 'wan1', address: '127.0.0.1', dns: [], bootstrapServers: [`https://${HOST}:${port}`] },
    ],
    cable: true,
    wanPorts: [],
    listed: [],
    tpm: undefined,
    async run({ controller, until, lookAt, dieAt }) {
      // Killed right after the journal said so: it is there already, and nothing more would tell it.
      if (dieAt === undefined && (await journalled()) === until) return true;
      const ending = new AbortController();
      const onlooker = createOnlooker(paths, ending);
      const reached =
        typeof until === 'function'
          ? until
          : (line: LogLine) => line.message === 'bootstrap state entered' && line.fields['state'] === until;
      const write =
        (level: string) =>
        (message: string, fields: LogFields = {}): void => {
          const line = { level, message, fields };
          log.push(line);
          if (lookAt?.(line) === true) onlooker.look();
          if (reached(line)) onlooker.lookAndEnd();
        };
      const logger: Logger = {
        debug: write('debug'),
        info: write('info'),
        warn: write('warn'),
        error: write('error'),
      };
      const process = runIdentity({
        system: {
          runner: nothingToRun,
          files: onlooker.files(dieAt === undefined ? files : mortal(files, dieAt)),
          clock: onlooker.clock(clock),
          log: logger,
        },
        keys: createDeviceKeys({
          readiness: readTpmReadiness(box.tpm === undefined ? 'no-chip' : 'ready 1.3.0'),
          tpm: box.tpm,
          log: logger,
        }),
        tpmTold: undefined,
        version: '0.0.0-test',
        builtAtMs: NOW_MS - 365 * 86_400_000,
        signal: ending.signal,
        paths,
        leaseDirectory: join(directory, 'leases'),
        leadsNowhereDirectory: join(directory, 'leads-nowhere'),
        mediaDirectory: join(directory, 'media'),
        blockDevices: {
          udev: join(directory, 'udev'),
          sys: join(directory, 'sys'),
          mounts: join(directory, 'mountinfo'),
          slot: join(directory, 'slot'),
        },
        connect: onlooker.connect(async (options) => {
          const key = (await box.tpm?.unwrap(options.identity.key)) ?? options.identity.key;
          return controller.connect({ ...options, identity: { ...options.identity, key } });
        }),
        uplinks: { all: async () => box.uplinks },
        cables: { inWanPort: async () => box.cable, wanPorts: async () => box.wanPorts },
        findService: async () => box.listed,
        random: () => 0.5,
      });
      try {
        await process;
        return true;
      } catch (thrown) {
        if (thrown instanceof Killed) return false;
        throw thrown;
      } finally {
        onlooker.over();
        told = await onlooker.told();
      }
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
  return box;
}

/** What bootstrap runs, it runs for a TPM. */
const refuse = async (command: string): Promise<never> => {
  throw new BranchboxError('system/missing-tool', { message: `${command} is not there` });
};
const nothingToRun: Runner = { run: refuse, runChecked: refuse, follow: refuse };

/** As the port says: missing is undefined, above the cap is an error. Nobody watches here: clocks wake everybody. */
export function memoryFiles(modes: Map<string, number>): Files {
  const stored = new Map<string, Buffer>();
  const readBytes = async (path: string, maxBytes = 1024 * 1024): Promise<Buffer | undefined> => {
    const bytes = stored.get(path);
    if (bytes === undefined || bytes.length <= maxBytes) return bytes;
    throw new BranchboxError('system/file', { message: `${path} is larger than ${maxBytes} bytes` });
  };
  return {
    readBytes,
    readText: async (path, maxBytes) => (await readBytes(path, maxBytes))?.toString('utf8'),
    async writeDurable(path, content, mode = 0o600) {
      stored.set(path, Buffer.from(content));
      modes.set(path, mode);
    },
    writeKernel: async (path) => {
      throw new BranchboxError('system/file', { message: `${path} is not for bootstrap to write` });
    },
    remove: async (path) => {
      stored.delete(path);
    },
    list: async (path) => [
      ...new Set(
        [...stored.keys()]
          .filter((name) => name.startsWith(`${path}/`))
          .map((name) => name.slice(path.length + 1).replace(/\/.*/, ''))
          .toSorted(),
      ),
    ],
    watch: () => {},
  };
}

function mortal(files: Files, dieAt: number): Files {
  let changes = 0;
  const guard = async (change: () => Promise<void>): Promise<void> => {
    const mine = changes;
    changes += 1;
    if (mine * 2 === dieAt) throw new Killed('killed before a write');
    await change();
    if (mine * 2 + 1 === dieAt) throw new Killed('killed after a write');
  };
  return {
    ...files,
    writeDurable: (path, content, mode) => guard(() => files.writeDurable(path, content, mode)),
    remove: (path) => (path.endsWith('.sock') ? files.remove(path) : guard(() => files.remove(path))),
  };
}
