/** Input of the bootstrap server's operations: what is malformed, missing, unknown or invalid, as RESTCONF names it (RFC 8040 7). */
import { describe, expect, it } from 'vitest';
import { readBootstrappingInput, readReportInput } from '../../../src/controller/sztp/rpcInput.ts';
import {
  ProgressType,
  RestconfErrors,
  SZTP_MEDIA_TYPE,
  SZTP_XML_MEDIA_TYPE,
} from '../../../src/model/sztp.ts';

const INPUT = 'ietf-sztp-bootstrap-server:input';
const body = (input: unknown) => JSON.stringify({ [INPUT]: input });
const inJson = (text: string) => ({ text, encoding: SZTP_MEDIA_TYPE }) as const;
const inXml = (text: string) => ({ text, encoding: SZTP_XML_MEDIA_TYPE }) as const;

/** `tag path` of each error; what was read where there is none. */
function seen(result: ReturnType<typeof readReportInput | typeof readBootstrappingInput>): unknown {
  if ('input' in result) return result.input;
  const { status, data } = result.refused;
  expect(status).toBe(400);
  const { error } = RestconfErrors.parse(data)['ietf-restconf:errors'];
  return error.map((one) => `${one['error-tag']} ${one['error-path'] ?? ''}`.trim());
}

describe('input of get-bootstrapping-data', () => {
  const nonce = Buffer.alloc(16, 1);
  const nonceOf = (bytes: number): string => Buffer.alloc(bytes).toString('base64');
  it.each([
    ['no body', '', {}],
    ['nothing in it', body({}), {}],
    [
      'all',
      body({ 'signed-data-preferred': [null], 'os-name': 'x', nonce: nonce.toString('base64') }),
      { 'signed-data-preferred': [null], 'os-name': 'x', nonce: Uint8Array.from(nonce) },
    ],
    [
      'a nonce in lines',
      body({ nonce: `${nonce.toString('base64').slice(0, 12)}\n${nonce.toString('base64').slice(12)}\n` }),
      { nonce: Uint8Array.from(nonce) },
    ],
    ['the shortest nonce', body({ nonce: nonceOf(16) }), { nonce: new Uint8Array(16) }],
    ['the longest nonce', body({ nonce: nonceOf(32) }), { nonce: new Uint8Array(32) }],
    ['longer words than are kept', body({ 'hw-model': 'x'.repeat(5000) }), { 'hw-model': 'x'.repeat(1024) }],
    ['what another module adds', body({ 'ietf-sztp-csr:csr-support': {} }), {}],
  ])('is taken: %s', (_, text, input) => expect(seen(readBootstrappingInput(inJson(text)))).toEqual(input));

  it.each([
    ['no JSON', '{', ['malformed-message']],
    ['no object', '[]', ['malformed-message']],
    ['depth without end', '['.repeat(5000), ['malformed-message']],
    ['no input', '{}', [`missing-element /${INPUT}`]],
    ['an input without its module', '{"input":{}}', [`missing-element /${INPUT}`, 'unknown-element /input']],
    ['an input that is none', body(null), [`invalid-value /${INPUT}`]],
    ['what no module has', body({ serial: 1 }), [`unknown-element /${INPUT}/serial`]],
    [
      'a module where none belongs',
      body({ 'ietf-sztp-bootstrap-server:nonce': '' }),
      [`unknown-element /${INPUT}/ietf-sztp-bootstrap-server:nonce`],
    ],
    [
      'an empty that is not',
      body({ 'signed-data-preferred': true }),
      [`invalid-value /${INPUT}/signed-data-preferred`],
    ],
    [
      'a short nonce, and a model that is a number',
      body({ nonce: 'AAAA', 'hw-model': 7 }),
      [`invalid-value /${INPUT}/hw-model`, `invalid-value /${INPUT}/nonce`],
    ],
    // RFC 8572 7.3; a voucher may have one of 8 (RFC 8366 5.3).
    ...[0, 8, 15, 33].map((bytes): [string, string, string[]] => [
      `a nonce of ${bytes} bytes`,
      body({ nonce: nonceOf(bytes) }),
      [`invalid-value /${INPUT}/nonce`],
    ]),
    [
      'claims that are none',
      body({ 'branchbox-sztp:claims': { uuid: 'x', more: 1 } }),
      [
        `invalid-value /${INPUT}/branchbox-sztp:claims/uuid`,
        `unknown-element /${INPUT}/branchbox-sztp:claims/more`,
      ],
    ],
  ])('is refused: %s', (_, text, errors) =>
    expect(seen(readBootstrappingInput(inJson(text)))).toEqual(errors),
  );
});

describe('input of report-progress', () => {
  const keys = { 'ssh-host-key': [{ algorithm: 'ssh-ed25519', 'key-data': 'AAAA' }] };
  const certificates = { 'trust-anchor-cert': ['AAAA'] };

  it('is taken of each type', () => {
    for (const type of ProgressType.options)
      expect(seen(readReportInput(inJson(body({ 'progress-type': type }))))).toEqual({
        'progress-type': type,
      });
  });

  it('brings keys and certificates at the end alone', () => {
    const input = { 'ssh-host-keys': keys, 'trust-anchor-certs': certificates };
    expect(
      seen(readReportInput(inJson(body({ ...input, 'progress-type': 'bootstrap-complete' })))),
    ).toMatchObject({
      'progress-type': 'bootstrap-complete',
    });
    expect(seen(readReportInput(inJson(body({ ...input, 'progress-type': 'informational' }))))).toEqual([
      `unknown-element /${INPUT}/ssh-host-keys`,
      `unknown-element /${INPUT}/trust-anchor-certs`,
    ]);
  });

  it.each([
    ['no body', '', ['malformed-message']],
    ['no type', body({ message: 'x' }), [`missing-element /${INPUT}/progress-type`]],
    ['a type that is none', body({ 'progress-type': 'x' }), [`invalid-value /${INPUT}/progress-type`]],
    [
      'a message that is none',
      body({ 'progress-type': 'informational', message: {} }),
      [`invalid-value /${INPUT}/message`],
    ],
    [
      'a key without its algorithm',
      body({
        'progress-type': 'bootstrap-complete',
        'ssh-host-keys': { 'ssh-host-key': [{ 'key-data': 'AAAA' }] },
      }),
      [`missing-element /${INPUT}/ssh-host-keys/ssh-host-key[1]/algorithm`],
    ],
  ])('is refused: %s', (_, text, errors) => expect(seen(readReportInput(inJson(text)))).toEqual(errors));
});

describe('input in XML', () => {
  const NS = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-bootstrap-server"';
  const nonce = Buffer.alloc(32, 1);
  it('is taken as the same in JSON is', () => {
    const text = `<input ${NS}>
      <signed-data-preferred/><hw-model>lab</hw-model>
      <nonce>
        ${nonce.toString('base64').slice(0, 20)}
        ${nonce.toString('base64').slice(20)}
      </nonce>
      <c:claims xmlns:c="urn:branchbox:sztp"><c:mac-address>00:00:5e:00:53:01</c:mac-address></c:claims>
      <csr-support xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-csr"><key-generation/></csr-support>
      <more xmlns="https://vendor.example/yang">x</more>
    </input>`;
    expect(seen(readBootstrappingInput(inXml(text)))).toEqual({
      'signed-data-preferred': [null],
      'hw-model': 'lab',
      nonce: Uint8Array.from(nonce),
      'branchbox-sztp:claims': { 'mac-address': ['00:00:5e:00:53:01'] },
    });
    expect(seen(readBootstrappingInput(inXml('')))).toEqual({});
    const report = `<input ${NS}><progress-type>bootstrap-complete</progress-type><ssh-host-keys><ssh-host-key>
      <algorithm>ssh-ed25519</algorithm><key-data>AAAA</key-data></ssh-host-key></ssh-host-keys></input>`;
    expect(seen(readReportInput(inXml(report)))).toMatchObject({
      'ssh-host-keys': { 'ssh-host-key': [{ algorithm: 'ssh-ed25519', 'key-data': 'AAAA' }] },
    });
  });

  it.each([
    ['JSON', '{}', ['malformed-message']],
    ['a document type', `<!DOCTYPE input []><input ${NS}/>`, ['malformed-message']],
    [
      'another root',
      `<output ${NS}/>`,
      [`missing-element /${INPUT}`, 'unknown-element /ietf-sztp-bootstrap-server:output'],
    ],
    ['no namespace', '<input/>', [`missing-element /${INPUT}`, 'unknown-element /input']],
    ['what no module has', `<input ${NS}><serial>1</serial></input>`, [`unknown-element /${INPUT}/serial`]],
    ['a short nonce', `<input ${NS}><nonce>AAAA</nonce></input>`, [`invalid-value /${INPUT}/nonce`]],
    ['a leaf twice', `<input ${NS}><os-name>a</os-name><os-name>b</os-name></input>`, ['malformed-message']],
    ['text for a container', `<input ${NS}>text</input>`, ['malformed-message']],
  ])('is refused: %s', (_, text, errors) =>
    expect(seen(readBootstrappingInput(inXml(text)))).toEqual(errors),
  );
});
