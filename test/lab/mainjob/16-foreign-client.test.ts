/**
 * Somebody else's client, pointed at the lab by `lab identity` and `lab info` alone: curl and openssl on the internet go
 * the way of a box, from its factory identity to its desired state.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SZTP_GET_PATH } from '../../../src/model/sztp.ts';
import { api, labInfo, readFleet } from './fleet.ts';
import { branchbox, type Ended, inNode, LAB, lab, tryIn } from './lab.ts';

const FROM = 'internet-host';
const NAME = 'foreign';
const PLACE = '/run/foreign';
const out = mkdtempSync(join(tmpdir(), 'branchbox-foreign-'));
let info: Awaited<ReturnType<typeof labInfo>>;

/** A shell with that client's files about it. */
const sh = (script: string): Promise<Ended> => tryIn(FROM, ['sh', '-c', `cd ${PLACE} && ${script}`]);
const good = async (script: string): Promise<string> => {
  const ended = await sh(script);
  if (ended.exitCode !== 0) throw new Error(`${script} ended with ${ended.exitCode}: ${ended.stderr}`);
  return ended.stdout;
};
const put = (name: string, content: string): Promise<Ended> =>
  tryIn(FROM, ['sh', '-c', `umask 077; mkdir -p ${PLACE}; cat > ${PLACE}/${name}`], content);
const serialOf = (name: string): string => readFileSync(join(out, name, 'serial'), 'utf8').trim();

beforeAll(async () => {
  info = await labInfo();
  // Two at once: neither takes the other's place in the fleet.
  await Promise.all([NAME, 'other'].map((name) => lab('identity', name, '--out', join(out, name))));
  for (const name of [NAME, 'other']) {
    for (const file of readdirSync(join(out, name)))
      await put(`${name}-${file}`, readFileSync(join(out, name, file), 'utf8'));
  }
  for (const [name, file] of Object.entries(info.anchors))
    await put(`${name}.pem`, readFileSync(file, 'utf8'));
});
afterAll(async () => {
  rmSync(out, { recursive: true, force: true });
  for (const name of [NAME, 'other', 'held']) {
    await api('DELETE', `/api/v1/gateways/${name}`);
    if (info !== undefined) await api('DELETE', `/api/v1/inventory/LAB-${name.toUpperCase()}`);
  }
  await tryIn(FROM, ['rm', '-rf', PLACE]);
});

describe('an identity', () => {
  it('is one of two that were made at once, both with a place', async () => {
    const { gateways } = (await readFleet()).fleet;
    for (const name of [NAME, 'other'])
      expect(gateways.find(({ id }) => id === name)?.serial).toBe(serialOf(name));
  });

  it('said again is the same, and no node’s is given away', async () => {
    await lab('identity', NAME, '--out', join(out, 'again'));
    const certificate = (name: string) => readFileSync(join(out, name, 'idevid.crt'), 'utf8');
    expect(certificate('again')).toBe(certificate(NAME));
    const stolen = await branchbox(['lab', 'identity', '--lab', LAB, 'branch1', '--out', join(out, 'b1')]);
    expect([stolen.exitCode, stolen.stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining('branch1'),
    ]);
    expect(stolen.exitCode).not.toBe(0);
  });

  it('is made for a key that its holder keeps, by a request of it, and for no other key after that', async () => {
    const request = (name: string): string => {
      const [key, file] = [join(out, `${name}.key`), join(out, `${name}.csr`)];
      const words = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
      execFileSync('openssl', ['req', '-new', ...words, '-keyout', key, '-out', file], { stdio: 'pipe' });
      return file;
    };
    const [own, others] = [request('held'), request('others')];
    const make = (more: readonly string[]) =>
      branchbox(['lab', 'identity', '--lab', LAB, 'held', '--out', join(out, 'held'), ...more]);
    for (let time = 0; time < 2; time += 1) expect((await make(['--request', own])).exitCode).toBe(0);
    expect(readdirSync(join(out, 'held'))).not.toContain('idevid.key');
    const keyOf = (...words: readonly string[]): string =>
      execFileSync('openssl', [...words, '-noout', '-pubkey']).toString();
    expect(keyOf('x509', '-in', join(out, 'held/idevid.crt'))).toBe(keyOf('req', '-in', own));
    for (const more of [[], ['--request', others]]) {
      const refused = await make(more);
      expect([refused.exitCode === 0, refused.stderr]).toEqual([
        false,
        expect.stringContaining('LAB-HELD was made before, and not by this request'),
      ]);
    }
  });
});

describe('an endpoint', () => {
  it('is reached from where it says, and from no other node', async () => {
    for (const { url, reachableFrom } of Object.values(info.endpoints)) {
      const { hostname, port } = new URL(url);
      const probe = ['curl', '-sk', '-o', '/dev/null', '--max-time', '4', '-w', '%{time_connect}'];
      const reached = await Promise.all(
        info.nodes.map(async ({ name }) => {
          const ended = await tryIn(name, [...probe, `https://${hostname}:${port}/`]);
          return Number(ended.stdout) > 0 ? [name] : [];
        }),
      );
      expect(reached.flat().toSorted(), url).toEqual([...reachableFrom].toSorted());
    }
  });
});

describe('a foreign client', () => {
  const idevid = (name: string) => `--cert ${name}-idevid.crt --key ${name}-idevid.key`;

  it('gets a voucher for its nonce and signed onboarding information', async () => {
    const nonce = Buffer.alloc(32, 9).toString('base64');
    await put('input.json', JSON.stringify({ 'ietf-sztp-bootstrap-server:input': { nonce } }));
    const ask = (credential: string) =>
      `curl -sS --max-time 20 --cacert tls.pem ${credential} -H 'Content-Type: application/yang-data+json' ` +
      `--data-binary @input.json ${info.endpoints.sztp.url}${SZTP_GET_PATH}`;
    const answer = JSON.parse(await good(ask(idevid(NAME)))) as {
      'ietf-sztp-bootstrap-server:output': Record<'ownership-voucher' | 'conveyed-information', string>;
    };
    const output = answer['ietf-sztp-bootstrap-server:output'];
    const verified = async (what: keyof typeof output, anchor: string): Promise<string> => {
      await put('cms.b64', output[what]);
      await good('base64 -d cms.b64 > cms.der');
      return good(`openssl cms -verify -inform DER -in cms.der -CAfile ${anchor} -purpose any`);
    };
    const voucher = await verified('ownership-voucher', 'voucher.pem');
    expect(JSON.parse(voucher)['ietf-voucher:voucher']).toMatchObject({
      'serial-number': serialOf(NAME),
      nonce,
    });
    expect(await verified('conveyed-information', 'domain.pem')).toContain('onboarding-information');
    // The certificate with another's key is nobody; a certificate that it made itself for that serial neither.
    expect((await sh(ask(`--cert ${NAME}-idevid.crt --key other-idevid.key`))).exitCode).not.toBe(0);
    await good(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key -out self.crt ` +
        `-subj /serialNumber=${serialOf(NAME)}/CN=self -days 1`,
    );
    const forged = await sh(ask('--cert self.crt --key self.key'));
    expect(forged.stdout).not.toContain('ownership-voucher');
    expect(forged.stdout + forged.stderr).toMatch(/access-denied|alert|SSL/);
  });

  it('enrols by EST, under the name that the fleet gives its serial and no other', async () => {
    const est = info.endpoints.est.url;
    const certificates = 'base64 -d | openssl pkcs7 -inform DER -print_certs';
    const known = await good(`curl -sSf --max-time 20 --cacert domain.pem ${est}/cacerts | ${certificates}`);
    expect(known).toContain(readFileSync(info.anchors.domain, 'utf8').trim().split('\n')[1]);
    for (const name of [NAME, 'other']) {
      await good(
        `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key ` +
          `-subj /CN=${NAME} -outform DER -out ${name}.der && openssl base64 -in ${name}.der -out ${name}.csr && ` +
          `curl -sSf --max-time 20 --cacert domain.pem ${idevid(name)} -H 'Content-Type: application/pkcs10' ` +
          `--data-binary @${name}.csr ${est}/simpleenroll | ${certificates} > ${name}.crt`,
      );
      expect(await good(`openssl verify -CAfile domain.pem ${name}.crt`)).toContain('OK');
      // The other asked for this one's name too.
      expect(await good(`openssl x509 -in ${name}.crt -noout -subject`)).toMatch(
        new RegExp(`CN ?= ?${name}\\b`),
      );
    }
  });

  it('reads its desired state by MQTT, and nobody else’s', async () => {
    const { hostname, port } = new URL(info.endpoints.mqtt.url);
    /** The broker's answers to CONNECT, SUBSCRIBE and DISCONNECT. */
    const heard = async (credential: string, id: string): Promise<Buffer> => {
      await put('packets.b64', packetsFor(id).toString('base64'));
      const client = `openssl s_client -quiet -connect ${hostname}:${port} -CAfile domain.pem -verify_return_error`;
      const { stdout } = await sh(
        `base64 -d packets.b64 | timeout 20 ${client} ${credential} 2>/dev/null | base64 -w 0`,
      );
      return Buffer.from(stdout, 'base64');
    };
    const topic = `branchbox/v1/gw/${NAME}/desired`;
    const own = await heard(`-cert ${NAME}.crt -key ${NAME}.key`, NAME);
    // CONNACK with reason 0, then the retained message: a JWS.
    expect([own[0], own[3]]).toEqual([0x20, 0]);
    expect(own.includes(topic) && own.includes('eyJ')).toBe(true);
    const others = await heard('-cert other.crt -key other.key', NAME);
    expect([others[0], others[3]]).toEqual([0x20, 0]);
    expect(others.includes(topic)).toBe(false);
    expect(await heard(`-cert ${NAME}-idevid.crt -key ${NAME}-idevid.key`, NAME)).toHaveLength(0);
    expect(await heard(`-cert ${NAME}.crt -key other.key`, NAME)).toHaveLength(0);
    // What is to run on it is there, so that the broker's silence above is its answer.
    expect(await inNode('controller', 'ss', '-Hltn')).toContain(`:${port} `);
  });
});

/** MQTT 5 (3.1, 3.8, 3.14), as bytes: every packet here is shorter than 128. */
function packetsFor(id: string): Buffer {
  const text = (value: string): number[] => [0, value.length, ...Buffer.from(value)];
  const packet = (type: number, content: readonly number[]): number[] => [type, content.length, ...content];
  const connect = [...text('MQTT'), 5, 0x02, 0, 60, 0, ...text(id)];
  const subscribe = [0, 1, 0, ...text(`branchbox/v1/gw/${id}/desired`), 0];
  return Buffer.from([...packet(0x10, connect), ...packet(0x82, subscribe), ...packet(0xe0, [])]);
}
