/**
 * Which certificates are on the revocation list, and in what order signer, broker and sessions learn of it.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { openRevocations } from '../../../src/controller/revocations.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { RevokedCertificate } from '../../../src/pki/crl.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { createControllerParts } from './controllerParts.ts';
import { SMALL_FLEET } from './fixtures.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
const log = createLogger({ name: 'test', write: () => undefined });
const away = (what: string) => new BranchboxError('controller/unreachable', { message: `${what} is away` });

/** Time that passes when the test says so. */
function createManualClock() {
  let passedMs = 0;
  const sleepers = new Set<{ untilMs: number; wake: () => void }>();
  /** Everything that can go on without time passing has gone on. */
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    nowMs: () => START_MS + passedMs,
    monotonicMs: () => passedMs,
    sleep: (durationMs: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { untilMs: passedMs + durationMs, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        });
      }),
    settled,
    async pass(durationMs: number): Promise<void> {
      const endMs = passedMs + durationMs;
      for (;;) {
        await settled();
        const next = [...sleepers].sort((a, b) => a.untilMs - b.untilMs)[0];
        if (next === undefined || next.untilMs > endMs) break;
        sleepers.delete(next);
        passedMs = Math.max(passedMs, next.untilMs);
        next.wake();
      }
      passedMs = endMs;
      await settled();
    },
  };
}

let ending = new AbortController();
afterEach(() => {
  ending.abort();
  ending = new AbortController();
});

async function world() {
  const store = openSqliteStore(':memory:');
  const clock = createManualClock();
  const { setFleet, admissions } = createControllerParts({ store, clock, log });
  await setFleet(SMALL_FLEET);
  const happened: string[] = [];
  const absent = { signer: 0, signerMs: 0, session: false, brokerMs: 0 };
  const lists: { others: readonly Uint8Array[] } = { others: [] };
  let last: readonly RevokedCertificate[] = [];
  const enrol = async (id: string, number: string, lifeMs = 90 * DAY_MS): Promise<boolean> => {
    const serial = `SN-${id}`;
    await store.inventory.add(serial, { approved: true }, 1);
    await store.inventory.bind(serial, { issuerKeyId: 'aa', spkiSha256: id }, 1);
    const certificate = {
      fingerprintSha256: `print-${number}`,
      number,
      kind: 'ldevid' as const,
      subject: id,
      serial,
      notAfterMs: clock.nowMs() + lifeMs,
      pem: '',
    };
    return store.records.enrol(certificate, clock.nowMs());
  };
  await enrol('branch1', '0a');
  await enrol('branch1', '0b');
  await enrol('branch2', '0c');
  const revocations = await openRevocations({
    store,
    admissions,
    signer: {
      async revocationList(revoked) {
        if (absent.signer > 0) {
          absent.signer -= 1;
          throw away('the signer');
        }
        if (absent.signerMs > 0) await clock.sleep(absent.signerMs);
        last = revoked;
        happened.push(`sign ${revoked.map(({ number }) => number).join(' ')}`);
        const nextUpdateMs = clock.nowMs() + 10 * DAY_MS;
        return { der: Buffer.from(`list ${happened.length}`), nextUpdateMs, others: lists.others };
      },
    },
    broker: () => ({
      async revoke(pem) {
        if (absent.brokerMs > 0) await clock.sleep(absent.brokerMs);
        happened.push(`tell ${Buffer.from(pem.split('\n')[1] ?? '', 'base64').toString()}`);
      },
      async restart() {
        happened.push('restart');
      },
    }),
    async endSession(gatewayId) {
      if (absent.session) throw away('the broker');
      happened.push(`end ${gatewayId}`);
    },
    clock,
    log,
  });
  void revocations.run(ending.signal);
  await clock.settled();
  const setState = async (id: string, state: 'enrolled' | 'revoked'): Promise<void> => {
    await store.inventory.update(`SN-${id}`, { state });
    revocations.trigger();
    await clock.settled();
  };
  /** What happened since it was last asked. */
  const news = () => happened.splice(0);
  return { store, clock, setFleet, enrol, revocations, setState, absent, lists, news, list: () => last };
}

describe('a revoked box', () => {
  it('has all its certificates listed, then its session ended, and once more for who had shown one before', async () => {
    const { clock, setState, news, list } = await world();
    expect(news()).toEqual(['sign ']);
    await setState('branch1', 'revoked');
    expect(news()).toEqual(['sign 0a 0b', 'tell list 1', 'end branch1']);
    expect(list()).toEqual([
      { number: '0a', revokedAtMs: START_MS, reason: 'certificateHold' },
      { number: '0b', revokedAtMs: START_MS, reason: 'certificateHold' },
    ]);
    await clock.pass(99_000);
    expect(news()).toEqual([]);
    await clock.pass(2_000);
    expect(news()).toEqual(['end branch1']);
    await clock.pass(DAY_MS);
    expect(news()).toEqual([]);
  });

  it('is taken back: it leaves the list, and its session is let be', async () => {
    const { clock, setState, news, revocations } = await world();
    await setState('branch1', 'revoked');
    await clock.pass(50_000);
    news();
    await setState('branch1', 'enrolled');
    expect(news()).toEqual(['sign ', 'tell list 1']);
    expect(Buffer.from(revocations.list.der).toString()).toBe('list 1');
    await clock.pass(DAY_MS);
    expect(news()).toEqual([]);
  });

  it('is not put out before the list is in force, however long the signer is away', async () => {
    const { clock, setState, news, absent, revocations } = await world();
    news();
    absent.signer = 3;
    await setState('branch1', 'revoked');
    expect([news(), revocations.ailment]).toEqual([[], expect.stringContaining('the signer is away')]);
    await clock.pass(60_000);
    expect([news(), revocations.ailment]).toEqual([['sign 0a 0b', 'tell list 1', 'end branch1'], undefined]);
  });

  it('takes everybody’s session with it where its own cannot be ended', async () => {
    const { clock, setState, news, absent } = await world();
    news();
    absent.session = true;
    await setState('branch1', 'revoked');
    expect(news()).toEqual(['sign 0a 0b', 'tell list 1', 'restart']);
    absent.session = false;
    await clock.pass(200_000);
    expect(news()).toEqual([]);
  });

  it('does not wait for more than the broker itself when that hung for another one', async () => {
    const { clock, setState, news, absent } = await world();
    news();
    absent.brokerMs = 10_000;
    await setState('branch1', 'revoked');
    await clock.pass(5_000);
    absent.brokerMs = 0;
    await setState('branch2', 'revoked');
    expect(news()).toEqual(['sign 0a 0b']);
    await clock.pass(5_000);
    expect(news()).toEqual(['tell list 1', 'end branch1', 'sign 0a 0b 0c', 'tell list 3', 'end branch2']);
  });

  it('gets no certificate that was on its way meanwhile', async () => {
    const { enrol, setState, store } = await world();
    await setState('branch1', 'revoked');
    expect(await enrol('branch1', '0d')).toBe(false);
    expect(await store.records.certificate('print-0d')).toBeUndefined();
    expect((await store.inventory.get('SN-branch1'))?.state).toBe('revoked');
  });
});

describe('a box that lost its place', () => {
  it('to another one is as good as revoked: it still holds a certificate of that name', async () => {
    const { clock, setFleet, revocations, news } = await world();
    news();
    const gateways = SMALL_FLEET.gateways.map((gateway) =>
      gateway.id === 'branch1' ? { ...gateway, serial: 'SN-new' } : gateway,
    );
    await setFleet({ ...SMALL_FLEET, gateways });
    revocations.trigger();
    await clock.settled();
    expect(news()).toEqual(['sign 0a 0b', 'tell list 1', 'end branch1']);
  });

  it('and one that the inventory forgot', async () => {
    const { clock, store, revocations, news } = await world();
    news();
    await store.inventory.remove('SN-branch2');
    revocations.trigger();
    await clock.settled();
    expect(news()).toEqual(['sign 0c', 'tell list 1', 'end branch2']);
  });
});

describe('the list', () => {
  it('goes to the broker with that of the CA before, where there is one', async () => {
    const { setState, revocations, lists, news } = await world();
    lists.others = [Buffer.from('of the CA before')];
    await setState('branch1', 'revoked');
    const [told] = news().filter((word) => word.startsWith('tell '));
    const blocks = revocations.list.pem.match(/-----BEGIN X509 CRL-----\n.*\n/g) ?? [];
    expect(blocks.map((block) => Buffer.from(block.split('\n')[1] ?? '', 'base64').toString())).toEqual([
      told?.slice('tell '.length),
      'of the CA before',
    ]);
    expect(`tell ${Buffer.from(revocations.list.der).toString()}`).toBe(told);
  });

  it('is made anew when the signer has an entry of its own more, also where the signer was away just then', async () => {
    const { clock, revocations, news, absent } = await world();
    news();
    revocations.listAnew();
    await clock.settled();
    expect(news()).toEqual(['sign ', 'tell list 1']);
    absent.signer = 2;
    revocations.listAnew();
    await clock.pass(60_000);
    expect(news()).toEqual(['sign ', 'tell list 1']);
    await clock.pass(DAY_MS);
    expect(news()).toEqual([]);
  });

  it('is made once more for an entry that the signer got while it made one', async () => {
    const { clock, revocations, news, absent } = await world();
    news();
    absent.signerMs = 1_000;
    revocations.listAnew();
    await clock.settled();
    revocations.listAnew();
    await clock.pass(60_000);
    expect(news()).toEqual(['sign ', 'tell list 1', 'sign ', 'tell list 3']);
  });

  it('is renewed when half of its life is left, whether or not anything changed', async () => {
    const { clock, news } = await world();
    news();
    await clock.pass(4.9 * DAY_MS);
    expect(news()).toEqual([]);
    await clock.pass(0.2 * DAY_MS);
    expect(news()).toEqual(['sign ', 'tell list 1']);
    await clock.pass(5 * DAY_MS);
    expect(news()).toEqual(['sign ', 'tell list 1']);
  });

  it('holds a certificate for one list longer than it was valid (RFC 5280 3.3), and no longer', async () => {
    const { clock, enrol, setState, list } = await world();
    await enrol('hub', '0e', DAY_MS);
    await setState('hub', 'revoked');
    await clock.pass(10.5 * DAY_MS);
    expect(list().map(({ number }) => number)).toEqual(['0e']);
    await clock.pass(DAY_MS);
    expect(list()).toEqual([]);
  });
});
