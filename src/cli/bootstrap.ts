/**
 * Owns the words of `branchbox bootstrap`: where this box is on its way into service, told by the identity
 * process, or by its journal while the process is away.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { readStatus } from '../bootstrap/main.ts';
import { BootstrapStatus } from '../model/bootstrap.ts';
import { asBranchboxError, BranchboxError, renderError } from '../model/errors.ts';
import { isKnownMoment } from '../model/moment.ts';
import { decodeJson } from '../model/decode.ts';
import { renderKeyHolding } from '../model/keyHolder.ts';
import { askSocket } from '../system/askSocket.ts';
import { createFiles } from '../system/linux/files.ts';
import { spelledOut } from './terminal.ts';

const SOCKET = '/run/branchbox/identity.sock';
const ANSWER_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
const FOLLOW_INTERVAL_MS = 1_000;
/** As wide as a moment. */
const CLOCK_NOT_SET = '(clock not set)'.padEnd(24);

interface StatusFlags {
  readonly json?: boolean;
  readonly follow?: boolean;
}

export function register(program: Command): void {
  program
    .command('bootstrap')
    .description('how far this box is on its way into service')
    .addHelpText('after', '\nexample: branchbox bootstrap status')
    .command('status')
    .description('the state, what it waits for, and what to do when it lasts')
    .option('--json', 'for programs: one JSON object (a line each with --follow)')
    .option('--follow', 'goes on telling until the box is in service')
    .addHelpText('after', '\nexample: branchbox bootstrap status --follow')
    .action((flags: StatusFlags) =>
      tellBootstrap(flags, {
        socketPath: SOCKET,
        byFiles: () => readStatus(createFiles()),
        write: (text) => void process.stdout.write(spelledOut(text)),
        pause: () => sleep(FOLLOW_INTERVAL_MS),
      }),
    );
}

/**
 * With `follow` each change, until the identity process says that the box is in service: it may end and begin meanwhile, and
 * leave a journal that is cut, or was written before the box fell out of service.
 */
export async function tellBootstrap(
  flags: StatusFlags,
  box: {
    readonly socketPath: string;
    /** While the process is away. */
    readonly byFiles: () => Promise<BootstrapStatus>;
    readonly write: (text: string) => void;
    readonly pause: () => Promise<void>;
  },
): Promise<void> {
  for (let told = ''; ; ) {
    const asked = await askProcess(box.socketPath);
    const status = asked ?? (await box.byFiles().catch(asBranchboxError));
    if (status instanceof BranchboxError) {
      // A machine without a factory identity is no gateway; whoever told once will tell again.
      const passes = told !== '' || status.code === 'bootstrap/journal';
      if (flags.follow !== true || !passes) throw status;
    }
    const text = textOf(status, flags);
    if (text !== undefined && text !== told) {
      box.write(`${text}\n`);
      told = text;
    }
    if (flags.follow !== true || (asked !== undefined && asked.state === 'OPERATIONAL')) return;
    await box.pause();
  }
}

/** undefined: a program gets nothing but documents. */
function textOf(status: BootstrapStatus | BranchboxError, { json, follow }: StatusFlags): string | undefined {
  if (status instanceof BranchboxError) return json === true ? undefined : renderError(status);
  return json === true ? JSON.stringify(status) : describeBootstrap(status, follow === true);
}

/** undefined where nobody listens, or who does cannot say: it begins or ends just now. */
async function askProcess(socketPath: string): Promise<BootstrapStatus | undefined> {
  const answer = await askSocket(
    { socketPath },
    { path: '/bootstrap', timeoutMs: ANSWER_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
  ).catch(() => undefined);
  return answer?.status === 200
    ? decodeJson(BootstrapStatus, answer.text, 'The answer of the identity process')
    : undefined;
}

/** For a person; `short`: without what does not change while it is followed. Pure. */
export function describeBootstrap(status: BootstrapStatus, short: boolean): string {
  // Of a box whose journal has no line yet there is no moment to name; `sinceMs` is 0 then.
  const since =
    status.history.length === 0
      ? ': nothing was begun yet'
      : isKnownMoment(status.sinceMs)
        ? ` since ${new Date(status.sinceMs).toISOString()}`
        : ', nobody knows since when (the clock was not set)';
  const head = `${status.state}${since}, waits for ${status.waitsFor}`;
  const { medium, move, secondFactor } = status;
  const refusal = secondFactor?.state === 'refused' ? (secondFactor.message ?? 'no reason given') : undefined;
  const problem = [
    ...(refusal === undefined ? [] : [`  the code was not taken: ${refusal}`]),
    ...(status.lastProblem === undefined ? [] : [`  last problem: ${status.lastProblem}`]),
    ...(status.notices ?? []).map((notice) => `  notice: ${notice}`),
    ...(medium === undefined ? [] : [`  USB medium ${medium.state}: ${medium.message}`]),
    ...describeMove(move),
  ];
  if (short) return [head, ...problem, `  mend: ${status.mend}`].join('\n');
  return [
    `serial ${status.serial}${status.claimCode === undefined ? '' : `, claim code ${status.claimCode}`}${status.gatewayId === undefined ? '' : `, gateway ${status.gatewayId}`}`,
    head,
    ...problem,
    `  mend: ${status.mend}`,
    ...(status.keys === undefined ? [] : renderKeyHolding(status.keys).map((line) => `  ${line}`)),
    ...status.history.map(
      (entry) =>
        `  ${isKnownMoment(entry.enteredAtMs) ? new Date(entry.enteredAtMs).toISOString() : CLOCK_NOT_SET} ${entry.state}${Object.entries(
          entry.note,
        )
          .map(([key, value]) => ` ${key}=${value}`)
          .join('')}`,
    ),
  ].join('\n');
}

function describeMove(move: BootstrapStatus['move']): readonly string[] {
  const { now, last } = move ?? {};
  const until = now === undefined ? '' : new Date(now.deadlineAtMs).toISOString();
  const why = last?.why === undefined ? '' : `: ${last.why}`;
  return [
    ...(now === undefined
      ? []
      : [`  move to ${now.to} as ${now.gatewayId}: ${now.stage}, until ${until} at the latest`]),
    ...(last === undefined ? [] : [`  last move, to ${last.to}: ${last.outcome}${why}`]),
  ];
}
