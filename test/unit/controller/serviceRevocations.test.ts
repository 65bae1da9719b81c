/**
 * A certificate of the controller's own taken out of use for good, with a real signer behind it: another key everywhere
 * before the entry, and what comes back by an old copy of the directory is not used again.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createRenewal } from '../../../src/controller/renewal.ts';
import {
  ensureServiceCredentials,
  type ServiceCredentials,
} from '../../../src/controller/serviceCredentials.ts';
import { createServiceRevocations } from '../../../src/controller/serviceRevocations.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { parseCertificates } from '../../../src/pki/certificate.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { refusal } from '../pki/domain.ts';
import { useSigner } from '../signer/signerWorld.ts';

const signer = useSigner();
const log = createLogger({ name: 'test', write: () => undefined });
const clock = createClock();
let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-services-'));
});
afterEach(() => rm(directory, { recursive: true }));

const numberOf = ({ certificatePem }: { readonly certificatePem: string }): string =>
  parseCertificates(certificatePem)[0]?.number ?? '';

async function world() {
  const store = openSqliteStore(':memory:');
  const { domain } = await signer.client().anchors();
  const ensure = (without?: string): Promise<ServiceCredentials> =>
    ensureServiceCredentials(
      {
        signer: signer.client(),
        store,
        files: createFiles(),
        clock,
        log,
        directory: join(directory, 'tls'),
        names: ['controller.example'],
        addresses: [],
        domain,
      },
      without,
    );
  const first = await ensure();
  const happened: string[] = [];
  const handFails: Error[] = [];
  const renewal = createRenewal({
    ensure,
    first,
    async hand(next) {
      const failure = handFails.pop();
      if (failure !== undefined) throw failure;
      happened.push(`server ${numberOf(next.server)} client ${numberOf(next.client)}`);
    },
    clock,
    log,
  });
  const client = signer.client();
  const revocations = createServiceRevocations({
    renewal,
    signer: {
      ...client,
      async revoke(number, reason) {
        happened.push(`revoke ${number}`);
        return client.revoke(number, reason);
      },
    },
    store,
    listAnew: () => void happened.push('list'),
    clock,
    log,
  });
  const revoke = (number: string) => revocations.revoke({ number, reason: 'keyCompromise', actor: 'admin' });
  return { store, ensure, first, renewal, revocations, revoke, happened, handFails };
}

it.each(['server', 'client'] as const)(
  'the %s certificate in use: every server has another key before it is revoked',
  async (kind) => {
    const { first, renewal, revocations, revoke, happened, ensure, store } = await world();
    const number = numberOf(first[kind]);
    expect(await revoke(number)).toEqual({ replaced: true });
    const { server, client } = renewal.current();
    expect(happened).toEqual([
      `server ${numberOf(server)} client ${numberOf(client)}`,
      `revoke ${number}`,
      'list',
    ]);
    expect(numberOf(renewal.current()[kind])).not.toBe(number);
    expect(renewal.current()[kind].key.reveal()).not.toBe(first[kind].key.reveal());
    // The other one is as it was.
    const other = kind === 'server' ? 'client' : 'server';
    expect(numberOf(renewal.current()[other])).toBe(numberOf(first[other]));
    expect(await ensure()).toEqual(renewal.current());
    const { inUse, revoked } = await revocations.overview();
    expect(inUse.map((one) => one.number)).toEqual([numberOf(server), numberOf(client)]);
    expect(revoked).toContainEqual(expect.objectContaining({ number, reason: 'keyCompromise' }));
    const [entry] = await store.records.auditPage({ limit: 1 });
    expect([entry?.actor, entry?.action, entry?.subject, entry?.detail]).toEqual([
      'admin',
      'service-certificate-revoked',
      number,
      'keyCompromise',
    ]);
  },
);

it('one of before is revoked, and nothing is made for it; again it is as it was', async () => {
  const { renewal, revoke, happened, first } = await world();
  expect(await revoke('4a0b')).toEqual({ replaced: false });
  expect(await revoke('4a0b')).toEqual({ replaced: false });
  expect(happened).toEqual(['revoke 4a0b', 'list', 'revoke 4a0b', 'list']);
  expect(renewal.current()).toEqual(first);
});

it('nothing is revoked while a server did not take the new one, and the next call ends it', async () => {
  const { first, revoke, happened, handFails, revocations, renewal } = await world();
  handFails.push(new Error('the broker did not take it'));
  const number = numberOf(first.server);
  await expect(revoke(number)).rejects.toThrow('the broker did not take it');
  expect(happened).toEqual([]);
  expect((await revocations.overview()).revoked.map((one) => one.number)).not.toContain(number);
  expect(await revoke(number)).toEqual({ replaced: true });
  expect(numberOf(renewal.current().server)).not.toBe(number);
});

it('a revoked one that comes back by an old copy of the directory is not used again', async () => {
  const { first, revoke, ensure } = await world();
  await cp(join(directory, 'tls'), join(directory, 'copy'), { recursive: true });
  await revoke(numberOf(first.server));
  await rm(join(directory, 'tls'), { recursive: true });
  await cp(join(directory, 'copy'), join(directory, 'tls'), { recursive: true });
  const next = await ensure();
  expect(numberOf(next.server)).not.toBe(numberOf(first.server));
  expect(numberOf(next.client)).toBe(numberOf(first.client));
});

it("a box's certificate is not revoked so, for good: its owner may take it back", async () => {
  const { store, revoke, happened } = await world();
  await store.inventory.add('SN-1', { approved: true }, 1);
  await store.inventory.bind('SN-1', { issuerKeyId: 'aa', spkiSha256: 'bb' }, 1);
  const record = { fingerprintSha256: 'f', number: '0c', kind: 'ldevid', subject: 'branch1' } as const;
  await store.records.enrol({ ...record, serial: 'SN-1', notAfterMs: 1, pem: '' }, 1);
  expect(await refusal(revoke('0c'))).toBe('controller/conflict');
  expect(happened).toEqual([]);
});
