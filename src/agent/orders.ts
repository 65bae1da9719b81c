/**
 * Owns what becomes of an order: its signature, its signer and whom it is for, before anything is done; then doing it.
 * Does not own the reset itself (firmware/factory-reset).
 */
import { decodeJson } from '../model/decode.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { Order, ORDER_MAX_BYTES, type Reply, REPLY_MESSAGE_MAX_CHARS } from '../model/mqtt.ts';
import type { UplinkTestRequest } from '../model/uplinkReport.ts';
import type { Certificate } from '../pki/certificate.ts';
import { verifyJws } from '../pki/jws.ts';
import type { Logger, Services } from '../system/ports.ts';
import type { OwnIdentity } from './ownIdentity.ts';

const RESET_UNIT = 'branchbox-factory-reset@controller.service';

/** Throws pki/* or model/invalid where it is not from the domain's signer, pki/mismatch where it is for another box or life. */
export async function acceptOrder(
  jws: string,
  options: {
    readonly anchors: readonly Certificate[];
    readonly gatewayId: string;
    readonly wireguardPublicKey: string;
    readonly atMs: number;
  },
): Promise<Order> {
  const { anchors, atMs } = options;
  const { payload } = await verifyJws(jws, { anchors, atMs });
  const order = decodeJson(Order, new TextDecoder().decode(payload), 'an order', ORDER_MAX_BYTES);
  if (order.gatewayId !== options.gatewayId) {
    throw new BranchboxError('pki/mismatch', { message: `the order is for ${order.gatewayId}` });
  }
  if (order.wireguardPublicKey !== options.wireguardPublicKey) {
    throw new BranchboxError('pki/mismatch', { message: 'the order is for an earlier life of this box' });
  }
  return order;
}

export interface Orders {
  /** Never fails: what was refused is in the answer, which is told before the order is carried out. */
  carryOut(id: string, jws: string): Promise<void>;
}

export function createOrders(parts: {
  /** undefined while the box has no owner. */
  readonly identity: () => Promise<Pick<OwnIdentity, 'anchors' | 'gatewayId' | 'atMs'> | undefined>;
  readonly wireguardPublicKey: () => string;
  readonly services: Pick<Services, 'start'>;
  /** Begins a test; resolves with what is then said. */
  readonly testUplinks: (request: UplinkTestRequest) => Promise<string>;
  /** The identity process takes it, and says what it then does; rejects with why not. */
  readonly move: (jws: string) => Promise<string>;
  /** What has not ended yet, and must not end under another owner. */
  readonly onTrial: () => string | undefined;
  /** Another controller is tried, and the box is not its own yet. */
  readonly isTried: boolean;
  readonly reply: (reply: Reply) => Promise<boolean>;
  readonly log: Logger;
}): Orders {
  const { services, log } = parts;
  const move = (jws: string): Promise<string> => {
    const tried = parts.onTrial();
    if (tried === undefined) return parts.move(jws);
    throw new BranchboxError('bootstrap/move-refused', {
      message: `${tried} is on trial`,
      mend: 'order the move again when that has ended',
    });
  };
  return {
    async carryOut(id, jws) {
      const answer = (ok: boolean, message: string): Promise<boolean> =>
        parts.reply({ kind: 'done', id, ok, message: message.slice(0, REPLY_MESSAGE_MAX_CHARS) });
      try {
        const own = await parts.identity();
        if (own === undefined)
          throw new BranchboxError('pki/untrusted', { message: 'this box has no owner' });
        if (parts.isTried) {
          throw new BranchboxError('pki/untrusted', {
            message: 'this box is on its way, and takes no orders',
          });
        }
        const order = await acceptOrder(jws, {
          ...own,
          wireguardPublicKey: parts.wireguardPublicKey(),
        });
        switch (order.order) {
          case 'factory-reset':
            log.warn('reset to factory state, as the controller ordered', { id });
            await answer(true, 'resetting to factory state');
            await services.start([RESET_UNIT]);
            return;
          case 'test-uplinks':
            if (order.notAfterMs < own.atMs) {
              throw new BranchboxError('pki/expired', { message: 'the order to test uplinks is too old' });
            }
            log.info('uplinks are tested, as the controller ordered', { id });
            await answer(true, await parts.testUplinks(order.request));
            return;
          case 'move':
            await answer(true, await move(jws));
        }
      } catch (thrown) {
        const error = asBranchboxError(thrown);
        log.warn('an order was refused', { id, error });
        const mend = error.mend === undefined ? '' : ` (${error.mend})`;
        await answer(false, `${error.message}${mend}`);
      }
    },
  };
}
