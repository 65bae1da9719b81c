import { describe, expect, it } from 'vitest';
import { createOrders } from '../../../src/agent/orders.ts';
import { Reply } from '../../../src/model/mqtt.ts';
import { NOW_MS } from '../pki/domain.ts';
import { ANCHORS, desired, GATEWAY, signed } from './signedState.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const KEY = `${'A'.repeat(42)}A=`;
const OTHER_KEY = `${'B'.repeat(42)}A=`;
const ORDER = { schema: 1, order: 'factory-reset', gatewayId: GATEWAY, wireguardPublicKey: KEY };
const MOVE = {
  ...ORDER,
  order: 'move',
  serial: 'SN-1',
  idevidSpkiSha256: 'a'.repeat(64),
  generation: 1,
  notAfterMs: NOW_MS,
  withinS: 900,
  domainAnchorPem: '-----BEGIN CERTIFICATE-----',
  conveyedInformation: 'AAAA',
  ownerCertificate: 'AAAA',
};

function box(
  owned = true,
  change: { readonly onTrial?: string; readonly isTried?: boolean; readonly moving?: string } = {},
) {
  const happened: string[] = [];
  const orders = createOrders({
    identity: async () => (owned ? { anchors: ANCHORS, gatewayId: GATEWAY, atMs: NOW_MS } : undefined),
    wireguardPublicKey: () => KEY,
    services: { start: async (units) => void happened.push(`start ${units.join()}`) },
    testUplinks: async (request) => {
      happened.push(`test ${JSON.stringify(request)}`);
      return 'testing';
    },
    move: async () => {
      happened.push('handed on');
      return change.moving ?? 'moving';
    },
    onTrial: () => change.onTrial,
    isTried: change.isTried ?? false,
    reply: async (reply) => {
      expect(Reply.safeParse(reply).error).toBeUndefined();
      if (reply.kind === 'done') happened.push(`${reply.id} ${reply.ok ? 'yes' : 'no'}: ${reply.message}`);
      return true;
    },
    log,
  });
  return { happened, orders };
}

describe('an order', () => {
  it('of the domain\u2019s signer for this box is answered, then carried out', async () => {
    const { happened, orders } = box();
    await orders.carryOut('o1', signed(ORDER));
    expect(happened).toEqual([
      'o1 yes: resetting to factory state',
      'start branchbox-factory-reset@controller.service',
    ]);
  });

  it('is answered in as many words as the controller takes', async () => {
    const { happened, orders } = box(true, { moving: 'moving '.repeat(500) });
    await orders.carryOut('o1', signed(MOVE));
    expect(happened).toEqual(['handed on', expect.stringMatching(/^o1 yes: moving/)]);
  });

  it.each([
    ['of a stranger', signed(ORDER, 'stranger'), 'signer'],
    ['of a box of the domain', signed(ORDER, 'ldevid'), ''],
    ['for another box', signed({ ...ORDER, gatewayId: 'branch2' }), 'is for branch2'],
    ['for an earlier life', signed({ ...ORDER, wireguardPublicKey: OTHER_KEY }), 'earlier life'],
    ['that is a desired state', signed(desired(1)), 'problem'],
    ['with a changed byte', signed(ORDER).replace(/.\./, 'A.'), ''],
    ['that is nothing', 'x', ''],
  ])('%s is refused, and nothing happens', async (_name, jws, words) => {
    const { happened, orders } = box();
    await orders.carryOut('o2', jws);
    expect(happened).toHaveLength(1);
    expect(happened[0]).toMatch(/^o2 no: /);
    expect(happened[0]).toContain(words);
  });

  it('to test uplinks is begun and answered, and no longer once it is old', async () => {
    const { happened, orders } = box();
    const order = { ...ORDER, order: 'test-uplinks', request: { uplink: 'lte' } };
    await orders.carryOut('o4', signed({ ...order, notAfterMs: NOW_MS }));
    await orders.carryOut('o5', signed({ ...order, notAfterMs: NOW_MS - 1 }));
    expect(happened).toEqual([
      'test {"uplink":"lte"}',
      'o4 yes: testing',
      'o5 no: the order to test uplinks is too old',
    ]);
  });

  it('to move is handed on, and the answer is what the identity process says', async () => {
    const { happened, orders } = box();
    await orders.carryOut('o6', signed(MOVE));
    expect(happened).toEqual(['handed on', 'o6 yes: moving']);
  });

  it('to move is not handed on while something is on trial, and no order is while another owner is tried', async () => {
    const trial = box(true, { onTrial: 'a desired state' });
    await trial.orders.carryOut('o7', signed(MOVE));
    expect(trial.happened).toEqual([
      'o7 no: a desired state is on trial (order the move again when that has ended)',
    ]);
    const tried = box(true, { isTried: true });
    await tried.orders.carryOut('o8', signed(ORDER));
    expect(tried.happened).toEqual(['o8 no: this box is on its way, and takes no orders']);
  });

  it('is refused by a box without an owner', async () => {
    const { happened, orders } = box(false);
    await orders.carryOut('o3', signed(ORDER));
    expect(happened).toEqual(['o3 no: this box has no owner']);
  });
});
