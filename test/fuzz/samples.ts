/**
 * Owns the samples that mutants are made of: signed ones as makeSamples.ts wrote them, the rest in words.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { GATEWAY, HOST, NOW_MS } from '../unit/bootstrap/authorities.ts';

const SAMPLE_NAMES = [
  'manufacturer',
  'domain',
  'idevid',
  'moduleIdevid',
  'ldevid',
  'between',
  'below',
  'voucher',
  'noncelessVoucher',
  'ownerCertificate',
  'conveyed',
  'signedRedirect',
  'bareRedirect',
  'certsOnly',
  'request',
  'rsaRequest',
  'berSigned',
  'pssSigned',
  'recipient',
  'recipientKey',
  'rsaRecipient',
  'rsaRecipientKey',
  'enveloped',
  'authEnveloped',
  'rsaEnveloped',
  'revocations',
  'jws',
  'order',
  'moveOrder',
  'manifest',
] as const;
/** DER in base64, keys PKCS #8; `jws`, the orders and `manifest` as they are. */
export type Samples = Readonly<Record<(typeof SAMPLE_NAMES)[number], string>>;

export const SAMPLES_FILE = fileURLToPath(new URL('samples.json', import.meta.url));

export function readSamples(): Samples {
  const read: unknown = JSON.parse(readFileSync(SAMPLES_FILE, 'utf8'));
  const entry = (name: string): string => {
    const value: unknown = typeof read === 'object' && read !== null ? Reflect.get(read, name) : undefined;
    if (typeof value !== 'string')
      throw new Error(`samples.json lacks ${name}: npm run fuzz -- --make-samples`);
    return value;
  };
  const pairs = SAMPLE_NAMES.map((name) => [name, entry(name)] as const);
  // Every name is there: it was just made of all of them.
  return Object.fromEntries(pairs) as Record<(typeof SAMPLE_NAMES)[number], string>;
}

export const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');
export const utf8 = (input: Uint8Array): string => Buffer.from(input).toString('utf8');
export const json = (value: unknown): Uint8Array => text(JSON.stringify(value));

/** The desired states of the golden cases: real ones, of all parts. */
export function desiredStates(): readonly Uint8Array[] {
  const directory = fileURLToPath(new URL('../golden/box', import.meta.url));
  return readdirSync(directory)
    .map((name) => readFileSync(`${directory}/${name}/desired.json`))
    .filter((bytes) => bytes.length > 10);
}

export function ownerSample(samples: Samples): unknown {
  const here = { host: HOST, port: 8443 };
  return {
    schema: 1,
    gatewayId: GATEWAY,
    est: { ...here, label: 'lab' },
    mqtt: here,
    device: here,
    domainAnchorPem: parseCertificate(Buffer.from(samples.domain, 'base64')).pem,
  };
}

export const LEASE = text(
  [
    "interface='wan1'",
    "new_ip_address='203.0.113.7'",
    "new_subnet_cidr='24'",
    "new_subnet_mask='255.255.255.0'",
    "new_routers='203.0.113.1 203.0.113.2'",
    "new_domain_name_servers='192.0.2.53,2001:db8::53'",
    "new_sztp_redirect='https://bootstrap.example:8443 https://[2001:db8::1] https://192.0.2.9/'",
    '',
  ].join('\n'),
);

export const LEASE6 = text(
  [
    'nd1_from=fe80::1',
    'nd1_lifetime=1800',
    'nd1_prefix_information1_prefix=2001:db8::',
    'nd1_prefix_information1_length=64',
    'nd1_prefix_information1_flags=LA',
    "nd1_addr1='2001:db8::5054:ff:fe12:3456/64'",
    "nd1_rdnss1_servers='fe80::1 2001:db8::53'",
    "new_dhcp6_ia_na1_ia_addr1='2001:db8::100'",
    "new_dhcp6_name_servers='2001:db8::54,2001:db8::55'",
    "new_dhcp6_sztp_redirect='https://bootstrap.example:8443 https://[2001:db8::1]'",
    '',
  ].join('\n'),
);

export const JOURNAL = json({
  schema: 1,
  entries: [
    { state: 'FACTORY', enteredAtMs: 1, note: {} },
    { state: 'OWNED', enteredAtMs: NOW_MS, note: { server: `${HOST}:8443`, gatewayId: GATEWAY } },
  ],
});

export const SZTP_REQUEST = json({
  'ietf-sztp-bootstrap-server:input': {
    'signed-data-preferred': [null],
    'hw-model': 'lab',
    'os-name': 'branchbox',
    'os-version': '1.0',
    nonce: Buffer.alloc(32, 9).toString('base64'),
  },
});

export const SZTP_REQUEST_XML = text(
  `<?xml version="1.0" encoding="UTF-8"?>
<!-- as libyang writes it -->
<input xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-bootstrap-server">
  <signed-data-preferred/>
  <hw-model>a &lt;lab&gt; &#x26; more</hw-model>
  <os-name><![CDATA[branchbox]]></os-name>
  <nonce>${Buffer.alloc(32, 9).toString('base64')}</nonce>
  <c:claims xmlns:c="urn:branchbox:sztp"><c:hostname>box</c:hostname></c:claims>
</input>
`,
);

export const REDIRECT_XML = text(
  `<redirect-information xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-conveyed-info">
  <bootstrap-server><address>sztp1.example.com</address><port>8443</port></bootstrap-server>
  <bootstrap-server><address>2001:db8::1</address></bootstrap-server>
</redirect-information>
`,
);

export const RESTCONF_ERRORS = json({
  'ietf-restconf:errors': {
    error: [{ 'error-type': 'application', 'error-tag': 'access-denied', 'error-message': 'not here' }],
  },
});

/** A PE file with the one section that is read, as image builders make it. */
export function ukiSample(): Uint8Array {
  const bytes = Buffer.alloc(512);
  bytes.write('MZ');
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('PE\0\0', 0x80, 'latin1');
  bytes.writeUInt16LE(1, 0x80 + 6);
  bytes.writeUInt16LE(0, 0x80 + 20);
  const commandLine = `quiet roothash=${'ab'.repeat(32)} ro`;
  const section = 0x80 + 24;
  bytes.write('.cmdline', section);
  bytes.writeUInt32LE(commandLine.length, section + 8);
  bytes.writeUInt32LE(commandLine.length, section + 16);
  bytes.writeUInt32LE(0x100, section + 20);
  bytes.write(commandLine, 0x100);
  return bytes;
}
