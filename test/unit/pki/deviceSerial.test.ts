/** Serial numbers of other makers' factory identities, as openssl writes them: which are taken, and why others are not. */
import { expect, it } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { deviceSerial } from '../../../src/pki/deviceSerial.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { createRequest, parseRequest } from '../../../src/pki/request.ts';
import { issue, makeCa, openssl } from './domain.ts';

const TYPES = { PrintableString: 0x13, UTF8String: 0x0c, IA5String: 0x16, T61String: 0x14 } as const;

/** `module`: hwSerialNum, in the words of ASN1_generate_nconf(3). */
function made(subject: string, module?: string, type: keyof typeof TYPES = 'PrintableString') {
  using tool = openssl();
  const names = module === undefined ? '' : 'subjectAltName = otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:module\n';
  tool.write(
    'c',
    `[req]\ndistinguished_name = dn\nx509_extensions = ext\n[dn]\n[ext]\nbasicConstraints = CA:FALSE\n${names}[module]\nhwType = OID:1.3.6.1.4.1.99999.1\nhwSerialNum = ${module ?? 'NULL'}\n`,
  );
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key'];
  tool.run(
    'req',
    '-x509',
    '-config',
    'c',
    '-utf8',
    ...key,
    '-subj',
    subject,
    '-outform',
    'DER',
    '-out',
    'der',
  );
  const der = tool.read('der');
  // openssl has one type for this attribute, and other makers' tools theirs: its tag alone differs. Both names are its own.
  const value = /serialNumber=(.*)/.exec(subject)?.[1] ?? '';
  for (let at = der.indexOf(value); value !== '' && at > 0; at = der.indexOf(value, at + 1)) {
    if (der[at - 2] === TYPES.PrintableString) der[at - 2] = TYPES[type];
  }
  return deviceSerial(parseCertificate(Uint8Array.from(der)));
}

it.each<[string, string | undefined, string]>([
  ['/serialNumber=BB26-0001', undefined, 'BB26-0001'],
  ['/serialNumber=bb26-a.1', undefined, 'bb26-a.1'],
  ['/CN=box', 'FORMAT:ASCII,OCTETSTRING:hw_0042', 'hw_0042'],
  [`/serialNumber=${'7'.repeat(64)}`, undefined, '7'.repeat(64)],
  ['/CN=box', 'FORMAT:ASCII,OCTETSTRING:hw-0042', 'hw-0042'],
  ['/serialNumber=SN-1', 'FORMAT:ASCII,OCTETSTRING:SN-2', 'SN-1'],
  ['/serialNumber=SN-1', 'FORMAT:HEX,OCTETSTRING:00FF', 'SN-1'],
  ['/serialNumber=SN-1', 'FORMAT:UTF8,UTF8String:SN-2', 'SN-1'],
])('%s, hardware module %s: %s', (subject, module, serial) => {
  expect(made(subject, module)).toEqual({ serial });
});

it.each(['PrintableString', 'UTF8String', 'IA5String', 'T61String'] as const)(
  'a %s names the same serial number as any other',
  (type) => {
    expect(made('/serialNumber=sn-0815', undefined, type)).toEqual({ serial: 'sn-0815' });
  },
);

const RULE =
  /^the serial number ".*" of the factory identity cannot be used: one has 1 to 64 letters, digits/;
it.each<[string, string | undefined, RegExp]>([
  ['/serialNumber=PID:WS-C3850 SN:FCW2140L0AB', undefined, /"PID:WS-C3850 SN:FCW2140L0AB"/],
  ['/serialNumber=12\\/34', undefined, /"12\/34"/],
  ['/serialNumber=..', undefined, /"\.\."/],
  ['/serialNumber=-1', undefined, /"-1"/],
  ['/CN=box', 'FORMAT:HEX,OCTETSTRING:00FF', /"\\u0000\ufffd"/],
  ['/CN=box', 'FORMAT:ASCII,OCTETSTRING:', /""/],
])('%s, hardware module %s is refused in words', (subject, module, shown) => {
  const told = made(subject, module);
  expect(told).toEqual({ problem: expect.stringMatching(RULE) });
  expect(told).toEqual({ problem: expect.stringMatching(shown) });
});

it('one without any is told so', () => {
  const subject = '/CN=box';
  const none = { problem: 'the factory identity names no serial number' };
  expect(made(subject)).toEqual(none);
  expect(made(subject, 'FORMAT:UTF8,UTF8String:SN-1')).toEqual(none);
});

it('one with an underscore, which no PrintableString has, stands in requests and certificates too', () => {
  const { privateKey } = generateKeyPair();
  const request = createRequest({ key: privateKey, commonName: 'branch1', serialNumber: 'hw_0042' });
  expect(parseRequest(request).subject.serialNumber).toBe('hw_0042');
  const box = issue(makeCa(), { kind: 'idevid', serialNumber: 'hw_0042', commonName: 'box' });
  expect(deviceSerial(box.certificate)).toEqual({ serial: 'hw_0042' });
  using tool = openssl();
  tool.write('csr', request);
  const words = ['-verify', '-noout', '-subject', '-nameopt', 'RFC2253,show_type'];
  expect(tool.run('req', '-inform', 'DER', '-in', 'csr', ...words)).toContain(
    'serialNumber=UTF8STRING:hw_0042',
  );
});
