/**
 * Bodies as bootstrap servers of others write them, of which a box must believe what is signed all the same: media types as
 * RFC 8572's own examples spell them or none at all, base64 in lines, an owner certificate in signed data. Over real
 * connections.
 */
import { describe, expect, it } from 'vitest';
import { xmlOfYang } from '../../../src/model/yangXml.ts';
import { signData } from '../../../src/pki/cms.ts';
import { OID } from '../../../src/pki/oids.ts';
import { createFaultBench, failed } from './faultBench.ts';
import { json, type Reply, sztpReply } from './servers.ts';

const bench = createFaultBench();

/** Where the box comes to. */
async function end(): Promise<string> {
  const { box, controller } = bench;
  await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'OWNED' });
  const line = box.log.findLast(failed);
  return line === undefined ? 'OWNED' : String(line.fields['problem']);
}

const asXml = ({ body = '' }: Reply): string => xmlOfYang(JSON.parse(body) as Record<string, unknown>);
const asIndentedXml = (reply: Reply): string => asXml(reply).replace(/^<\?xml[^>]*>\n/, '\n');
const asJson = ({ body = '' }: Reply): string => body;

describe('a good answer is believed, whatever its server calls it:', () => {
  it.each<[string, string | undefined, (reply: Reply) => string]>([
    ['JSON, as RFC 8572’s examples spell it', 'application/yang.data+json', asJson],
    ['XML, as RFC 8572’s examples spell it', 'Application/yang.data+xml; charset=utf-8', asXml],
    ['XML of no application', 'text/xml', asXml],
    ['plain text that is JSON', 'text/plain; charset=utf-8', asJson],
    ['plain text that is XML without a declaration', 'text/plain', asIndentedXml],
    ['nothing, in JSON', undefined, asJson],
    ['nothing, in XML', undefined, asXml],
    ['JSON behind the mark of UTF-8', 'application/yang-data+json', (reply) => `\uFEFF${asJson(reply)}`],
    ['nothing, in JSON behind that mark', undefined, (reply) => `\uFEFF${asJson(reply)}`],
    ['nothing, in XML behind that mark', undefined, (reply) => `\uFEFF${asXml(reply)}`],
  ])('%s', async (_, type, body) => {
    const { controller, good } = bench;
    controller.behaviour.sztp = (nonce) => ({
      headers: type === undefined ? {} : { 'content-type': type },
      body: body(sztpReply(good.artefacts(nonce))),
    });
    expect(await end()).toBe('OWNED');
  });

  it.each([
    ['text/plain', 'no such box', 'answered with text/plain'],
    ['text/plain', '<!DOCTYPE html><html>Sign in</html>', 'answered with text/plain'],
    ['application/octet-stream', '{}', 'answered with application/octet-stream'],
  ])('and what is none is told as %s: %s', async (type, body, words) => {
    bench.controller.behaviour.sztp = () => ({ headers: { 'content-type': type }, body });
    expect(await end()).toContain(words);
  });
});

it.each<[string, object, number, string]>([
  ['a message without end', { 'error-message': `no: ${'x'.repeat(5_000)}` }, 1, '(no: xxx'],
  ['a path without end', { 'error-path': `/${'y'.repeat(5_000)}`, 'error-message': 'no' }, 1, '(/yyy'],
  ['a tag of its own', { 'error-tag': 't'.repeat(100), 'error-app-tag': 'u'.repeat(100) }, 1, '(no)'],
  ['many of them', {}, 40, '(no)'],
])('what a server says of its refusal is told, however long it is: %s', async (_, more, count, words) => {
  const error = { 'error-type': 'application', 'error-tag': 'access-denied', 'error-message': 'no', ...more };
  bench.controller.behaviour.sztp = () => ({
    ...json({ 'ietf-restconf:errors': { error: Array.from({ length: count }, () => error) } }, 403),
  });
  expect(await end()).toContain(words);
});

it('base64 in lines is read, as Python’s and openssl’s encoders write it', async () => {
  const { controller, good } = bench;
  controller.behaviour.sztp = (nonce) => {
    const reply = sztpReply(good.artefacts(nonce));
    return { ...reply, body: asJson(reply).replaceAll(/[A-Za-z0-9+/=]{64}/g, String.raw`$&\n`) };
  };
  expect(await end()).toBe('OWNED');
});

it('an owner certificate in signed data with no content is read', async () => {
  const { authorities, controller, good } = bench;
  const signed = signData({
    contentType: OID.data,
    content: new Uint8Array(),
    signer: authorities.ownerSigner,
  });
  controller.behaviour.sztp = (nonce) => sztpReply({ ...good.artefacts(nonce), ownerCertificate: signed });
  expect(await end()).toBe('OWNED');
});
