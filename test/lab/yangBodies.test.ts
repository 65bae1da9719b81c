/**
 * Each body that this code makes for SZTP, held against the YANG of RFC 8572, RFC 8366 and RFC 8040 by somebody else's
 * validator (RFC 7951 is how they are written): what box and controller send, and what the files of a medium hold. What that
 * validator refuses: yangRefused.test.ts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readClaims } from '../../src/bootstrap/claims.ts';
import type { Https, PeerJudge } from '../../src/bootstrap/https.ts';
import { createSztpClient } from '../../src/bootstrap/sztp.ts';
import { MEDIUM_DIRECTORY } from '../../src/model/medium.ts';
import {
  CLAIMS_WANTED,
  OnboardingInformation,
  ProgressType,
  RedirectInformation,
  SZTP_GET_PATH,
  SZTP_MEDIA_TYPE,
  SZTP_REPORT_PATH,
  SZTP_XML_MEDIA_TYPE,
} from '../../src/model/sztp.ts';
import { xmlOfYang, yangOfXml } from '../../src/model/yangXml.ts';
import { certsOnly } from '../../src/pki/cms.ts';
import { readCms } from '../../src/pki/cmsRead.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { makeCa } from '../unit/pki/domain.ts';
import { type ControllerClients, startControllerClients } from './controllerClients.ts';
import { createYanglint, type Yanglint } from './yanglint.ts';

const MAX_CMS_BYTES = 256 * 1024;
const INFO = 'ietf-sztp-conveyed-info';
const SERVER = 'ietf-sztp-bootstrap-server';
let yang: Yanglint;
beforeAll(async () => {
  yang = await createYanglint();
});
afterAll(() => yang.remove());

const contentOf = (der: Uint8Array): string =>
  Buffer.from(readCms(der, MAX_CMS_BYTES).content ?? '').toString('utf8');
const text = (document: unknown): string => JSON.stringify(document);

describe('a box', () => {
  const uplink = { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] };
  const server = { host: 'controller.example', port: 443 };
  const { signal } = new AbortController();
  /** Bodies of all that a client sends to a server that answers `status`, and asks for claims where that is 404. */
  function listening(status: number) {
    const bodies: string[] = [];
    const error = {
      'error-type': 'application',
      'error-tag': 'invalid-value',
      'error-app-tag': CLAIMS_WANTED,
    };
    const https: Https = async ({ body }) => {
      bodies.push(typeof body === 'object' ? body.text : expect.unreachable('RPCs name no session'));
      return {
        status,
        contentType: SZTP_MEDIA_TYPE,
        body: Buffer.from(text({ 'ietf-restconf:errors': { error: [error] } })),
        retryAfterMs: undefined,
        asksForBasic: false,
      };
    };
    const client = createSztpClient({
      https,
      // No answer is judged: no more of the box than its model is looked at.
      factory: { model: 'lab' } as Parameters<typeof createSztpClient>[0]['factory'],
      clock: {} as Parameters<typeof createSztpClient>[0]['clock'],
      randomBytes: (count) => new Uint8Array(count),
      os: { name: 'branchbox', version: '1' },
      claims: () => readClaims(createFiles()),
    });
    return { client, bodies };
  }

  it('asks in the words of the RPC, and again with what it says of itself', async () => {
    const { client, bodies } = listening(404);
    await expect(client.onboard(server, uplink, signal)).rejects.toMatchObject({ code: 'bootstrap/refused' });
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toContain('branchbox-sztp:claims');
    for (const body of bodies) {
      expect(await yang.problemsOfOperation('get-bootstrapping-data-input', body), body).toBe('');
      const xml = xmlOfYang(JSON.parse(body) as Record<string, unknown>);
      const back: unknown = JSON.parse(await yang.converted('get-bootstrapping-data-input', xml));
      expect(back).toEqual(JSON.parse(body));
    }
  });

  it('reports progress of each type', async () => {
    const { client, bodies } = listening(204);
    for (const progress of ProgressType.options)
      await client.report({
        server,
        uplink,
        peer: {} as PeerJudge,
        progress,
        message: `${progress} “ü”`,
        signal,
      });
    expect(bodies).toHaveLength(27);
    for (const body of bodies)
      expect(await yang.problemsOfOperation('report-progress-input', body), body).toBe('');
  });

  it('takes the redirect and the onboarding information that have all that the model has', async () => {
    const anchor = Buffer.from(certsOnly([makeCa('Domain').certificate])).toString('base64');
    const redirect = {
      'ietf-sztp-conveyed-info:redirect-information': {
        'bootstrap-server': [
          { address: 'sztp.example.com', port: 8443, 'trust-anchor': anchor },
          { address: '192.0.2.1' },
          { address: '2001:db8::1', port: 443 },
        ],
      },
    };
    const onboarding = {
      'ietf-sztp-conveyed-info:onboarding-information': {
        'boot-image': {
          'os-name': 'branchbox',
          'os-version': '1.2.3',
          'download-uri': ['https://example.com/image.img', 'ftp://example.com/image.img'],
          'image-verification': [
            { 'hash-algorithm': 'ietf-sztp-conveyed-info:sha-256', 'hash-value': 'ba:ec:cf' },
          ],
        },
        'configuration-handling': 'replace',
        'pre-configuration-script': 'AAAA',
        configuration: 'AAAA',
        'post-configuration-script': 'AAAA',
      },
    };
    for (const body of [redirect, onboarding]) {
      expect(await yang.problemsOf(INFO, text(body))).toBe('');
      // In XML as libyang writes it the same is read.
      const xml = await yang.converted(INFO, text(body));
      expect(yangOfXml(xml, 'what libyang wrote', 100_000)).toEqual(
        JSON.parse(await yang.converted(INFO, xml)),
      );
    }
    expect(RedirectInformation.safeParse(redirect).error).toBeUndefined();
    expect(OnboardingInformation.safeParse(onboarding).error).toBeUndefined();
  });
});

describe('the controller', () => {
  let clients: ControllerClients;
  beforeAll(async () => {
    clients = await startControllerClients();
  });
  afterAll(() => clients.world.remove());

  it.each([
    ['with a nonce', { nonce: Buffer.alloc(32, 7).toString('base64'), 'signed-data-preferred': [null] }],
    ['without one', {}],
  ])('answers a request %s', async (_, input) => {
    const answer = await clients.sztp(clients.box1, SZTP_GET_PATH, input);
    const body = answer.body.toString('utf8');
    expect(await yang.problemsOfOperation('get-bootstrapping-data-output', body), body).toBe('');
    const output = JSON.parse(body)[`${SERVER}:output`] as Record<string, string>;
    const signed = (name: string): string => contentOf(Buffer.from(output[name] ?? '', 'base64'));
    expect(await yang.problemsOf('ietf-voucher', signed('ownership-voucher'))).toBe('');
    expect(await yang.problemsOf(INFO, signed('conveyed-information'))).toBe('');
  });

  it('refuses', async () => {
    const { sztp, box1 } = clients;
    const stranger = await clients.world.newIdentity('SN-stranger');
    for (const answer of [
      sztp(box1, SZTP_GET_PATH, {}, 'none'),
      sztp(stranger, SZTP_GET_PATH, {}),
      sztp(box1, SZTP_GET_PATH, '{'),
      sztp(box1, SZTP_GET_PATH, { nonce: 'AAAA' }),
      sztp(box1, SZTP_REPORT_PATH, { 'progress-type': 'nonsense', message: 7 }),
      sztp(box1, '/restconf/none', {}),
    ]) {
      const body = (await answer).body.toString('utf8');
      expect(body).toContain('ietf-restconf:errors');
      expect(await yang.problemsOf('ietf-restconf', body), body).toBe('');
    }
  });

  it('tells where it is and what it has', async () => {
    const { world, credential, box1 } = clients;
    const get = async (path: string): Promise<string> => {
      const words = credential(box1, 'none', 'tls');
      return (await world.curl(...words, `https://localhost:${world.ports.sztp}${path}`)).body.toString(
        'utf8',
      );
    };
    expect(await yang.problemsOf('ietf-restconf', await get('/restconf'))).toBe('');
    const library = await get('/restconf/data/ietf-yang-library:modules-state');
    expect(library).toContain('module-set-id');
    expect(await yang.problemsOf('ietf-yang-library', library)).toBe('');
    const state = await get('/restconf/data/ietf-restconf-monitoring:restconf-state');
    expect(await yang.problemsOf('ietf-restconf-monitoring', state)).toBe('');
  });

  it('says and takes the same in XML', async () => {
    const { world, credential, box1 } = clients;
    const ask = async (path: string, ...words: readonly string[]): Promise<string> => {
      const url = `https://localhost:${world.ports.sztp}${path}`;
      const answer = await world.curl(...credential(box1, 'idevid', 'tls'), ...words, url);
      expect(answer.headers.get('content-type')).toBe(SZTP_XML_MEDIA_TYPE);
      return answer.body.toString('utf8');
    };
    const nonce = Buffer.alloc(32, 7).toString('base64');
    // As libyang writes it, of what the box says in JSON.
    const input = await yang.converted(
      'get-bootstrapping-data-input',
      text({ [`${SERVER}:input`]: { 'signed-data-preferred': [null], 'hw-model': 'a <lab> & more', nonce } }),
    );
    expect(input).toMatch(/^<input/);
    const post = (body: string) => ['-H', `Content-Type: ${SZTP_XML_MEDIA_TYPE}`, '-d', body];
    const output = await ask(SZTP_GET_PATH, ...post(input));
    const artefacts = JSON.parse(await yang.converted('get-bootstrapping-data-output', output))[
      `${SERVER}:output`
    ];
    const voucher = contentOf(Buffer.from(artefacts['ownership-voucher'], 'base64'));
    expect(JSON.parse(voucher)).toMatchObject({ 'ietf-voucher:voucher': { nonce } });
    // And what libyang makes JSON of is what our own reader does.
    expect(yangOfXml(output, 'the output', 100_000)).toEqual({ [`${SERVER}:output`]: artefacts });

    const refused = await ask(SZTP_GET_PATH, ...post(input.replace(nonce, 'AAAA')));
    expect(refused).toContain('<error-tag>invalid-value</error-tag>');
    expect(await yang.problemsOf('ietf-restconf', refused), refused).toBe('');
    for (const [path, module] of [
      ['/restconf', 'ietf-restconf'],
      ['/restconf/data/ietf-yang-library:modules-state', 'ietf-yang-library'],
      ['/restconf/data/ietf-restconf-monitoring:restconf-state', 'ietf-restconf-monitoring'],
    ] as const) {
      const body = await ask(path, '-H', `Accept: ${SZTP_XML_MEDIA_TYPE}`);
      expect(await yang.problemsOf(module, body), body).toBe('');
    }
  });

  it('makes a medium, network and all', async () => {
    const { world } = clients;
    const network = ['--address', '198.51.100.100/24', '--gateway', '198.51.100.1', '--dns', '198.51.100.1'];
    await world.fleet('usb', 'SN-one', '--out', world.at('stick'), ...network);
    const file = (name: string) => readFile(join(world.at('stick'), MEDIUM_DIRECTORY, 'SN-one', name));
    const voucher = contentOf(await file('ownership-voucher.vcj'));
    expect(voucher).toContain('expires-on');
    expect(await yang.problemsOf('ietf-voucher', voucher)).toBe('');
    expect(await yang.problemsOf(INFO, contentOf(await file('conveyed-information.cms')))).toBe('');
  });
});
