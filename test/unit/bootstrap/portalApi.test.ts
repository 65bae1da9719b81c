/** A captive portal's own word (RFC 8908), where DHCP names it (RFC 8910): what of it is told, and what is not. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askPortalApi, judgePortalApi, portalApiUrl } from '../../../src/bootstrap/portalApi.ts';
import { readLeasePortals } from '../../../src/system/leases.ts';
import { issueCertificate, selfSignedCa } from '../../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../../src/pki/keys.ts';
import { serverNamed } from '../pki/domain.ts';
import { DAY_MS } from './authorities.ts';

const NAME = 'portal.hotel.example';
const uplink = { ifname: 'wan1', address: '127.0.0.1', dns: [], bootstrapServers: [] };
/** At the clock as it is: no other is known to the TLS library. */
const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };

function certified(name: string) {
  const ca = generateKeyPair().privateKey;
  const certificate = selfSignedCa({ commonName: 'Authority', key: ca, validity });
  const own = generateKeyPair();
  const leaf = issueCertificate({
    profile: serverNamed(name),
    publicKey: own.publicKey,
    issuer: { key: ca, certificate },
    validity,
  });
  return { authority: certificate.pem, cert: leaf.pem, key: exportPrivateKey(own.privateKey).reveal() };
}

describe('the API of a captive portal', () => {
  const { authority, ...tls } = certified(NAME);
  let server: Server;
  let asked: { readonly url: string; readonly shown: boolean }[];
  let answer: { status: number; type: string; body: string; location?: string };
  beforeEach(async () => {
    asked = [];
    answer = { status: 200, type: 'application/captive+json', body: '' };
    server = createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate();
      asked.push({ url: request.url ?? '', shown: Object.keys(peer).length > 0 });
      const { status, type, location } = answer;
      response.writeHead(status, { 'content-type': type, ...(location !== undefined && { location }) });
      response.end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => server.close());

  const ask = (
    { name = NAME, ca = authority }: { name?: string; ca?: string | undefined } = {},
    body: unknown = { captive: true, 'user-portal-url': `https://${NAME}/login` },
  ) => {
    answer.body = typeof body === 'string' ? body : JSON.stringify(body);
    const { port } = server.address() as AddressInfo;
    return askPortalApi(
      { resolve: async () => ['127.0.0.1'] },
      { ...uplink, portalApi: `https://${name}:${port}/api?id=1` },
      new AbortController().signal,
      ca,
    );
  };

  it('is told with its page, in the words of an installer, and sees nothing of the box', async () => {
    const portal = await ask();
    expect(portal?.code).toBe('bootstrap/captive-portal');
    expect(portal?.message).toBe(
      `A captive portal on wan1 says so itself; it sends browsers to https://${NAME}/login`,
    );
    expect(portal?.mend).toContain('sign in');
    expect(asked).toEqual([{ url: '/api?id=1', shown: false }]);
  });

  it('is not believed of another name, or where no authority stands for it', async () => {
    expect(await ask({ name: 'other.example' })).toBeUndefined();
    expect(await ask({ ca: certified(NAME).authority })).toBeUndefined();
    expect(await askPortalApi({ resolve: async () => [] }, uplink, AbortSignal.timeout(9e3))).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it.each<[string, object, unknown]>([
    ['that it is none', {}, { captive: false }],
    ['nothing of it', {}, { venue: 'x' }],
    ['it in another type', { type: 'application/json' }, { captive: true }],
    ['it by a redirect', { status: 302, location: `https://${NAME}/login` }, { captive: true }],
    ['nonsense', {}, '{"captive":'],
    ['it at length', {}, { captive: true, more: 'x'.repeat(20_000) }],
  ])('is none where it says %s', async (_, bent, body) => {
    Object.assign(answer, bent);
    expect(await ask({}, body)).toBeUndefined();
    expect(asked).toHaveLength(1);
  });
});

it.each([
  ['http://portal.example/', undefined],
  ['urn:ietf:params:capport:unrestricted', undefined],
  ['https://user:word@portal.example/', undefined],
  [`https://portal.example/${'x'.repeat(1024)}`, undefined],
  ['https:///', undefined],
  ['https://portal.example/api', 'https://portal.example/api'],
])('of %s %s is asked', (uri, href) => expect(portalApiUrl(uri)?.href).toBe(href));

it.each(['http://portal.example/', 'javascript:alert(1)', 'https://a:b@portal.example/'])(
  'sends no installer to %s',
  (page) => {
    const said = JSON.stringify({ captive: true, 'user-portal-url': page });
    expect(judgePortalApi(said, uplink)?.message).toBe('A captive portal on wan1 says so itself');
  },
);

it('is where a lease names it, of each family, as it names it', async () => {
  const files: Record<string, string> = {
    'wan1.env': 'interface=wan1\nnew_captive_portal_uri=https://portal.example/api\n',
    'wan2.env': `interface=wan2\nnew_captive_portal_uri=https://portal.example/${'x'.repeat(4000)}\n`,
    'wan1.env6': 'new_dhcp6_captive_portal_uri=https://six.example/\n',
  };
  const read = {
    list: async () => Object.keys(files),
    readText: async (path: string) => files[path.replace('leases/', '')],
  };
  expect([...(await readLeasePortals(read, 4, 'leases'))]).toEqual([['wan1', 'https://portal.example/api']]);
  expect([...(await readLeasePortals(read, 6, 'leases'))]).toEqual([['wan1', 'https://six.example/']]);
});
