/**
 * The box's EST client against somebody else's server: what RFC 7030 and RFC 8951 let a server send, from the factory into
 * service, and what a box must not take from one. What such a server asks of a request: foreignEstAttributes.test.ts.
 */
import { afterEach, expect, it } from 'vitest';
import { parseCertificates } from '../../../src/pki/certificate.ts';
import { DAY_MS, GATEWAY, NOW_MS } from './authorities.ts';
import { failed } from './faultBench.ts';
import type { ForeignOptions, Wire } from './foreignEst.ts';
import {
  chunked,
  createForeignEstBench,
  firstEnrolment,
  good,
  http,
  PKCS7,
  sized,
  wrapped,
} from './foreignEstBench.ts';

const { enrolAt, remove } = createForeignEstBench();
afterEach(remove);

it.each<readonly [string, Omit<ForeignOptions, 'authorities'>]>([
  ['base64 on one line', { wire: good }],
  [
    'lines of 64 ending in LF, and Content-Transfer-Encoding',
    { wire: ({ base64 }) => sized([PKCS7, 'Content-Transfer-Encoding: base64'], wrapped(base64, 64, '\n')) },
  ],
  ['lines of 76 ending in CRLF', { wire: ({ base64 }) => sized([PKCS7], wrapped(base64, 76, '\r\n')) }],
  [
    'a transfer encoding that it is not (RFC 8951 3.1: to be ignored)',
    { wire: ({ base64 }) => sized([PKCS7, 'Content-Transfer-Encoding: binary'], base64) },
  ],
  ['chunks', { wire: ({ base64 }) => chunked([PKCS7], wrapped(base64, 64, '\n')) }],
  [
    'no length: its end is the connection’s',
    { wire: ({ base64 }) => http('200 OK', [PKCS7], base64, '1.0') },
  ],
  [
    'names of headers in any case, a type with quotes and more parameters',
    {
      wire: ({ base64 }) =>
        sized(['CONTENT-TYPE: Application/PKCS7-Mime; smime-type="certs-only"; charset=us-ascii'], base64),
    },
  ],
  [
    'a content type without parameters',
    { wire: ({ base64 }) => sized(['content-type: application/pkcs7-mime'], base64) },
  ],
  [
    'its chain in the enrolment, the leaf last',
    { wire: good, cacerts: ['root'], issued: ['root', 'sub', 'box'] },
  ],
  ['its sub CA in cacerts alone, first', { wire: good, cacerts: ['sub', 'root'], issued: ['box'] }],
  [
    'certificates only to who says that a request is base64, as RFC 7030 4.2.1 had it',
    {
      wire: (asked) =>
        asked.method === 'POST' && asked.headers.get('content-transfer-encoding') !== 'base64'
          ? http('415 Unsupported Media Type', ['Content-Length: 0'], '')
          : good(asked),
    },
  ],
  [
    'DER as it is, which is no EST and can be nothing else',
    {
      wire: ({ base64 }) => {
        const der = Buffer.from(base64, 'base64');
        return Buffer.concat([
          Buffer.from(http('200 OK', [PKCS7, `Content-Length: ${der.length}`], '')),
          der,
        ]);
      },
    },
  ],
  ['TLS 1.2 alone', { wire: good, tls: { maxVersion: 'TLSv1.2' } }],
  [
    'a second handshake for the box’s certificate',
    { wire: good, renegotiates: true, tls: { maxVersion: 'TLSv1.2' } },
  ],
  ['TLS 1.3 alone', { wire: good, tls: { minVersion: 'TLSv1.3' } }],
])('a server that sends %s is enrolled with', async (_, options) => {
  const { est, names } = await enrolAt(options, 'OPERATIONAL');
  expect(names).toEqual([GATEWAY, 'Somebody else CA']);
  expect(est.enrolled).toEqual(['lab box as application/pkcs10']);
  expect(new Set(est.asked)).toEqual(
    new Set(['GET /.well-known/est/lab/cacerts', 'POST /.well-known/est/lab/simpleenroll']),
  );
});

it.each([
  ['seconds', 'Retry-After: 7', 7000],
  ['a date', 'Retry-After: Mon, 01 Jun 2026 12:05:00 GMT', 300_000],
  ['nothing', 'X-Nothing: 1', 60_000],
])('a server that lets it wait and says %s is asked again then', async (_, header, waitMs) => {
  const requests: string[] = [];
  const wire = firstEnrolment(() => http('202 Accepted', [header, 'Content-Length: 0'], ''));
  const heard: Wire = (asked) => {
    if (asked.method === 'POST') requests.push(asked.body);
    return wire(asked);
  };
  const { box, est, names } = await enrolAt({ wire: heard }, 'OPERATIONAL');
  expect(names).toEqual([GATEWAY, 'Somebody else CA']);
  expect(est.enrolled).toHaveLength(2);
  // RFC 7030 4.2.3: the same request, by which a server may know the one that waits for its approval.
  expect(requests[1]).toBe(requests[0]);
  const line = box.log.find(failed);
  expect(line?.fields).toMatchObject({ code: 'bootstrap/pending' });
  // Spread, so that a fleet does not come back as one; never sooner than was said, but for the seconds that passed.
  expect(Number(line?.fields['delayMs']) / waitMs).toBeGreaterThan(0.9);
  expect(Number(line?.fields['delayMs']) / waitMs).toBeLessThan(1.6);
});

it.each<readonly [string, string, RegExp, Wire]>([
  [
    'an error in words',
    'bootstrap/refused',
    /answered 400 \(of this key\?: no\)$/,
    firstEnrolment(() =>
      http(
        '400 Bad Request',
        ['Content-Type: text/plain', 'Content-Length: 18'],
        'of this key\u0007: no\r\n',
      ),
    ),
  ],
  [
    'that it is busy',
    'bootstrap/refused',
    /answered 503: busy/,
    firstEnrolment(() => http('503 Busy', ['Retry-After: 5', 'Content-Length: 0'], '')),
  ],
  [
    'a challenge for the second factor (RFC 7030 3.2.3)',
    'bootstrap/pending',
    /waits for the activation code/,
    firstEnrolment(() =>
      http('401 Unauthorized', ['WWW-Authenticate: Basic realm="CA"', 'Content-Length: 0'], ''),
    ),
  ],
  [
    'the same challenge behind one of another scheme',
    'bootstrap/pending',
    /waits for the activation code/,
    firstEnrolment(() =>
      http(
        '401 Unauthorized',
        ['WWW-Authenticate: Digest realm="a, b", nonce="x", Basic realm="CA"', 'Content-Length: 0'],
        '',
      ),
    ),
  ],
  [
    'a challenge of another scheme, whose realm speaks of a basic one',
    'bootstrap/refused',
    /answered 401/,
    firstEnrolment(() =>
      http(
        '401 Unauthorized',
        [String.raw`WWW-Authenticate: Digest realm="the \"old\", basic one", nonce="x"`, 'Content-Length: 0'],
        '',
      ),
    ),
  ],
  [
    'that it has no such operation',
    'bootstrap/refused',
    /answered 404 \(no label lab\)$/,
    firstEnrolment(() =>
      http(
        '404 Not Found',
        ['Content-Type: text/plain; charset=utf-8', 'Content-Length: 12'],
        'no label lab',
      ),
    ),
  ],
  [
    'HTML',
    'bootstrap/refused',
    /answered with text\/html, not certificates/,
    firstEnrolment(() => sized(['Content-Type: text/html'], '<html>')),
  ],
  [
    'PEM, which is not base64 of DER',
    'bootstrap/refused',
    /answered with what is not base64/,
    firstEnrolment(({ base64 }) => sized([PKCS7], `-----BEGIN PKCS7-----\n${base64}\n-----END PKCS7-----\n`)),
  ],
  [
    'half of it',
    'bootstrap/unreachable',
    /aborted|ended|hang up|ECONNRESET/,
    firstEnrolment(({ base64 }) =>
      http('200 OK', [PKCS7, `Content-Length: ${base64.length}`], base64.slice(0, 99)),
    ),
  ],
])('a server that sends %s is told of in these words, and asked again', async (_, code, words, wire) => {
  const { box, names } = await enrolAt({ wire }, 'OPERATIONAL');
  expect(names).toEqual([GATEWAY, 'Somebody else CA']);
  expect(box.log.find(failed)?.fields).toMatchObject({ code, problem: expect.stringMatching(words) });
});

it('a certificate of such a server is renewed there, by itself and for another key', async () => {
  // It ended long ago by the clock of this machine, which the server has.
  const { box, controller, est } = await enrolAt(
    { wire: good, tls: { rejectUnauthorized: false } },
    'OPERATIONAL',
  );
  const key = `${box.paths.state}/ldevid.key`;
  const before = await box.files.readText(key);
  box.clock.setMs(NOW_MS + 70 * DAY_MS);
  await box.run({ controller, until: ({ fields }) => fields['state'] === 'RENEW' });
  await box.run({ controller, until: 'OPERATIONAL' });
  expect(est.asked.at(-1)).toBe('POST /.well-known/est/lab/simplereenroll');
  expect(est.enrolled).toEqual(['lab box as application/pkcs10', `${GATEWAY} as application/pkcs10`]);
  expect(await box.files.readText(key)).not.toBe(before);
  // RFC 7030 4.2.2: of the names that its CA made, in its order and with what it added.
  const [renewal] = est.renewed;
  expect(renewal?.held).toMatch(/serialNumber=.*CN=.*DNS:box.*IP Address:192/);
  expect(renewal?.asked).toBe(renewal?.held);
});

it('a server that tells of its next root in any order, with all links, is believed by the box from then on', async () => {
  const { box, names } = await enrolAt(
    { wire: good, cacerts: ['OldWithNew', 'NewWithNew', 'sub', 'NewWithOld', 'root'] },
    'OPERATIONAL',
  );
  expect(names).toEqual([GATEWAY, 'Somebody else CA']);
  const anchors = (await box.files.readText(`${box.paths.state}/domain-anchor.pem`)) ?? '';
  expect(parseCertificates(anchors).map(({ subject }) => subject.commonName)).toEqual([
    'Test Domain CA',
    'Next root',
  ]);
});

it.each(['-tls1_2', '-tls1_3'] as const)(
  'a server that does not take the box’s certificate is told of in these words: openssl s_server %s',
  async (takesNobody) => {
    const { box, names } = await enrolAt({ wire: good, takesNobody }, failed);
    expect(box.log.find(failed)?.fields).toMatchObject({
      code: 'bootstrap/unreachable',
      state: 'OWNED',
      problem: expect.stringMatching(
        / over wan1: TLS alert unknown ca: it does not take the certificate of this box$/,
      ),
    });
    expect(names).toEqual([]);
  },
);

it('a server whose sub CA is told by nobody gives a certificate that is not taken', async () => {
  const { box, names } = await enrolAt({ wire: good, cacerts: ['root'], issued: ['box'] }, failed);
  expect(box.log.find(failed)?.fields).toMatchObject({ code: 'pki/untrusted', state: 'ENROLLING' });
  expect(names).toEqual([]);
});
