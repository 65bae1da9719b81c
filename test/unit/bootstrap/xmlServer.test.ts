/** Somebody else's bootstrap server that speaks and signs XML (RFC 8040 5.2, RFC 8572 3.1), over real connections. */
import { describe, expect, it } from 'vitest';
import { SZTP_GET_PATH } from '../../../src/model/sztp.ts';
import { xmlOfYang } from '../../../src/model/yangXml.ts';
import { signData } from '../../../src/pki/cms.ts';
import { signConveyed } from '../../../src/pki/conveyed.ts';
import { OID } from '../../../src/pki/oids.ts';
import { createFaultBench, failed, ownerOf } from './faultBench.ts';
import { json, onboarding, sztpReply } from './servers.ts';

const bench = createFaultBench();
const isOwned = (fields: { readonly [name: string]: unknown }): boolean => fields['state'] === 'OWNED';

/** What is in it, in XML. */
const inXml = (content: Uint8Array): Uint8Array =>
  Buffer.from(xmlOfYang(JSON.parse(Buffer.from(content).toString('utf8')) as Record<string, unknown>));

/** Where the box comes to. */
async function end(): Promise<string> {
  const { box, controller } = bench;
  await box.run({ controller, until: (line) => failed(line) || isOwned(line.fields) });
  const line = box.log.findLast(failed);
  return line === undefined ? 'OWNED' : String(line.fields['problem']);
}

/** Signed by the owner as id-ct-sztpConveyedInfoXML, whatever it is. */
const ofXmlType = (content: Uint8Array): Uint8Array =>
  signConveyed({ content, format: 'xml', owner: bench.authorities.ownerSigner });

describe('a server that takes and gives XML alone', () => {
  it('is spoken to in XML once it said so', async () => {
    bench.controller.behaviour.encoding = 'xml';
    expect(await end()).toBe('OWNED');
    expect(bench.controller.asked.filter((line) => line.includes(SZTP_GET_PATH))).toHaveLength(2);
    const [input] = bench.controller.inputs.slice(-1);
    expect(JSON.parse(input ?? '')).toMatchObject({
      'ietf-sztp-bootstrap-server:input': { 'signed-data-preferred': [null], 'os-name': 'branchbox' },
    });
  });

  it('refuses in words that the installer sees', async () => {
    const { behaviour } = bench.controller;
    behaviour.encoding = 'xml';
    const error = {
      'error-type': 'application',
      'error-tag': 'access-denied',
      'error-message': 'not <here>',
    };
    behaviour.sztp = () => json({ 'ietf-restconf:errors': { error: [error] } }, 403);
    expect(await end()).toContain('(not <here>)');
  });

  it('is told progress in XML', async () => {
    const { behaviour, reports } = bench.controller;
    behaviour.encoding = 'xml';
    reports.length = 0;
    const wanting = { ...ownerOf(bench), more: 1 };
    behaviour.sztp = (nonce) =>
      sztpReply({ ...bench.good.artefacts(nonce), conveyed: ofXmlType(inXml(onboarding(wanting))) });
    expect(await end()).toContain('The onboarding configuration has 1 problem');
    expect(
      reports.map(
        (body) => Object.values<{ readonly 'progress-type': string }>(JSON.parse(body))[0]?.['progress-type'],
      ),
    ).toEqual(['bootstrap-initiated', 'config-error']);
  });

  it('is given up where it takes neither', async () => {
    bench.controller.behaviour.encoding = 'none';
    expect(await end()).toContain('answered 415');
  });
});

describe('onboarding information in XML', () => {
  it.each([
    ['of its own type', (content: Uint8Array) => ofXmlType(content)],
    [
      'of type data',
      (content: Uint8Array) =>
        signData({ contentType: OID.data, content, signer: bench.authorities.ownerSigner }),
    ],
  ])('makes the box its owner’s as JSON does: %s', async (_, signed) => {
    bench.controller.behaviour.sztp = (nonce) =>
      sztpReply({ ...bench.good.artefacts(nonce), conveyed: signed(inXml(onboarding(ownerOf(bench)))) });
    expect(await end()).toBe('OWNED');
  });

  it('that is JSON is refused', async () => {
    bench.controller.behaviour.sztp = (nonce) =>
      sztpReply({ ...bench.good.artefacts(nonce), conveyed: ofXmlType(onboarding(ownerOf(bench))) });
    expect(await end()).toContain('is no XML that is read here');
  });
});
