/**
 * Owns what a systemd unit file means to the lab's supervisor: text of the file and its drop-ins in, a Unit
 * and all problems out. Pure. Does not own where files are found (unitSet.ts) nor running them (service.ts).
 * The units are written for systemd and run there too; here a key is obeyed, knowingly ignored, or a problem,
 * so that a typing error is found in the lab and not on the box.
 */
import type { Problem } from '../../model/errors.ts';
import { expandSpecifiers } from './commandLine.ts';

export const SERVICE_TYPES = ['simple', 'exec', 'oneshot'] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];
export const RESTART_POLICIES = ['no', 'always', 'on-success', 'on-failure'] as const;
export type RestartPolicy = (typeof RESTART_POLICIES)[number];

export interface ServiceSettings {
  readonly type: ServiceType;
  readonly remainAfterExit: boolean;
  readonly startPre: readonly string[];
  readonly start: readonly string[];
  readonly startPost: readonly string[];
  readonly reload: readonly string[];
  readonly stop: readonly string[];
  readonly stopPost: readonly string[];
  readonly restart: RestartPolicy;
  readonly restartMs: number;
  /** systemd ≥ 254: the delay grows from restartMs to this over restartSteps restarts. */
  readonly restartMaxMs: number;
  readonly restartSteps: number;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly environment: readonly string[];
  readonly environmentFiles: readonly string[];
  readonly workingDirectory: string | undefined;
  readonly runtimeDirectories: readonly string[];
  readonly runtimePreserve: boolean;
  readonly stateDirectories: readonly string[];
  readonly killSignal: string;
  /** KillMode=process: what the daemon started (containers' shims) outlives it. */
  readonly killGroup: boolean;
}

export interface PathCondition {
  readonly path: string;
  readonly negate: boolean;
}

export interface Unit {
  readonly name: string;
  readonly description: string;
  readonly requires: readonly string[];
  readonly wants: readonly string[];
  readonly after: readonly string[];
  readonly partOf: readonly string[];
  readonly pathConditions: readonly PathCondition[];
  readonly wantedBy: readonly string[];
  /** undefined for a target. */
  readonly service: ServiceSettings | undefined;
}

export interface ParsedUnit {
  readonly unit: Unit;
  readonly problems: readonly Problem[];
}

/** Keys that mean nothing without an init system's cgroups, sandboxing and jobs; systemd obeys them on the box. */
const IGNORED = new Set(
  splitWords(`
    Documentation DefaultDependencies Before Conflicts StartLimitIntervalSec StartLimitBurst
    AllowIsolate Delegate TasksMax LimitNOFILE LimitNPROC LimitCORE LimitMEMLOCK OOMScoreAdjust
    MemoryMax MemoryHigh CPUWeight CPUQuota IOWeight Nice Slice CPUSchedulingPolicy
    CPUSchedulingPriority NoNewPrivileges ProtectSystem ProtectHome ProtectKernelModules
    ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname PrivateTmp PrivateDevices
    ReadWritePaths ReadOnlyPaths CapabilityBoundingSet RestrictAddressFamilies RestrictNamespaces
    RestrictRealtime RestrictSUIDSGID LockPersonality SystemCallFilter SystemCallArchitectures
    StandardOutput StandardError SyslogIdentifier RuntimeDirectoryMode StateDirectoryMode UMask
    SendSIGHUP WatchdogSec TimeoutSec User Group SupplementaryGroups Alias AmbientCapabilities MemoryDenyWriteExecute
    Also DefaultInstance NotifyAccess CacheDirectory ProtectKernelTunables ProtectProc PrivateNetwork
    IPAddressDeny DevicePolicy DeviceAllow SystemCallErrorNumber
    StandardInput TTYPath TTYReset TTYVHangup DynamicUser TemporaryFileSystem BindPaths BindReadOnlyPaths InaccessiblePaths
  `),
);

const OBEYED: Readonly<Record<string, readonly string[]>> = {
  Unit: splitWords(`Description Requires Wants After PartOf ConditionPathExists`),
  Service: splitWords(`
    Type RemainAfterExit ExecStartPre ExecStart ExecStartPost ExecReload ExecStop ExecStopPost
    Restart RestartSec RestartMaxDelaySec RestartSteps TimeoutStartSec TimeoutStopSec Environment
    EnvironmentFile WorkingDirectory RuntimeDirectory RuntimeDirectoryPreserve StateDirectory
    KillSignal KillMode
  `),
  Install: ['WantedBy'],
};

function splitWords(text: string): string[] {
  return text.trim().split(/\s+/);
}

/** `texts`: the unit file, then its drop-ins in order of their names; later settings win, an empty one resets a list. */
export function parseUnit(name: string, texts: readonly string[]): ParsedUnit {
  const problems: Problem[] = [];
  const settings = new Map<string, string[]>();
  for (const text of texts) readSections(name, text, settings, problems);
  const list = (key: string): string[] => settings.get(key) ?? [];
  const names = (key: string): string[] =>
    list(key)
      .flatMap((value) => value.split(/\s+/))
      .filter(isPresent);
  const last = (key: string): string | undefined => list(key).at(-1);
  const one = <T extends string>(key: string, allowed: readonly T[], otherwise: T): T => {
    const value = last(key);
    if (value === undefined) return otherwise;
    const known = allowed.find((candidate) => candidate === value);
    if (known !== undefined) return known;
    problems.push({ path: `${name}: ${key}`, message: `"${value}" is none of ${allowed.join(', ')}` });
    return otherwise;
  };
  const time = (key: string, otherwiseMs: number): number => {
    const value = last(key);
    if (value === undefined) return otherwiseMs;
    const parsed = parseTimeMs(value);
    if (parsed === undefined)
      problems.push({ path: `${name}: ${key}`, message: `"${value}" is no time span` });
    return parsed ?? otherwiseMs;
  };
  const isService = name.endsWith('.service');
  if (isService && list('ExecStart').length === 0) {
    problems.push({ path: `${name}: ExecStart`, message: 'a service needs one' });
  }
  const service: ServiceSettings | undefined = !isService
    ? undefined
    : {
        type: one('Type', SERVICE_TYPES, 'simple'),
        remainAfterExit: last('RemainAfterExit') === 'yes',
        startPre: list('ExecStartPre'),
        start: list('ExecStart'),
        startPost: list('ExecStartPost'),
        reload: list('ExecReload'),
        stop: list('ExecStop'),
        stopPost: list('ExecStopPost'),
        restart: one('Restart', RESTART_POLICIES, 'no'),
        // 100 ms and 90 s are systemd's own defaults (systemd.service(5)).
        restartMs: time('RestartSec', 100),
        restartMaxMs: time('RestartMaxDelaySec', Number.POSITIVE_INFINITY),
        restartSteps: Number(last('RestartSteps') ?? 0),
        startTimeoutMs: time('TimeoutStartSec', 90_000),
        stopTimeoutMs: time('TimeoutStopSec', 90_000),
        environment: list('Environment'),
        environmentFiles: list('EnvironmentFile'),
        workingDirectory: last('WorkingDirectory'),
        runtimeDirectories: names('RuntimeDirectory'),
        runtimePreserve: ['yes', 'restart'].includes(last('RuntimeDirectoryPreserve') ?? 'no'),
        stateDirectories: names('StateDirectory'),
        killSignal: last('KillSignal') ?? 'SIGTERM',
        killGroup: one('KillMode', ['control-group', 'mixed', 'process'], 'control-group') !== 'process',
      };
  const unit: Unit = {
    name,
    description: last('Description') ?? name,
    requires: names('Requires'),
    wants: names('Wants'),
    after: names('After'),
    partOf: names('PartOf'),
    pathConditions: list('ConditionPathExists').map((value) =>
      value.startsWith('!') ? { path: value.slice(1), negate: true } : { path: value, negate: false },
    ),
    wantedBy: names('WantedBy'),
    service,
  };
  return { unit, problems };
}

function readSections(name: string, text: string, into: Map<string, string[]>, problems: Problem[]): void {
  let section = '';
  const lines = text.replace(/\\\n/g, ' ').split('\n');
  for (const raw of lines) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const header = /^\[(\w+)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      section = header;
      if (OBEYED[header] === undefined)
        problems.push({ path: `${name}: [${header}]`, message: 'unknown section' });
      continue;
    }
    const at = line.indexOf('=');
    const key = line.slice(0, Math.max(at, 0)).trim();
    const value = line.slice(at + 1).trim();
    if (at < 1 || !(OBEYED[section] ?? []).includes(key)) {
      if (at < 1 || !IGNORED.has(key)) {
        problems.push({ path: `${name}: [${section}] ${at < 1 ? line : key}`, message: 'unknown setting' });
      }
      continue;
    }
    if (value === '') into.set(key, []);
    // Commands keep their specifiers: those are expanded word by word, after quoting.
    else
      into.set(key, [
        ...(into.get(key) ?? []),
        key.startsWith('Exec') ? value : expandSpecifiers(name, value),
      ]);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
};

/** `5`, `500ms`, `1min 30s`, `infinity`. */
export function parseTimeMs(value: string): number | undefined {
  if (value === 'infinity') return Number.POSITIVE_INFINITY;
  let totalMs = 0;
  const rest = value.replace(/(\d+(?:\.\d+)?)\s*([a-z]*)\s*/g, (_all, digits: string, unit: string) => {
    const factor = unit === '' ? 1000 : UNIT_MS[unit];
    totalMs += factor === undefined ? Number.NaN : Number(digits) * factor;
    return '';
  });
  return rest === '' && value !== '' && !Number.isNaN(totalMs) ? totalMs : undefined;
}

const isPresent = (word: string): boolean => word !== '';
