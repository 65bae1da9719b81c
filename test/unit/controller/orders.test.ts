import { describe, expect, it } from 'vitest';
import { NO_ALLOCATIONS } from '../../../src/controller/allocations.ts';
import { createOrders } from '../../../src/controller/orders.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import type { Command } from '../../../src/model/mqtt.ts';
import { SMALL_FLEET } from './fixtures.ts';
import { statusWith } from './statusFixture.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');

async function world(timeoutMs: number) {
  const store = openSqliteStore(':memory:');
  await store.gateways.putStatus(statusWith('branch1', { sequence: 1, seed: 7 }), 1);
  const sent: Command[] = [];
  const orders = createOrders({
    store,
    signer: { order: async (order) => `signed ${JSON.stringify(order)}` },
    command: async (gatewayId, command) => {
      sent.push(command);
      answer(gatewayId, command);
    },
    clock: { nowMs: () => 1 },
    timeoutMs,
  });
  let answer = (_gatewayId: string, _command: Command): void => {};
  const audit = async () =>
    (await store.records.auditPage({ limit: 10 })).map(({ detail }) => detail.replace(/order .*/, 'order'));
  return {
    store,
    orders,
    sent,
    audit,
    onSent: (next: typeof answer) => {
      answer = next;
    },
  };
}
const idOf = (command: Command): string => ('id' in command ? command.id : '');

describe('an order to a gateway', () => {
  it('is signed for the life that reported last, and ends with the box\u2019s words', async () => {
    const { orders, sent, audit, onSent } = await world(60_000);
    onSent((gatewayId, command) => {
      orders.answered('branch2', { kind: 'done', id: idOf(command), ok: false, message: 'not mine' });
      orders.answered(gatewayId, { kind: 'done', id: idOf(command), ok: true, message: 'resetting' });
    });
    expect(await orders.factoryReset('branch1', 'admin')).toBe('resetting');
    expect(sent).toMatchObject([{ kind: 'order', jws: expect.stringContaining(KEY) }]);
    expect(await audit()).toEqual(['order', 'accepted: resetting']);
  });

  it('to test uplinks is signed for a minute, with what was asked', async () => {
    const { orders, sent, audit, onSent } = await world(60_000);
    onSent((gatewayId, command) =>
      orders.answered(gatewayId, { kind: 'done', id: idOf(command), ok: true, message: 'testing' }),
    );
    expect(await orders.testUplinks('branch1', { uplink: 'lte' }, 'admin')).toBe('testing');
    expect(sent).toMatchObject([
      { jws: expect.stringContaining('"notAfterMs":60001,"request":{"uplink":"lte"}') },
    ]);
    expect(await audit()).toEqual(['order', 'accepted: testing']);
  });

  it('is not sent to a box that was revoked, which hears none', async () => {
    const { orders, sent, store } = await world(60_000);
    const { serial = '' } = (await store.gateways.reportedKeys())[0] ?? {};
    await store.inventory.add(serial, { approved: true, twoFactor: false }, 1);
    await store.inventory.update(serial, { state: 'revoked' });
    await expect(orders.factoryReset('branch1', 'admin')).rejects.toMatchObject({
      code: 'controller/conflict',
      message: `the box of branch1, ${serial}, is revoked, so it hears no order`,
      mend: expect.stringContaining(`branchbox fleet release ${serial}`),
    });
    expect(sent).toEqual([]);
  });

  it('waits for the box that was given the place, and speaks of no trust in the revoked one before it', async () => {
    const { orders, sent, store } = await world(60_000);
    const { serial = '' } = (await store.gateways.reportedKeys())[0] ?? {};
    await store.inventory.add(serial, { approved: true, twoFactor: false }, 1);
    await store.inventory.update(serial, { state: 'revoked' });
    const gateways = SMALL_FLEET.gateways.map((one) =>
      one.id === 'branch1' ? { ...one, serial: 'SN-9' } : one,
    );
    await store.fleet.replace({ fleet: { ...SMALL_FLEET, gateways }, allocations: NO_ALLOCATIONS }, 0, 1);
    await expect(orders.factoryReset('branch1', 'admin')).rejects.toMatchObject({
      code: 'controller/not-found',
      message: 'SN-9 has the place of branch1 now, and has not reported yet, so there is none to be reset',
      mend: expect.not.stringContaining('release'),
    });
    expect(sent).toEqual([]);
  });

  it('that is refused, not answered or for nobody says so', async () => {
    const { orders, audit, onSent } = await world(1);
    await expect(orders.factoryReset('branch9', 'admin')).rejects.toMatchObject({
      code: 'controller/not-found',
    });
    await expect(orders.factoryReset('branch1', 'admin')).rejects.toMatchObject({
      code: 'controller/unreachable',
    });
    onSent((gatewayId, command) =>
      orders.answered(gatewayId, { kind: 'done', id: idOf(command), ok: false, message: 'no' }),
    );
    await expect(orders.factoryReset('branch1', 'admin')).rejects.toMatchObject({
      code: 'controller/refused',
    });
    expect(await audit()).toEqual(['order', 'no answer', 'order', 'refused: no']);
  });
});
