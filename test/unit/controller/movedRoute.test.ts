/** What a box says of its way to another controller once it is there: taken where it names the order, and remembered. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { createMovedRoute } from '../../../src/controller/movedRoute.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const SERIAL = 'SN-1';

describe('the word of a box that left', () => {
  let store: Store;
  const MOVE = { to: 'next.example', becomes: 'there', generation: 7, orderedAtMs: 1 };
  beforeEach(async () => {
    store = openSqliteStore(':memory:');
    await store.inventory.add(SERIAL, { approved: true }, 1);
  });
  const moveNow = async () => (await store.inventory.get(SERIAL))?.move;
  const say = async (body: string, atMs: number, line: object = {}) => {
    const { handle } = createMovedRoute({
      store,
      clock: { nowMs: () => atMs },
      log: silentLog,
    });
    const request = Object.assign(Readable.from([Buffer.from(body)]), { headers: {} }) as IncomingMessage;
    const box = { gatewayId: 'branch1', serial: SERIAL };
    return (await handle(box, request, { method: 'POST', path: '/v1/moved', ...line }))?.status;
  };
  const WORD = '{"generation":7}';

  it('counts where it names the order, once, and is written down', async () => {
    await store.inventory.recordMove(SERIAL, MOVE);
    expect(await say(WORD, 50)).toBe(204);
    expect(await say(WORD, 60)).toBe(204);
    expect(await moveNow()).toEqual({ ...MOVE, movedAtMs: 50 });
    const audit = await store.records.auditPage({ limit: 10 });
    expect(audit.map(({ actor, action, detail }) => [actor, action, detail])).toEqual([
      ['gateway:branch1', 'moved', `${SERIAL} to next.example as there`],
    ]);
  });

  it.each([
    ['of another order', '{"generation":6}', 409],
    ['that says where it is', '{"generation":7,"to":"elsewhere.example"}', 400],
    ['that is none', '{', 400],
    ['without end', `{"generation":7${' '.repeat(2000)}}`, 413],
  ])('%s changes nothing', async (_what, body, status) => {
    await store.inventory.recordMove(SERIAL, MOVE);
    expect(await say(body, 50)).toBe(status);
    expect(await moveNow()).toEqual(MOVE);
    expect(await store.records.auditPage({ limit: 10 })).toEqual([]);
  });

  it('of a box that was ordered nowhere changes nothing, nor does another request', async () => {
    expect(await say(WORD, 50)).toBe(409);
    expect(await moveNow()).toBeUndefined();
    expect(await say(WORD, 50, { method: 'GET' })).toBeUndefined();
    expect(await say(WORD, 50, { path: '/v1/ping' })).toBeUndefined();
  });

  it('is forgotten once the box enrols here again', async () => {
    await store.inventory.recordMove(SERIAL, { ...MOVE, movedAtMs: 50 });
    const certificate = {
      fingerprintSha256: 'f',
      number: '1',
      kind: 'ldevid',
      subject: 'branch1',
      serial: SERIAL,
      notAfterMs: 9,
      pem: '',
    } as const;
    expect(await store.records.enrol(certificate, 60)).toBe(true);
    expect(await moveNow()).toBeUndefined();
  });
});
