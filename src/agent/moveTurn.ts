/**
 * Owns the agent's part of a move to another controller: for whom this run of the agent speaks, where it records desired
 * states meanwhile, and what becomes of those records. Does not own the move (bootstrap/migrate): move.json decides.
 *
 * There is no switching over: whenever the record says another turn than the one this process began with, it ends, and the
 * next one begins with that. So the way through a move and the way through a kill are the same. Traffic and apps go on.
 */
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { FirmwareStatus } from '../model/firmware.ts';
import {
  isMoveDirectory,
  MOVE_FILES,
  MOVE_RECORD_MAX_BYTES,
  MoveAnswer,
  moveDirectory,
  MoveRecord,
} from '../model/move.ts';
import { askSocket } from '../system/askSocket.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { DesiredSnapshot } from './desiredState.ts';
import {
  type AgentPaths,
  committedBeforePath,
  committedPath,
  outboxPath,
  rolledBackPath,
  trialPath,
  uplinkReportPath,
} from './paths.ts';
import { createTrialStore, type HeldState } from './trialStore.ts';

const MAX_COMMITTED_BYTES = 16 * 1024 * 1024;
const MAX_ANSWER_BYTES = 8 * 1024;
/** It looks at two signatures, and writes a file. */
const ANSWER_TIMEOUT_MS = 10_000;

/** undefined where the box is on no move, and was on none; a record that cannot be read is none. */
export async function readMoveRecord(
  files: Pick<Files, 'readText'>,
  paths: AgentPaths,
): Promise<MoveRecord | undefined> {
  const path = `${paths.identity}/${MOVE_FILES.record}`;
  try {
    const text = await files.readText(path, MOVE_RECORD_MAX_BYTES);
    return text === undefined ? undefined : decodeJson(MoveRecord, text, path, MOVE_RECORD_MAX_BYTES);
  } catch {
    return undefined;
  }
}

/** For whom the agent speaks: the present owner, or, in this move, the next one. */
const turnOf = (record: MoveRecord | undefined): number | undefined =>
  record?.move?.stage === 'trying' ? record.move.generation : undefined;

export interface MoveTurn {
  /** With the records of desired states of whom this run speaks for. */
  readonly paths: AgentPaths;
  /** What the present owner had committed, where this run tries the next one's; the box holds to it until then. */
  readonly before: HeldState | undefined;
  /** As last looked. */
  record(): MoveRecord | undefined;
  /** Ends this run where it is another one's turn. */
  look(): Promise<void>;
}

export async function beginTurn(parts: {
  readonly files: Files;
  readonly paths: AgentPaths;
  readonly log: Logger;
  readonly end: () => void;
}): Promise<MoveTurn> {
  const { files, paths, log } = parts;
  let record = await readMoveRecord(files, paths);
  const turn = turnOf(record);
  if (record?.move?.stage === 'done') await adopt(files, paths, record.move.generation, log);
  await forgetOthers(files, paths, turn);
  if (turn !== undefined)
    log.warn('this box tries another controller', { to: record?.move?.owner.device.host });
  return {
    paths: turn === undefined ? paths : { ...paths, state: `${paths.state}/${moveDirectory(turn)}` },
    before: turn === undefined ? undefined : await createTrialStore(files, paths, log).readCommitted(),
    record: () => record,
    async look() {
      record = await readMoveRecord(files, paths);
      if (turnOf(record) === turn) return;
      log.warn('the agent begins anew, for another controller', { turn: turnOf(record) ?? 'its own' });
      parts.end();
    },
  };
}

/**
 * What was committed of the next owner takes its place, and what is left of the one before goes: states, events, what
 * was rolled back, reports of uplinks (the next owner gets one of its own as after a bootstrap). Its own record goes after
 * all of that (forgetOthers): killed before, all of it is done again.
 */
async function adopt(files: Files, paths: AgentPaths, generation: number, log: Logger): Promise<void> {
  const moved = committedPath({ ...paths, state: `${paths.state}/${moveDirectory(generation)}` });
  const jws = await files.readText(moved, MAX_COMMITTED_BYTES);
  if (jws === undefined) return;
  await files.writeDurable(committedPath(paths), jws);
  const outbox = outboxPath(paths);
  for (const path of [
    trialPath(paths),
    rolledBackPath(paths),
    committedBeforePath(paths),
    ...['', '-wal', '-shm'].map((suffix) => `${outbox}${suffix}`),
    uplinkReportPath(paths, 'after-bootstrap'),
    uplinkReportPath(paths, 'latest'),
  ]) {
    await files.remove(path);
  }
  log.warn('the desired state of the next owner is that of this box now');
}

/** Records of moves that are over. */
async function forgetOthers(files: Files, paths: AgentPaths, turn: number | undefined): Promise<void> {
  for (const name of await files.list(paths.state)) {
    if (!isMoveDirectory(name) || (turn !== undefined && name === moveDirectory(turn))) continue;
    const directory = `${paths.state}/${name}`;
    for (const file of await files.list(directory)) await files.remove(`${directory}/${file}`);
  }
}

/** What has not ended yet: a move must not begin in the midst of it. Pure. */
export function onTrial(
  desired: Pick<DesiredSnapshot, 'trial'>,
  firmware: Pick<FirmwareStatus, 'state'>,
): string | undefined {
  if (desired.trial !== undefined) return 'a desired state';
  return firmware.state === 'ready' || firmware.state === 'trial' ? 'a firmware version' : undefined;
}

/** Hands an order on to the identity process; resolves with what that says, rejects with why it does not take it. */
export async function handOnMove(socketPath: string, jws: string): Promise<string> {
  const { text } = await askSocket(
    { socketPath },
    { path: '/move', body: jws, timeoutMs: ANSWER_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
  ).catch((cause: unknown) => {
    throw new BranchboxError('bootstrap/move-refused', {
      message: 'the identity process of this box does not answer',
      cause,
    });
  });
  const { ok, message } = decodeJson(MoveAnswer, text, 'The answer of the identity process');
  if (!ok) throw new BranchboxError('bootstrap/move-refused', { message });
  return message;
}
