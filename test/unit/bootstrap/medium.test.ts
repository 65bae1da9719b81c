/**
 * A bootstrap medium: what is taken from it, that the box goes on from it alone, and every way it is refused.
 */
import { describe, expect, it } from 'vitest';
import { Journal } from '../../../src/model/bootstrap.ts';
import type { ErrorCode } from '../../../src/model/errors.ts';
import { BootstrapNetwork, MEDIUM_FILE_MAX_BYTES, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { ownerCertificate, wrapConveyed } from '../../../src/pki/conveyed.ts';
import { createVoucher, type Voucher } from '../../../src/pki/voucher.ts';
import { authority, DAY_MS, GATEWAY, issued, NOW_MS, SERIAL } from './authorities.ts';
import type { LogLine } from './box.ts';
import { conveyedBy, createFaultBench, failed, ownerOf } from './faultBench.ts';
import { onboarding, redirect } from './servers.ts';

const bench = createFaultBench();
const STATIC = {
  schema: 1,
  addressing: { kind: 'static', address: '192.0.2.5/24', gateway: '192.0.2.1', dns: ['192.0.2.53'] },
  bootstrapServers: [],
} as const;

interface Tree {
  conveyed?: Uint8Array | undefined;
  ownerCertificate?: Uint8Array | undefined;
  voucher?: Uint8Array | undefined;
}
const voucher = (bent: Partial<Voucher> = {}, by = bench.authorities.voucherSigner): Uint8Array =>
  createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs: NOW_MS - DAY_MS,
      expiresOnMs: NOW_MS + 30 * DAY_MS,
      nonce: undefined,
      idevidIssuer: bench.authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: bench.authorities.domain.certificate,
      ...bent,
    },
    signer: by,
  });
const good = (network: unknown = STATIC): Required<Tree> => ({
  conveyed: conveyedBy(bench, onboarding({ ...ownerOf(bench), network })),
  ownerCertificate: ownerCertificate(bench.authorities.ownerSigner),
  voucher: voucher(),
});
async function plugIn(tree: Tree, name = 'sdb1'): Promise<void> {
  const { box } = bench;
  for (const [what, file] of Object.entries(MEDIUM_FILES)) {
    const bytes = tree[what as keyof Tree];
    if (bytes !== undefined) await box.files.writeDurable(`${box.directory}/media/${name}/${file}`, bytes);
  }
}
async function pullOut(name = 'sdb1'): Promise<void> {
  for (const file of Object.values(MEDIUM_FILES)) {
    await bench.box.files.remove(`${bench.box.directory}/media/${name}/${file}`);
  }
}
const read = (name: string) => bench.box.files.readText(`${bench.box.paths.state}/${name}`);
const entries = async () => Journal.parse(JSON.parse((await read('journal.json')) ?? '')).entries;
const states = async () => (await entries()).map(({ state }) => state);
const run = (until: Parameters<typeof bench.box.run>[0]['until'], dieAt?: number) =>
  bench.box.run({ controller: bench.controller, until, ...(dieAt === undefined ? {} : { dieAt }) });
const refused = (line: LogLine): boolean => line.message === 'bootstrap medium refused';

describe('a box with a medium', () => {
  it('is owned with no WAN at all, waits for one, and goes on by itself', async () => {
    const { box } = bench;
    const wan = box.uplinks;
    box.uplinks = [];
    await plugIn(good());
    await run('OWNED');
    expect(await states()).toEqual(['FACTORY', 'OWNED']);
    expect(BootstrapNetwork.parse(JSON.parse((await read('network.json')) ?? ''))).toEqual(STATIC);
    await pullOut();
    // Nobody can be asked; that is waited for and is no failure.
    let looks = 0;
    Object.defineProperty(box, 'uplinks', {
      get: () => {
        looks += 1;
        return looks < 50 ? [] : wan;
      },
    });
    await run('OPERATIONAL');
    expect(box.log.filter(failed)).toEqual([]);
    expect(await states()).not.toContain('PROVISIONAL');
    expect(bench.controller.asked.join()).not.toContain('bootstrapping-data');
    expect(await read('medium.json')).toBeUndefined();
    expect(await read('network.json')).toBeDefined();
  });

  it('that is plugged in while the box waits for an address is taken then', async () => {
    const { box } = bench;
    box.uplinks = [];
    let asked = 0;
    Object.defineProperty(box, 'uplinks', {
      get: () => {
        asked += 1;
        if (asked === 3) void plugIn(good());
        return [];
      },
    });
    await run('OWNED');
    expect(await states()).toEqual(['FACTORY', 'LINK', 'ADDR', 'OWNED']);
  });

  it('is through when it was killed at any write', async () => {
    for (let dieAt = 0; ; dieAt += 1) {
      await plugIn(good());
      const before = bench.box.log.length;
      const survived = await run('OWNED', dieAt);
      if (survived) break;
      await run('LDEVID');
      expect((await entries()).find(({ state }) => state === 'OWNED')?.note['gatewayId']).toBe(GATEWAY);
      expect(bench.box.log.length).toBeGreaterThan(before);
      for (const name of await bench.box.files.list(bench.box.paths.state)) {
        await bench.box.files.remove(`${bench.box.paths.state}/${name}`);
      }
    }
  });

  it('is forgotten in service also where the power went right behind the record of the owner', async () => {
    await plugIn(good());
    await run('STRICT');
    expect(await read('medium.json')).toBeDefined();
    const { box } = bench;
    await box.files.writeDurable(`${box.paths.state}/owner.json`, (await read('pending-owner.json')) ?? '');
    await run('OPERATIONAL');
    expect(await read('medium.json')).toBeUndefined();
  });

  it('asks online once the medium led nowhere, and comes back to it where nobody answers', async () => {
    const { box, controller } = bench;
    await plugIn(good());
    controller.behaviour.cacerts = () => ({ status: 500 });
    await run((line) => line.message === 'bootstrap state entered' && line.fields['state'] === 'PROVISIONAL');
    controller.behaviour.sztp = () => ({ status: 503 });
    await run('OWNED');
    const after = (await states()).slice(0, 5);
    expect(after).toEqual(['FACTORY', 'OWNED', 'DISCOVER', 'PROVISIONAL', 'OWNED']);
    expect(box.log.some(failed)).toBe(true);
    bench.mend();
    await run('OPERATIONAL');
  });

  it('may have a clock of 2045, or of 1970', async () => {
    const { box } = bench;
    for (const atMs of [Date.UTC(2045, 0, 1), 0]) {
      box.clock.setMs(atMs);
      await plugIn(good());
      await run('OWNED');
      expect((await entries()).at(-1)?.note['medium']).toMatch(/^[0-9a-f]{16}$/);
      for (const name of await box.files.list(box.paths.state))
        await box.files.remove(`${box.paths.state}/${name}`);
    }
  });

  it('does not look at one once it was owned, whatever became of the record', async () => {
    const { box } = bench;
    await run('OPERATIONAL');
    await box.files.remove(`${box.paths.state}/owner.json`);
    await plugIn(good());
    bench.controller.asked.length = 0;
    await run('LDEVID');
    expect(bench.controller.asked.join()).toContain('bootstrapping-data');
    expect(await read('network.json')).toBeUndefined();
    expect((await entries()).filter(({ note }) => note['medium'] !== undefined)).toEqual([]);
  });
});

describe('a medium is refused, told, and does not hold the box up', () => {
  const stranger = () => issued(bench.authorities.stranger, { kind: 'owner', commonName: 'owner' });
  const flip = (der: Uint8Array): Uint8Array => der.map((byte, at) => (at === 700 ? byte ^ 1 : byte));
  const cases: readonly (readonly [string, ErrorCode, () => Tree])[] = [
    [
      'of another serial',
      'pki/mismatch',
      () => ({ ...good(), voucher: voucher({ serialNumber: 'BBX-0002' }) }),
    ],
    [
      'with a voucher that answers a nonce',
      'pki/mismatch',
      () => ({ ...good(), voucher: voucher({ nonce: new Uint8Array(32), expiresOnMs: undefined }) }),
    ],
    [
      'that expired',
      'pki/expired',
      () => ({
        ...good(),
        voucher: voucher({ createdOnMs: NOW_MS - 60 * DAY_MS, expiresOnMs: NOW_MS - DAY_MS }),
      }),
    ],
    [
      'whose voucher somebody else signed',
      'pki/untrusted',
      () => ({ ...good(), voucher: voucher({}, stranger()) }),
    ],
    ['with a bit flipped in the voucher', 'pki/untrusted', () => ({ ...good(), voucher: flip(voucher()) })],
    [
      'whose network somebody else signed',
      'pki/untrusted',
      () => ({
        ...good(),
        conveyed: conveyedBy(bench, onboarding({ ...ownerOf(bench), network: STATIC }), stranger()),
        ownerCertificate: ownerCertificate(stranger()),
      }),
    ],
    [
      'whose network nobody signed',
      'pki/malformed',
      () => ({
        ...good(),
        conveyed: wrapConveyed(onboarding({ ...ownerOf(bench), network: STATIC }), 'json'),
      }),
    ],
    ['with onboarding information alone', 'pki/untrusted', () => ({ conveyed: good().conveyed })],
    [
      'with a redirect',
      'pki/mismatch',
      () => ({ ...good(), conveyed: conveyedBy(bench, redirect([{ address: '192.0.2.1', port: 443 }])) }),
    ],
    [
      'that names another domain CA than its voucher',
      'pki/mismatch',
      () => ({
        ...good(),
        conveyed: conveyedBy(
          bench,
          onboarding({ ...ownerOf(bench), domainAnchorPem: authority('other').certificate.pem }),
        ),
      }),
    ],
    [
      'with a network that makes no sense',
      'model/invalid',
      () => good({ schema: 1, addressing: { kind: 'carrier pigeon' } }),
    ],
    [
      'that is huge',
      'system/file',
      () => ({ ...good(), conveyed: new Uint8Array(MEDIUM_FILE_MAX_BYTES + 1) }),
    ],
    ['that holds noise', 'pki/malformed', () => ({ ...good(), voucher: Buffer.from('noise') })],
  ];
  it.each(cases)('%s', async (_, code, tree) => {
    const { box } = bench;
    await plugIn(tree());
    await run('PROVISIONAL');
    expect(box.log.filter(refused).map(({ fields }) => fields['code'])).toEqual([code]);
    expect(await read('network.json')).toBeUndefined();
    expect(await read('pending-owner.json')).toBeUndefined();
    expect(await read('medium.json')).toBeUndefined();
    await run('LDEVID');
  });

  it('and a good one beside it is taken', async () => {
    await plugIn({ ...good(), voucher: voucher({ serialNumber: 'BBX-0002' }) }, 'sda1');
    await plugIn(good(), 'sdb1');
    await run('OWNED');
    expect(await states()).toEqual(['FACTORY', 'OWNED']);
  });
});
