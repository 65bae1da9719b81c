/** That the modules fit each other, and that somebody else's validator refuses by them what breaks their rules. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createYanglint, type Yanglint } from './yanglint.ts';

const INFO = 'ietf-sztp-conveyed-info';
const SERVER = 'ietf-sztp-bootstrap-server';
let yang: Yanglint;
beforeAll(async () => {
  yang = await createYanglint();
});
afterAll(() => yang.remove());

const text = (document: unknown): string => JSON.stringify(document);

describe('the modules', () => {
  it('fit each other, ours the standard one that it adds to', async () => {
    const files = ['test/yang/ietf-sztp-bootstrap-server.yang', 'docs/branchbox-sztp.yang'];
    expect(await yang.problemsOfModules(...files)).toBe('');
  });
});

describe('a broken body', () => {
  const onboarding = (more: object) => text({ [`${INFO}:onboarding-information`]: more });
  const redirect = (...servers: readonly object[]) =>
    text({ [`${INFO}:redirect-information`]: { 'bootstrap-server': servers } });
  const input = (more: object) => text({ [`${SERVER}:input`]: more });
  const voucher = {
    'created-on': '2026-06-01T00:00:00Z',
    assertion: 'verified',
    'serial-number': 'x',
    'pinned-domain-cert': 'AAAA',
  };
  it.each([
    ['a name without its module', INFO, text({ 'onboarding-information': {} }), 'namespace-qualified'],
    ['neither of the two', INFO, '{}', 'Mandatory choice'],
    [
      'both of the two',
      INFO,
      text({ ...JSON.parse(onboarding({})), ...JSON.parse(redirect({ address: 'a' })) }),
      'case',
    ],
    [
      'a configuration without its handling',
      INFO,
      onboarding({ configuration: 'AAAA' }),
      'configuration-handling',
    ],
    ['a handling of nothing', INFO, onboarding({ 'configuration-handling': 'merge' }), '"../configuration"'],
    [
      'a handling that is none',
      INFO,
      onboarding({ 'configuration-handling': 'add', configuration: 'AAAA' }),
      'add',
    ],
    ['no base64', INFO, onboarding({ 'configuration-handling': 'merge', configuration: '-_' }), 'Base64'],
    [
      'a hash of no image',
      INFO,
      onboarding({
        'boot-image': { 'image-verification': [{ 'hash-algorithm': `${INFO}:sha-256`, 'hash-value': 'aa' }] },
      }),
      'download-uri',
    ],
    ['a redirect to nobody', INFO, redirect(), 'Too few'],
    ['a redirect to nowhere', INFO, redirect({ port: 1 }), 'address'],
    ['one server twice', INFO, redirect({ address: 'a' }, { address: 'a', port: 1 }), 'Duplicate'],
    ['a port that is text', INFO, redirect({ address: 'a', port: '443' }), 'number'],
    [
      'a voucher with nonce and end',
      'ietf-voucher',
      text({
        'ietf-voucher:voucher': { ...voucher, nonce: 'AAAAAAAAAAA=', 'expires-on': '2026-06-02T00:00:00Z' },
      }),
      'not(../',
    ],
    [
      'a voucher with a short nonce',
      'ietf-voucher',
      text({ 'ietf-voucher:voucher': { ...voucher, nonce: 'AAAA' } }),
      'length',
    ],
    [
      'a voucher for nobody',
      'ietf-voucher',
      text({ 'ietf-voucher:voucher': { ...voucher, 'serial-number': undefined } }),
      'serial-number',
    ],
    [
      'a date without a zone',
      'ietf-voucher',
      text({ 'ietf-voucher:voucher': { ...voucher, 'created-on': '2026-06-01T00:00:00' } }),
      '2026',
    ],
    [
      'an error without a tag',
      'ietf-restconf',
      text({ 'ietf-restconf:errors': { error: [{ 'error-type': 'rpc' }] } }),
      'error-tag',
    ],
    [
      'a module without its namespace',
      'ietf-yang-library',
      text({
        'ietf-yang-library:modules-state': {
          'module-set-id': '1',
          module: [{ name: 'a', revision: '2026-01-01', 'conformance-type': 'implement' }],
        },
      }),
      'namespace',
    ],
    [
      'an empty that is true',
      'get-bootstrapping-data-input',
      input({ 'signed-data-preferred': true }),
      'empty',
    ],
    [
      'a nonce of 15 bytes',
      'get-bootstrapping-data-input',
      input({ nonce: Buffer.alloc(15).toString('base64') }),
      'length',
    ],
    ['what no module has', 'get-bootstrapping-data-input', input({ serial: 'x' }), '"serial" not found'],
    [
      'claims of another form',
      'get-bootstrapping-data-input',
      input({ 'branchbox-sztp:claims': { uuid: 'x' } }),
      'pattern',
    ],
    [
      'an owner certificate alone',
      'get-bootstrapping-data-output',
      text({ [`${SERVER}:output`]: { 'conveyed-information': 'AAAA', 'owner-certificate': 'AAAA' } }),
      'ownership-voucher',
    ],
    [
      'no conveyed information',
      'get-bootstrapping-data-output',
      text({ [`${SERVER}:output`]: {} }),
      'conveyed-information',
    ],
    ['progress that is none', 'report-progress-input', input({ 'progress-type': 'nonsense' }), 'nonsense'],
    ['progress without its type', 'report-progress-input', input({ message: 'x' }), 'progress-type'],
    [
      'host keys before the end',
      'report-progress-input',
      input({
        'progress-type': 'informational',
        'ssh-host-keys': { 'ssh-host-key': [{ algorithm: 'a', 'key-data': 'AAAA' }] },
      }),
      'When',
    ],
  ])('is refused: %s', async (_, module, body, words) => {
    const problem =
      module === 'get-bootstrapping-data-input' ||
      module === 'get-bootstrapping-data-output' ||
      module === 'report-progress-input'
        ? await yang.problemsOfOperation(module, body)
        : await yang.problemsOf(module, body);
    expect(problem).toContain(words);
  });
});
