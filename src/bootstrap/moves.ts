/**
 * Owns the orders to move to another controller: which is taken, the record of it on disk, and how the last one ended.
 * Does not own what is done in a move (migrate.ts) nor how an order gets here (localApi.ts).
 *
 * An order is one of the present owner's configuration signer, for this box's gateway, serial and factory key, taken once
 * and in its time. The agent looks at signature and gateway too; what counts is what is looked at here.
 */
import {
  type BootstrapState,
  type MoveEnd,
  type MoveStatus,
  type Owner,
  sentencesOf,
} from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { type Move, MOVE_RECORD_MAX_BYTES, MoveRecord } from '../model/move.ts';
import { Order, ORDER_MAX_BYTES } from '../model/mqtt.ts';
import { fromBase64 } from '../pki/base64.ts';
import { type Certificate, parseCertificate, parseCertificates } from '../pki/certificate.ts';
import { verifyJws } from '../pki/jws.ts';
import type { Files, Logger } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import type { TrustedClock } from './clockFloor.ts';
import type { RunningOs } from './demands.ts';
import type { FactoryIdentity } from './factory.ts';
import { judgeNextOwner } from './onboarding.ts';
import type { OwnerStore } from './ownerStore.ts';
import type { CredentialPaths } from './paths.ts';

const MAX_WHY = 1000;
const NOTHING: MoveRecord = { schema: 1, generations: {} };

export interface Moves {
  /** The move that the box is on; undefined where it is on none. */
  current(): Promise<Move | undefined>;
  status(): Promise<MoveStatus | undefined>;
  /** Takes an order where `state` lets a move begin. On disk when it resolves, to the answer for whoever ordered. */
  offer(jws: string, state: BootstrapState): Promise<string>;
  /** Durable when it resolves: this is what decides. */
  enter(stage: Move['stage']): Promise<void>;
  end(outcome: MoveEnd['outcome'], why?: string): Promise<void>;
}

export function createMoves(options: {
  readonly files: Files;
  readonly path: string;
  readonly moved: CredentialPaths;
  readonly factory: Pick<FactoryIdentity, 'serial' | 'idevid'>;
  readonly os: RunningOs;
  readonly owners: Pick<OwnerStore, 'read'>;
  readonly clock: TrustedClock;
  readonly log: Logger;
  /** One was taken. */
  readonly onTaken: () => void;
}): Moves {
  const { files, path, moved, factory, owners, clock, log } = options;

  /** One that cannot be read is as good as none: the box stays with the owner that it has. */
  async function read(): Promise<MoveRecord> {
    try {
      const text = await files.readText(path, MOVE_RECORD_MAX_BYTES);
      return text === undefined ? NOTHING : decodeJson(MoveRecord, text, path, MOVE_RECORD_MAX_BYTES);
    } catch (thrown) {
      log.error('the record of a move cannot be read, there is none', {
        path,
        code: asBranchboxError(thrown).code,
      });
      return NOTHING;
    }
  }
  const write = (record: MoveRecord): Promise<void> =>
    files.writeDurable(path, `${JSON.stringify(record, null, 1)}\n`);

  async function take(jws: string, state: BootstrapState): Promise<string> {
    const record = await read();
    const owner = await owners.read();
    if (owner === undefined || state !== 'OPERATIONAL' || record.move !== undefined) {
      throw record.move === undefined
        ? refused(
            `the box is in ${state}, and moves from OPERATIONAL alone`,
            `order it again once that is over; it waits for ${sentencesOf(state, undefined).waitsFor}`,
          )
        : refused(
            `the box is on its way to ${record.move.owner.device.host} already`,
            `order it again once that is over, by ${new Date(record.move.deadlineAtMs).toISOString()} at the latest`,
          );
    }
    const atMs = clock.nowMs();
    const anchors = parseCertificates(owner.domainAnchorPem);
    const order = await readMoveOrder(jws, { anchors, owner, factory, atMs });
    const byWhom = anchors.map(({ fingerprintSha256 }) => fingerprintSha256);
    const taken = Math.max(0, ...byWhom.map((print) => record.generations[print] ?? 0));
    if (order.generation <= taken) {
      throw refused(
        `order ${order.generation} was taken before, or a later one was`,
        'order the move anew: branchbox fleet move',
      );
    }
    const next = await judgeNextOwner(
      {
        conveyed: fromBase64(order.conveyedInformation),
        ownerCertificate: fromBase64(order.ownerCertificate),
      },
      parseCertificate(order.domainAnchorPem),
      atMs,
      options.os,
    );
    // Of an earlier move: a key is for one enrolment.
    await files.remove(moved.certificate);
    await files.remove(moved.key);
    const { generation, withinS } = order;
    await write({
      schema: 1,
      generations: {
        ...record.generations,
        ...Object.fromEntries(byWhom.map((print) => [print, generation])),
      },
      move: {
        stage: 'enrolling',
        generation,
        orderedAtMs: atMs,
        deadlineAtMs: atMs + withinS * 1000,
        owner: next,
      },
    });
    log.warn('the owner ordered a move to another controller', {
      to: next.device.host,
      gatewayId: next.gatewayId,
      generation,
    });
    options.onTaken();
    return `moving to ${next.device.host} as ${next.gatewayId}; back by itself after ${withinS} s where that fails`;
  }

  // One at a time: two orders that come together are not both the first.
  const inTurn = createSerialQueue();
  return {
    current: async () => (await read()).move,
    async status() {
      const { move, last: end } = await read();
      if (move === undefined && end === undefined) return undefined;
      return {
        ...(move && {
          now: {
            stage: move.stage,
            to: move.owner.device.host,
            gatewayId: move.owner.gatewayId,
            deadlineAtMs: move.deadlineAtMs,
          },
        }),
        ...(end && { last: end }),
      };
    },
    offer: (jws, state) => inTurn(() => take(jws, state)),
    async enter(stage) {
      const record = await read();
      if (record.move !== undefined) await write({ ...record, move: { ...record.move, stage } });
    },
    async end(outcome, why) {
      const { move, ...record } = await read();
      if (move === undefined) return;
      const { generation, owner } = move;
      const to = owner.device.host;
      const because = why === undefined ? {} : { why: why.slice(0, MAX_WHY) };
      await write({ ...record, last: { outcome, generation, atMs: clock.nowMs(), to, ...because } });
    },
  };
}

type MoveOrder = Extract<Order, { order: 'move' }>;

/** Throws pki/* or model/invalid where it is not from the domain's signer, for this box and now. */
export async function readMoveOrder(
  jws: string,
  options: {
    readonly anchors: readonly Certificate[];
    readonly owner: Pick<Owner, 'gatewayId'>;
    readonly factory: Pick<FactoryIdentity, 'serial' | 'idevid'>;
    readonly atMs: number;
  },
): Promise<MoveOrder> {
  const { anchors, owner, factory, atMs } = options;
  const { payload } = await verifyJws(jws, { anchors, atMs });
  const order = decodeJson(Order, new TextDecoder().decode(payload), 'The order', ORDER_MAX_BYTES);
  if (order.order !== 'move') {
    throw new BranchboxError('pki/mismatch', { message: `The order is to ${order.order}, not to move` });
  }
  const problems = [
    ...(order.gatewayId === owner.gatewayId
      ? []
      : [{ path: '$.gatewayId', message: `is ${order.gatewayId}, this box is ${owner.gatewayId}` }]),
    ...(order.serial === factory.serial
      ? []
      : [{ path: '$.serial', message: `is ${order.serial}, this box is ${factory.serial}` }]),
    ...(order.idevidSpkiSha256 === factory.idevid.spkiSha256
      ? []
      : [{ path: '$.idevidSpkiSha256', message: 'is of another factory key' }]),
  ];
  if (problems.length > 0) {
    throw new BranchboxError('pki/mismatch', { message: 'The order is not for this box', problems });
  }
  if (order.notAfterMs < atMs) {
    throw new BranchboxError('pki/expired', {
      message: `The order ended ${new Date(order.notAfterMs).toISOString()}`,
    });
  }
  return order;
}

const refused = (message: string, mend: string): BranchboxError =>
  new BranchboxError('bootstrap/move-refused', { message, mend });
