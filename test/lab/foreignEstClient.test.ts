/**
 * An EST client of somebody else's, strongSwan's `pki`, that has its own TLS, HTTP, PKCS#7 and PKCS#10, at the real
 * controller and signer: what a network team's tooling would do that knows RFC 7030 and not this project.
 */
import { execFile, type ExecFileException } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startControllerClients } from './controllerClients.ts';
import type { ControllerWorld } from './controllerWorld.ts';
import { createProcesses } from './processes.ts';

const run = promisify(execFile);
const processes = createProcesses();
let world: ControllerWorld;
let box1: string;
beforeAll(async () => {
  ({ world, box1 } = await startControllerClients());
});
afterAll(async () => {
  await processes.end('SIGKILL');
  await world.remove();
});

interface Ended {
  readonly exitCode: number;
  readonly output: Buffer;
  /** What it said, and that it has not all plugins that it was compiled for. */
  readonly said: string;
}

async function pki(...words: readonly string[]): Promise<Ended> {
  const options = { encoding: 'buffer', timeout: 60_000 } as const;
  try {
    const { stdout, stderr } = await run('pki', words, options);
    return { exitCode: 0, output: stdout, said: stderr.toString() };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as ExecFileException & { stdout: Buffer; stderr: Buffer };
    if (typeof code !== 'number') throw thrown;
    return { exitCode: code, output: stdout, said: stderr.toString() };
  }
}

const server = (): string[] => [
  '--url',
  `https://localhost:${world.ports.est}`,
  '--cacert',
  world.at('anchors/domain.pem'),
];
/** `<box>/ldevid.key` and a request for it, both by strongSwan. */
async function newRequest(box: string): Promise<string> {
  const key = join(box, 'ldevid.key');
  const made = await pki('--gen', '--type', 'ecdsa', '--size', '256', '--outform', 'pem');
  await writeFile(key, made.output, { mode: 0o600 });
  const asked = await pki('--req', '--type', 'ecdsa', '--in', key, '--dn', 'CN=whoever');
  expect(asked.exitCode, asked.said).toBe(0);
  const request = join(box, 'ldevid.req');
  await writeFile(request, asked.output);
  return request;
}
function words(request: string, certificate: string): string[] {
  const made = ['--in', request, '--outform', 'pem'];
  const proved = ['--cert', `${certificate}.crt`, '--key', `${certificate}.key`];
  return ['--est', ...server(), ...made, ...proved];
}
/** With a new key, proved by a certificate: its path without `.crt`, the key beside it. */
const enrol = async (box: string, certificate: string, ...more: readonly string[]): Promise<Ended> =>
  pki(...words(await newRequest(box), certificate), ...more);
const factoryOf = (box: string): string => join(box, 'idevid');

/** Its subject, of a certificate that openssl takes for a client's under this domain. */
async function subjectOf(box: string, { exitCode, output, said }: Ended): Promise<string> {
  expect(exitCode, said).toBe(0);
  const certificate = join(box, 'ldevid.crt');
  await writeFile(certificate, output);
  const verify = ['verify', '-CAfile', world.at('anchors/domain.pem'), '-purpose', 'sslclient', certificate];
  expect(await world.openssl(...verify)).toContain('OK');
  return (await world.openssl('x509', '-in', certificate, '-noout', '-subject')).trim();
}

describe('strongSwan’s pki', () => {
  it('has the CA from it', async () => {
    const out = world.at('pki-ca.pem');
    const { exitCode, said } = await pki('--estca', ...server(), '--caout', out, '--outform', 'pem');
    expect(exitCode, said).toBe(0);
    const [written = ''] = (await readdir(world.directory)).filter((name) => name.startsWith('pki-ca'));
    const fingerprint = (file: string) =>
      world.openssl('x509', '-in', world.at(file), '-noout', '-fingerprint', '-sha256');
    expect(await fingerprint(written)).toBe(await fingerprint('anchors/domain.pem'));
  });

  it('enrols by the factory’s identity, and renews by what it got', async () => {
    expect(await subjectOf(box1, await enrol(box1, factoryOf(box1)))).toMatch(/^subject=CN ?= ?one$/);
    const first = await world.openssl('x509', '-in', join(box1, 'ldevid.crt'), '-noout', '-serial');
    // The key that proves the old certificate is another one than that of the request.
    for (const file of ['crt', 'key'])
      await run('cp', [join(box1, `ldevid.${file}`), world.at(`renewed.${file}`)]);
    const renewal = await enrol(box1, world.at('renewed'));
    expect(await subjectOf(box1, renewal)).toMatch(/^subject=CN ?= ?one$/);
    expect(await world.openssl('x509', '-in', join(box1, 'ldevid.crt'), '-noout', '-serial')).not.toBe(first);
  });

  it('waits for an approval as it is told to, and is then given its certificate', async () => {
    const box = await world.newIdentity('SN-two');
    await world.patchInventory('SN-two', { approved: false });
    const asking = words(await newRequest(box), factoryOf(box));
    const waiting = processes.start('pki', [...asking, '--interval', '1']);
    await waiting.said(/EST request pending/);
    await world.patchInventory('SN-two', { approved: true });
    await waiting.said(/^-----END CERTIFICATE-----$/);
    const [exitCode] = waiting.child.exitCode === null ? await once(waiting.child, 'close') : [0];
    const lines = waiting.lines.slice(waiting.lines.indexOf('-----BEGIN CERTIFICATE-----'));
    const ended = { exitCode: Number(exitCode), output: Buffer.from(`${lines.join('\n')}\n`), said: '' };
    expect(await subjectOf(box, ended)).toMatch(/^subject=CN ?= ?two$/);
  });

  it('proves a code of the installer by HTTP Basic', async () => {
    await world.fleet('inventory', 'SN-three', '--two-factor');
    const box = await world.newIdentity('SN-three');
    const made = await world.fleet('activation', 'SN-three', '--json');
    const { code, link } = JSON.parse(made) as { code: string; link: string };
    const id = new URL(link).searchParams.get('link') ?? '';
    const ended = await enrol(box, factoryOf(box), '--userpass', `${id}:${code}`);
    expect(await subjectOf(box, ended)).toMatch(/^subject=CN ?= ?three$/);
  });

  it('is refused without an identity that is known, and gets nothing', async () => {
    const stranger = await world.newIdentity('SN-stranger');
    const { exitCode, output, said } = await enrol(stranger, factoryOf(stranger));
    expect(exitCode).not.toBe(0);
    expect(output).toHaveLength(0);
    expect(said).toMatch(/403/);
  });
});
