/** Owns the parsers of what a box reads of an enrolment server (RFC 7030), and of its words to who types a code. */
import { createActivation } from '../../src/bootstrap/activation.ts';
import { csrDemands } from '../../src/bootstrap/csrAttributes.ts';
import { createEstClient } from '../../src/bootstrap/est.ts';
import { Secret } from '../../src/model/secret.ts';
import { HOST } from '../unit/bootstrap/authorities.ts';
import { mutateBase64 } from './mutateBase64.ts';
import { mutateDer } from './mutateDer.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import { type Samples, text, utf8 } from './samples.ts';

export function estParsers(samples: Samples): readonly FuzzParser[] {
  const est = createEstClient({
    https: async (exchange) => ({
      status: 200,
      contentType: 'application/pkcs7-mime',
      body: Buffer.from(exchange.basic?.reveal() ?? '', 'latin1'),
      retryAfterMs: undefined,
      asksForBasic: false,
    }),
    est: { host: HOST, port: 8443 },
    peer: { anchorsPem: '', judge: () => Promise.resolve() },
  });
  const uplink = { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] };
  const unsigned = { isSigned: false, refusals: ['pki/', 'model/invalid', 'bootstrap/refused'] } as const;

  return [
    {
      ...unsigned,
      name: 'csr-attributes',
      maxBytes: 64 * 1024,
      covers: [],
      share: 1,
      mutate: mutateDer,
      // The example of RFC 7030 4.5.2, what this project's own server says, and a request of RFC 9908.
      samples: [
        'MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==',
        'MCEwFQYHKoZIzj0CATEKBggqhkjOPQMBBwYIKoZIzj0EAwI=',
        'MEEwPwYLKoZIhvcNAQkQAj0xMDAuAgEAoA8wDQYJKoZIhvcNAQEBBQChGDAWBgkqhkiG9w0BCQ4xCTAHMAUGA1UdEQ==',
        'MGIwYAYJKoZIhvcNAQkOMVMwUTAcBgNVHREEFTATghFib3gub3duZXIuZXhhbXBsZTAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIwDAYDVR0TAQH/BAIwAA==',
      ].map((sample) => Buffer.from(sample, 'base64')),
      parse: (input) => JSON.stringify(csrDemands(input)),
    },
    {
      ...unsigned,
      name: 'est-answer',
      maxBytes: 128 * 1024,
      covers: [],
      share: 6,
      mutate: mutateBase64,
      samples: [samples.certsOnly, samples.ownerCertificate].map(text),
      parse: async (input) => {
        const code = new Secret(Buffer.from(input).toString('latin1'));
        const request = new Uint8Array(1);
        const identity = { key: new Secret(''), certificatePem: '' };
        const { signal } = new AbortController();
        const asked = { operation: 'simpleenroll', request, uplink, identity, code, signal } as const;
        const requestMeeting = async () => request;
        return String((await est.enrol({ ...asked, requestMeeting })).length);
      },
    },
    {
      ...unsigned,
      mutate: mutateText,
      name: 'enrolment-words',
      covers: [],
      share: 6,
      samples: [text('The code is wrong. 4 tries are left.\n')],
      parse: (input) => {
        const activation = createActivation({ onOffer: () => {} });
        activation.refused(utf8(input));
        const message = activation.state()?.message ?? '';
        if (message.length > 200 || /[\p{Cc}\n]/u.test(message))
          throw new Error('words that are not cleaned');
        return message;
      },
    },
  ];
}
