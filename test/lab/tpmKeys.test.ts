/**
 * Keys in a TPM, for real: swtpm, Debian 13's provider in the box's Node 24, openssl at the other end.
 */
import { createPublicKey } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/model/secret.ts';
import { issueCertificate } from '../../src/pki/issue.ts';
import { exportPrivateKey, sameKey } from '../../src/pki/keys.ts';
import { parseRequest } from '../../src/pki/request.ts';
import { publicKeyOfTpmKey } from '../../src/pki/tss2.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { issue, makeCa } from '../unit/pki/domain.ts';
import { createProcesses } from './processes.ts';
import { createTpmWorld, type TpmWorld } from './tpmWorld.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const ENTRY = 'test/lab/tpmKey.ts';
const runner = createRunner();
const processes = createProcesses();
const lifetime = { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() + 3_600_000 };
let world: TpmWorld;
let directory: string;
let made: unknown;
const at = (name: string): string => join(directory, name);
const read = (name: string): Promise<string> => readFile(at(name), 'utf8');

/** Its last line. */
async function inWorld(where: TpmWorld, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await where.run(where.entry([directory], ENTRY, ...args));
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim().split('\n').at(-1) ?? '';
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-tpm-keys-'));
  world = await createTpmWorld();
  made = JSON.parse(await inWorld(world, 'make', directory));
});
afterAll(async () => {
  await processes.end('SIGKILL');
  await world.remove();
  await rm(directory, { recursive: true });
});

describe('a key in a TPM', () => {
  it('is a file that only wraps it, and whose public half we read as openssl does', async () => {
    expect(made).toEqual({
      holder: 'tpm',
      next: 'tpm',
      why: expect.stringContaining('provider tpm2 1.3'),
      unusedTpm: false,
    });
    const pem = await read('key.pem');
    expect(pem).toContain('BEGIN TSS2 PRIVATE KEY');
    const words = [
      'openssl',
      'pkey',
      '-provider',
      'tpm2',
      '-provider',
      'default',
      '-in',
      at('key.pem'),
      '-pubout',
    ];
    const theirs = await world.run(world.command([directory], words));
    expect(sameKey(publicKeyOfTpmKey(new Secret(pem)), createPublicKey(theirs.stdout))).toBe(true);
  });

  it('signs a request that openssl verifies', async () => {
    const words = ['req', '-in', at('request.pem'), '-verify', '-noout', '-subject'];
    const { exitCode, stdout, stderr } = await runner.run('openssl', words);
    expect([exitCode, stdout + stderr]).toEqual([0, expect.stringMatching(/SN-1[^]*verify OK/)]);
    expect(parseRequest(await read('request.pem')).subject).toMatchObject({ serialNumber: 'SN-1' });
  });

  it('may be made by a factory that has no more of this project than one script', async () => {
    const script = `cd "$1"
      "$2" >by-hand.key
      openssl req -provider tpm2 -provider default -propquery '?provider=tpm2' -new -key by-hand.key \
        -subj /serialNumber=SN-3 -out by-hand.csr`;
    const { exitCode, stderr } = await world.run(
      world.command(
        [directory, CHECKOUT],
        ['sh', '-euc', script, 'sh', directory, join(CHECKOUT, 'firmware/tpm-make-key')],
      ),
    );
    expect([exitCode, stderr]).toEqual([0, '']);
    const { subject, publicKey } = parseRequest(await read('by-hand.csr'));
    expect(subject.serialNumber).toBe('SN-3');
    expect(sameKey(publicKeyOfTpmKey(new Secret(await read('by-hand.key'))), publicKey)).toBe(true);
    expect(await inWorld(world, 'prove', at('by-hand.key'))).toBe('usable');
  });

  it('is used again and again within the three places that a process has in a TPM', async () => {
    expect(await inWorld(world, 'contexts', at('key.pem'), '20')).toBe('all of them');
  });

  it('is worth nothing at another TPM, which says so, and what mends it', async () => {
    const other = await createTpmWorld();
    try {
      expect(await inWorld(other, 'prove', at('key.pem'))).toMatch(
        /^bootstrap\/key-lost: A key of this box was made by another TPM, or by this one before it was cleared \(put the TPM back/,
      );
    } finally {
      await other.remove();
    }
    expect(await inWorld(world, 'prove', at('key.pem'))).toBe('usable');
  });
});

describe('a TLS client with a key in a TPM', () => {
  const ca = makeCa('Test CA', lifetime);
  let certificate: string;

  /** openssl, with a page about the connection for whoever shows a certificate of that CA; its port. */
  async function serve(version: string, anchor = 'ca.pem'): Promise<string> {
    const files = ['-cert', at('server.pem'), '-key', at('server.key'), '-CAfile', at(anchor)];
    const words = ['s_server', '-accept', '127.0.0.1:0', ...files, '-Verify', '3', '-verify_return_error'];
    const server = processes.start('openssl', [...words, version, '-www']);
    const line = await server.said(/^ACCEPT 127\.0\.0\.1:\d+/);
    return line.replace(/^.*:/, '');
  }

  beforeAll(async () => {
    const { publicKey } = parseRequest(await read('request.pem'));
    certificate = issueCertificate({
      profile: { kind: 'ldevid', gatewayId: 'branch1' },
      publicKey,
      issuer: ca,
      validity: lifetime,
    }).pem;
    const names = { commonName: 'server', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
    const server = issue(ca, { kind: 'server', ...names }, lifetime);
    await writeFile(at('ca.pem'), ca.certificate.pem);
    await writeFile(at('other-ca.pem'), makeCa('Other CA', lifetime).certificate.pem);
    await writeFile(at('client.pem'), certificate);
    await writeFile(at('server.pem'), server.certificate.pem);
    await writeFile(at('server.key'), exportPrivateKey(server.key).reveal());
  });

  it('proves itself to openssl over TLS 1.2 and 1.3, and not to whoever trusts another CA', async () => {
    const ports = [await serve('-tls1_2'), await serve('-tls1_3'), await serve('-tls1_3', 'other-ca.pem')];
    const client = world.entry(
      [directory],
      ENTRY,
      'connect',
      at('key.pem'),
      at('client.pem'),
      at('ca.pem'),
      ...ports,
    );
    const { stdout } = await world.run(client);
    expect(stdout.trim().split('\n').slice(0, -1)).toEqual([
      '200 over TLSv1.2',
      '200 over TLSv1.3',
      expect.stringMatching(/^bootstrap\/unreachable: .*alert unknown ca/),
    ]);
  });

  it('whose TPM goes away in the midst says so, and does not end', async () => {
    const frail = await createTpmWorld();
    const own = at('frail');
    await mkdir(own);
    try {
      await cp(at('client.pem'), join(own, 'client.pem'));
      await inWorld(frail, 'make', own);
      const { publicKey } = parseRequest(await readFile(join(own, 'request.pem'), 'utf8'));
      const profile = { kind: 'ldevid', gatewayId: 'branch1' } as const;
      const issued = issueCertificate({ profile, publicKey, issuer: ca, validity: lifetime });
      await writeFile(join(own, 'client.pem'), issued.pem);
      const port = await serve('-tls1_3');
      const words = ['connect', join(own, 'key.pem'), join(own, 'client.pem'), at('ca.pem'), port, '-', port];
      const [program = '', ...args] = frail.entry([directory], ENTRY, ...words);
      const client = processes.start(program, args);
      await client.said(/^200 over TLSv1.3/);
      await client.said(/^waits$/);
      await frail.takeAway();
      client.child.kill('SIGUSR2');
      expect(await client.said(/^\w+\/\S+:/)).toMatch(
        /^system\/key-unusable: A key of this box that its TPM holds/,
      );
      await client.said(/^done$/);
    } finally {
      await frail.remove();
    }
  });
});

describe('tpm-ready', () => {
  const ready = async (...environment: readonly string[]): Promise<string> => {
    const words = ['env', ...environment, join(CHECKOUT, 'firmware/tpm-ready')];
    return (await world.run(world.command([CHECKOUT], words))).stdout.trim();
  };

  it('says which provider serves the TPM, that there is none, or what it hears', async () => {
    expect(await ready()).toMatch(/^ready 1\.\d/);
    expect(await ready('TPM2OPENSSL_TCTI=')).toBe('no-chip');
    expect(await ready('TPM2OPENSSL_TCTI=device:/dev/null')).toMatch(/^failed \S/);
  });
});
