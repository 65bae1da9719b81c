/** Input of the bootstrap server's operations: what is malformed, missing, unknown or invalid, as RESTCONF names it (RFC 8040 7). */
import { describe, expect, it } from 'vitest';
import { readBootstrappingInput, readReportInput } from '../../../src/controller/sztp/rpcInput.ts';
import { ProgressType, RestconfErrors } from '../../../src/model/sztp.ts';

const INPUT = 'ietf-sztp-bootstrap-server:input';
const body = (input: unknown) => JSON.stringify({ [INPUT]: input });

/** `tag path` of each error; what was read where there is none. */
function seen(result: ReturnType<typeof readReportInput | typeof readBootstrappingInput>): unknown {
  if ('input' in result) return result.input;
  const { status, mediaType, body: text } = result.refused;
  expect([status, mediaType]).toEqual([400, 'application/yang-data+json']);
  const { error } = RestconfErrors.parse(JSON.parse(String(text)))['ietf-restconf:errors'];
  return error.map((one) => `${one['error-tag']} ${one['error-path'] ?? ''}`.trim());
}

describe('input of get-bootstrapping-data', () => {
  const nonce = Buffer.alloc(16, 1);
  it.each([
    ['no body', '', {}],
    ['nothing in it', body({}), {}],
    [
      'all',
      body({ 'signed-data-preferred': [null], 'os-name': 'x', nonce: nonce.toString('base64') }),
      { 'signed-data-preferred': [null], 'os-name': 'x', nonce: Uint8Array.from(nonce) },
    ],
    ['longer words than are kept', body({ 'hw-model': 'x'.repeat(5000) }), { 'hw-model': 'x'.repeat(1024) }],
    ['what another module adds', body({ 'ietf-sztp-csr:csr-support': {} }), {}],
  ])('is taken: %s', (_, text, input) => expect(seen(readBootstrappingInput(text))).toEqual(input));

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
    [
      'claims that are none',
      body({ 'branchbox-sztp:claims': { uuid: 'x', more: 1 } }),
      [
        `invalid-value /${INPUT}/branchbox-sztp:claims/uuid`,
        `unknown-element /${INPUT}/branchbox-sztp:claims/more`,
      ],
    ],
  ])('is refused: %s', (_, text, errors) => expect(seen(readBootstrappingInput(text))).toEqual(errors));
});

describe('input of report-progress', () => {
  const keys = { 'ssh-host-key': [{ algorithm: 'ssh-ed25519', 'key-data': 'AAAA' }] };
  const certificates = { 'trust-anchor-cert': ['AAAA'] };

  it('is taken of each type', () => {
    for (const type of ProgressType.options)
      expect(seen(readReportInput(body({ 'progress-type': type })))).toEqual({ 'progress-type': type });
  });

  it('brings keys and certificates at the end alone', () => {
    const input = { 'ssh-host-keys': keys, 'trust-anchor-certs': certificates };
    expect(seen(readReportInput(body({ ...input, 'progress-type': 'bootstrap-complete' })))).toMatchObject({
      'progress-type': 'bootstrap-complete',
    });
    expect(seen(readReportInput(body({ ...input, 'progress-type': 'informational' })))).toEqual([
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
  ])('is refused: %s', (_, text, errors) => expect(seen(readReportInput(text))).toEqual(errors));
});
