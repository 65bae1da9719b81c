/**
 * What somebody else's EST server says that a request is to have (RFC 7030 4.5): told where it refuses one, and done where
 * it is the TLS session's name, or an extension with its value.
 */
import { afterEach, expect, it } from 'vitest';
import { GATEWAY } from './authorities.ts';
import { failed } from './faultBench.ts';
import type { ForeignOptions, Wire } from './foreignEst.ts';
import { createForeignEstBench, firstEnrolment, good, http, sized } from './foreignEstBench.ts';

const { enrolAt, remove } = createForeignEstBench();
afterEach(remove);

const CSR_ATTRIBUTES = ['Content-Type: application/csrattrs', 'Content-Transfer-Encoding: base64'];
/** The example of RFC 7030 4.5.2. */
const EXAMPLE =
  'MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJ\r\nBgcrBgEBAQEWBggqhkjOPQQDAw==\r\n';
const BOX = 'and this box has a key on P-256 and signs by ecdsa-with-SHA256';
const OTHERS =
  '. It asks for extensions of unknown kind or without their value, which this box puts into no request: ';
it.each<readonly [string, string, string]>([
  [
    'a key and a signature that no box has',
    sized(CSR_ATTRIBUTES, EXAMPLE),
    `. It asks for a key on P-384, a signature by ecdsa-with-SHA384, ${BOX}${OTHERS}1.3.6.1.1.1.1.22`,
  ],
  [
    'an RSA key of a length',
    // SEQUENCE { SEQUENCE { rsaEncryption, SET { 4096 } }, sha384WithRSAEncryption }
    sized(CSR_ATTRIBUTES, 'MB4wEQYJKoZIhvcNAQEBMQQCAhAABgkqhkiG9w0BAQw='),
    `. It asks for an RSA key, a signature by sha384WithRSAEncryption, ${BOX}`,
  ],
  [
    'a request of RFC 9908, with an RSA key',
    // SEQUENCE { id-aa-certificationRequestInfoTemplate, SET { SEQUENCE { 0, [0] { { rsaEncryption, NULL } }, [1] … } } }
    sized(
      CSR_ATTRIBUTES,
      'MEEwPwYLKoZIhvcNAQkQAj0xMDAuAgEAoA8wDQYJKoZIhvcNAQEBBQChGDAWBgkqhkiG9w0BCQ4xCTAHMAUGA1UdEQ==',
    ),
    `. It asks for an RSA key, ${BOX}${OTHERS}subjectAltName`,
  ],
  ['what nobody knows', sized(CSR_ATTRIBUTES, 'MBcGBisGAQQBBTANBgYrBgEEAQYxAwwBYQ=='), ''],
  ['nothing', sized(CSR_ATTRIBUTES, 'MAA='), ''],
  ['nothing, by 204', http('204 No Content', [], ''), ''],
  ['nothing, by 404', http('404 Not Found', ['Content-Length: 0'], ''), ''],
  ['what is no DER', sized(CSR_ATTRIBUTES, '////'), ''],
])(
  'where a request is refused, what the server’s attributes ask for is told: %s',
  async (_, csrattrs, words) => {
    const { box, est, names } = await enrolAt(
      {
        wire: (asked) =>
          asked.path.endsWith('/csrattrs')
            ? csrattrs
            : firstEnrolment(() => http('400 Bad Request', ['Content-Length: 0'], ''))(asked),
      },
      'OPERATIONAL',
    );
    expect(names).toEqual([GATEWAY, 'Somebody else CA']);
    expect(est.asked).toContain('GET /.well-known/est/lab/csrattrs');
    const problem = String(box.log.find(failed)?.fields['problem']);
    expect(problem.replace(/^.* answered/, 'answered')).toBe(`answered 400${words}`);
  },
);

/** SEQUENCE { challengePassword } */
const WANTED = 'MAsGCSqGSIb3DQEJBw==';
type Demanding = Omit<ForeignOptions, 'authorities' | 'wire'> & { readonly attributes?: string };
it.each<readonly [string, string, Demanding]>([
  ['TLS 1.2', '400 Bad Request', { tls: { maxVersion: 'TLSv1.2' } }],
  [
    'as a request of RFC 9908 that has it among its attributes',
    '400 Bad Request',
    { attributes: 'MCcwJQYLKoZIhvcNAQkQAj0xFjAUAgEAoQ8wDQYJKoZIhvcNAQkHMQA=' },
  ],
  ['TLS 1.3', '400 Bad Request', { tls: { minVersion: 'TLSv1.3' } }],
  ['two handshakes', '400 Bad Request', { renegotiates: true, tls: { maxVersion: 'TLSv1.2' } }],
  ['told as libest’s server does', '401 Unauthorized', { tls: { maxVersion: 'TLSv1.2' } }],
  ['told as forbidden', '403 Forbidden', {}],
])(
  'a server that wants the TLS session named in the request has it named: %s',
  async (_, status, { attributes = WANTED, ...options }) => {
    const wanted = sized(CSR_ATTRIBUTES, attributes);
    const wire: Wire = (asked) => {
      if (asked.path.endsWith('/csrattrs')) return wanted;
      return asked.method === 'GET' || asked.challengePassword === asked.session
        ? good(asked)
        : http(status, ['Content-Length: 0'], '');
    };
    const { box, est, names } = await enrolAt({ wire, ...options }, 'OPERATIONAL');
    expect(names).toEqual([GATEWAY, 'Somebody else CA']);
    expect(est.asked.slice(-3)).toEqual([
      'POST /.well-known/est/lab/simpleenroll',
      'GET /.well-known/est/lab/csrattrs',
      'POST /.well-known/est/lab/simpleenroll',
    ]);
    expect(box.log.some(failed)).toBe(false);
  },
);

/** extensionRequest { subjectAltName box.owner.example, critical keyUsage, extKeyUsage clientAuth, critical basicConstraints } */
const EXTENSIONS =
  'MGIwYAYJKoZIhvcNAQkOMVMwUTAcBgNVHREEFTATghFib3gub3duZXIuZXhhbXBsZTAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIwDAYDVR0TAQH/BAIwAA==';
/** RFC 9908 3.4: critical keyUsage; extKeyUsage without a value, subjectAltName of an empty name and 0.0.0.0. */
const TEMPLATE =
  'MFUwUwYLKoZIhvcNAQkQAj0xRDBCAgEAoT0wOwYLKoZIhvcNAQkQAj4xLDAqMA4GA1UdDwEB/wQEAwIHgDAFBgNVHSUwEQYDVR0RBAowCIIAhwQAAAAA';
/** A server that takes requests with these words of openssl's alone. */
const demanding =
  (attributes: string, words: RegExp, taken: Wire): Wire =>
  (asked) => {
    if (asked.path.endsWith('/csrattrs')) return sized(CSR_ATTRIBUTES, attributes);
    if (asked.method === 'GET') return good(asked);
    return words.test(asked.request) ? taken(asked) : http('400 Bad Request', ['Content-Length: 0'], '');
  };

it.each<readonly [string, string, RegExp, RegExp]>([
  [
    'RFC 7030 4.5.2',
    EXTENSIONS,
    /Key Usage: critical\s+Digital Signature\s+X509v3 Extended Key Usage:\s+TLS Web Client Auth/,
    /Alternative Name:\s+DNS:box\.owner\.example\n/,
  ],
  [
    'RFC 9908 3.4',
    TEMPLATE,
    /Key Usage: critical\s+Digital Signature/,
    /Requested Extensions:\s+X509v3 Key Usage/,
  ],
])(
  'extensions whose values a server gives stand in the request, the same bytes until it is approved: %s',
  async (_, attributes, first, second) => {
    const bodies: string[] = [];
    const wire = demanding(attributes, first, (asked) => {
      expect(asked.request).toMatch(second);
      expect(asked.request).not.toMatch(/Basic Constraints|IP Address/);
      bodies.push(asked.body);
      return bodies.length === 1
        ? http('202 Accepted', ['Retry-After: 1', 'Content-Length: 0'], '')
        : good(asked);
    });
    const { names } = await enrolAt({ wire }, 'OPERATIONAL');
    expect(names).toEqual([GATEWAY, 'Somebody else CA']);
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toBe(bodies[0]);
  },
);

it('extensions that stand in no request are named where it is refused all the same', async () => {
  let refusals = 0;
  const wire = demanding(TEMPLATE, /Request/, (asked) => {
    refusals += 1;
    return refusals > 2 ? good(asked) : http('400 Bad Request', ['Content-Length: 0'], '');
  });
  const { box } = await enrolAt({ wire }, 'OPERATIONAL');
  const problem = String(box.log.find(failed)?.fields['problem']);
  expect(problem.replace(/^.* answered/, 'answered')).toBe(
    `answered 400${OTHERS}extendedKeyUsage, subjectAltName`,
  );
});
