/** EST as somebody else's clients see it: curl and openssl against the real manufacturer, signer and controller. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SZTP_GET_PATH } from '../../src/model/sztp.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { type ControllerClients, pkcs10, startControllerClients } from './controllerClients.ts';
import type { ControllerWorld, CurlAnswer } from './controllerWorld.ts';

let world: ControllerWorld;
let box1: string;
let sztp: ControllerClients['sztp'];
let est: ControllerClients['est'];
beforeAll(async () => {
  ({ world, box1, sztp, est } = await startControllerClients());
});
afterAll(() => world.remove());

describe('EST', () => {
  it('gives everybody the CA, on one line with its length', async () => {
    const answer = await est(box1, 'none', 'cacerts');
    expect(answer.headers.get('content-type')).toBe('application/pkcs7-mime; smime-type=certs-only');
    expect(answer.headers.get('content-length')).toBe(String(answer.body.length));
    expect(answer.body.toString('latin1')).toMatch(/^[A-Za-z0-9+/]+={0,2}$/);
    expect((await est(box1, 'none', 'csrattrs', '--tls-max', '1.2')).status).toBe(200);
  });

  it('makes an approved box wait for nothing, and any other wait', async () => {
    const box2 = await world.newIdentity('SN-two');
    const csr = await world.newRequest(box2, 'early', '/CN=two');
    await world.patchInventory('SN-two', { approved: false });
    const early = await est(box2, 'idevid', 'simpleenroll', ...pkcs10(csr));
    expect([early.status, early.headers.get('retry-after')]).toEqual([202, '15']);
    await world.patchInventory('SN-two', { approved: true });
    await world.enrol(box2);
    expect(await world.api('/api/v1/inventory/SN-two')).toMatchObject({ state: 'enrolled' });
  });

  it('names the certificate itself, whatever the request says, under TLS 1.2 and any label', async () => {
    const csr = await world.newRequest(box1, 'forged', '/CN=two/serialNumber=SN-two');
    const answer = await est(box1, 'idevid', 'label/simpleenroll', '--tls-max', '1.2', ...pkcs10(csr));
    expect(answer.status).toBe(200);
    await world.enrol(box1);
    const subject = await world.openssl('x509', '-in', join(box1, 'ldevid.crt'), '-noout', '-subject');
    // OpenSSL 3.0 (Debian 12) writes blanks around the sign, 3.5 (Debian 13) none.
    expect(subject.trim()).toMatch(/^subject=CN ?= ?one$/);
    const verify = ['verify', '-CAfile', world.at('anchors/domain.pem'), '-purpose', 'sslclient'];
    expect(await world.openssl(...verify, join(box1, 'ldevid.crt'))).toContain('OK');
  });

  it('takes a request in each form that RFC 8951 lets a client send, and as openssl writes files', async () => {
    const csr = await world.newRequest(box1, 'forms', '/CN=one');
    const lines = (await readFile(csr, 'latin1')).trim().split('\n');
    const write = async (name: string, content: string | Buffer) => {
      await writeFile(world.at(name), content);
      return pkcs10(world.at(name));
    };
    const encoding = (name: string) => ['-H', `Content-Transfer-Encoding: ${name}`];
    const forms: (readonly [string, readonly string[]])[] = [
      ['lines of 64 ending in CRLF', await write('crlf', lines.map((line) => `${line}\r\n`).join(''))],
      ['the same, called base64', [...(await write('crlf', lines.join('\r\n'))), ...encoding('base64')]],
      [
        'the same, called what it is not',
        [...(await write('crlf', lines.join('\r\n'))), ...encoding('binary')],
      ],
      ['one line without an end', await write('line', lines.join(''))],
      ['chunks', [...(await write('line', lines.join(''))), '-H', 'Transfer-Encoding: chunked']],
      ['DER', pkcs10(join(box1, 'forms.der'))],
      ['HTTP/1.0', [...(await write('line', lines.join(''))), '--http1.0']],
    ];
    for (const [form, words] of forms) {
      const { status, body } = await est(box1, 'idevid', 'simpleenroll', ...words);
      await writeFile(world.at('issued.p7'), Buffer.from(body.toString('latin1'), 'base64'));
      const issued = ['pkcs7', '-inform', 'DER', '-in', world.at('issued.p7'), '-print_certs'];
      const said = await world.openssl(...issued);
      expect([form, status, /^subject=CN ?= ?one$/m.test(said)]).toEqual([form, 200, true]);
    }
  });

  it('says in its CSR attributes what openssl reads as a key on P-256 and its signature', async () => {
    const answer = await est(box1, 'none', 'csrattrs');
    expect(answer.headers.get('content-type')).toBe('application/csrattrs');
    await writeFile(world.at('csrattrs'), Buffer.from(answer.body.toString('latin1'), 'base64'));
    const read = await world.openssl('asn1parse', '-inform', 'DER', '-in', world.at('csrattrs'));
    expect([...read.matchAll(/OBJECT +:(\S+)/g)].map(([, name]) => name)).toEqual([
      'id-ecPublicKey',
      'prime256v1',
      'ecdsa-with-SHA256',
    ]);
  });

  it('renews by the certificate that is renewed, and enrols a factory identity whichever way it asks', async () => {
    const csr = await world.newRequest(box1, 'renewal', '/CN=one');
    expect((await est(box1, 'ldevid', 'simplereenroll', ...pkcs10(csr))).status).toBe(200);
    expect((await est(box1, 'idevid', 'simplereenroll', ...pkcs10(csr))).status).toBe(200);
    expect((await est(box1, 'ldevid', 'simpleenroll', ...pkcs10(csr))).status).toBe(403);
  });

  it('keeps out a second key under a known serial, and the first keeps its place', async () => {
    const clone = await world.cloneOf('SN-one');
    const csr = await world.newRequest(clone, 'ldevid', '/CN=one');
    for (const operation of ['simpleenroll', 'simplereenroll']) {
      expect((await est(clone, 'idevid', operation, ...pkcs10(csr))).status).toBe(403);
    }
    expect((await sztp(clone, SZTP_GET_PATH, {})).status).toBe(403);
    const { spkiSha256 } = parseCertificate(await readFile(join(clone, 'idevid.crt'), 'utf8'));
    expect(await world.api('/api/v1/inventory/SN-one')).toMatchObject({
      state: 'enrolled',
      quarantined: [expect.objectContaining({ spkiSha256 })],
    });
    await world.enrol(box1);
  });

  it('gives a box many certificates and not without end, and no other box waits for it', async () => {
    const eager = await world.newIdentity('SN-four');
    const csr = await world.newRequest(eager, 'again', '/CN=four');
    let answer = await est(eager, 'idevid', 'simpleenroll', ...pkcs10(csr));
    let count = 0;
    for (; answer.status === 200 && count < 60; count += 1)
      answer = await est(eager, 'idevid', 'simpleenroll', ...pkcs10(csr));
    expect(count).toBeGreaterThanOrEqual(24);
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const renewal = await world.newRequest(box1, 'beside', '/CN=one');
    expect((await est(box1, 'ldevid', 'simplereenroll', ...pkcs10(renewal))).status).toBe(200);
  });

  it('asks a box for the code of its installer, as HTTP Basic of any client, and takes it once', async () => {
    await world.fleet('inventory', 'SN-three', '--two-factor');
    const box = await world.newIdentity('SN-three');
    const csr = await world.newRequest(box, 'ldevid', '/CN=three');
    const ask = (...more: readonly string[]) => est(box, 'idevid', 'simpleenroll', ...pkcs10(csr), ...more);
    const waiting = await ask();
    expect([waiting.status, waiting.headers.get('www-authenticate')]).toEqual([
      202,
      'Basic realm="activation code", charset="UTF-8"',
    ]);
    expect(Number(waiting.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('-u', 'code:ABCD2345')).body.toString()).toContain('There is no code for SN-three');

    const made = await world.fleet('activation', 'SN-three', '--length', '4', '--valid', '60s', '--json');
    const { code, link } = JSON.parse(made) as { code: string; link: string };
    const id = new URL(link).searchParams.get('link') ?? '';
    const wrong = (code.startsWith('A') ? 'B' : 'A') + code.slice(1);
    const refused = await ask('-u', `${id}:${wrong}`);
    expect([refused.status, refused.body.toString()]).toEqual([
      401,
      'The code is wrong for SN-three. 4 tries are left.\n',
    ]);
    // Neither a request that is none, nor somebody without the link, uses it up.
    await writeFile(world.at('no-request'), 'AAAA\n');
    const malformed = await est(
      box,
      'idevid',
      'simpleenroll',
      ...pkcs10(world.at('no-request')),
      '-u',
      `${id}:${code}`,
    );
    expect(malformed.status).toBe(400);
    expect((await ask('-u', `code:${code}`)).status).toBe(401);
    // Another key under that serial has tries of its own.
    const clone = await world.cloneOf('SN-three');
    const cloneCsr = await world.newRequest(clone, 'ldevid', '/CN=three');
    const wrongTry = ['-u', `${id}:${wrong}`];
    const words: string[] = [];
    for (let times = 0; times < 6; times += 1) {
      words.push(
        (await est(clone, 'idevid', 'simpleenroll', ...pkcs10(cloneCsr), ...wrongTry)).body.toString(),
      );
    }
    expect(words.slice(-2)).toEqual([
      'The code is wrong for SN-three, for the fifth time. Ask for a new one.\n',
      'The code was wrong five times. Ask for a new one.\n',
    ]);
    expect(await world.api('/api/v1/inventory/SN-three/activation')).toMatchObject({
      keysTried: 2,
      triesTaken: 6,
      keys: expect.arrayContaining([expect.objectContaining({ triesTaken: 1, triesLeft: 4 })]),
    });
    expect(await world.fleet('activation', 'SN-three', '--show')).toMatch(
      /tries: 6, by 2 keys\n[^]*another box/,
    );

    expect((await ask('-u', `${id}:${code}`)).status).toBe(200);
    expect(await world.api('/api/v1/inventory/SN-three')).toMatchObject({
      approved: true,
      state: 'enrolled',
    });
    await world.fleet('deny', 'SN-three');
    expect((await ask('-u', `${id}:${code}`)).status).toBe(403);
    const refusal = world.fleet('activation', 'SN-three', '--valid', '8d');
    await expect(refusal).rejects.toThrow(/--valid wants a span of time from 60s to 7d, not 8d/);
  });

  it('answers each mistake by its code', async () => {
    const csr = await world.newRequest(box1, 'good', '/CN=one');
    await writeFile(world.at('large'), 'A'.repeat(60_000));
    await writeFile(world.at('junk'), 'AAAA\n');
    await writeFile(world.at('flipped'), (await readFile(csr, 'latin1')).replace(/.{8}(\s*)$/, 'AAAAAAAA$1'));
    const stranger = await world.newIdentity('SN-stranger-2');
    const tries: [Promise<CurlAnswer>, number][] = [
      [est(box1, 'none', 'simpleenroll', ...pkcs10(csr)), 403],
      [est(stranger, 'idevid', 'simpleenroll', ...pkcs10(csr)), 403],
      [est(box1, 'idevid', 'simpleenroll', '--data-binary', `@${csr}`), 415],
      [est(box1, 'idevid', 'simpleenroll', ...pkcs10(world.at('junk'))), 400],
      [est(box1, 'idevid', 'simpleenroll', ...pkcs10(world.at('flipped'))), 400],
      [est(box1, 'idevid', 'simpleenroll', ...pkcs10(world.at('large'))), 413],
      [est(box1, 'idevid', 'simpleenroll'), 405],
      [est(box1, 'idevid', 'serverkeygen', ...pkcs10(csr)), 404],
    ];
    for (const [answer, status] of tries) {
      const { status: told, headers } = await answer;
      expect([told, headers.get('www-authenticate')]).toEqual([status, undefined]);
    }
    expect((await est(box1, 'idevid', 'simpleenroll')).headers.get('allow')).toBe('POST, OPTIONS');
  });
});
