/** YANG data in XML is what it is in JSON. `test/lab/yangBodies.test.ts` holds the same against somebody else's converter. */
import { describe, expect, it } from 'vitest';
import { OnboardingInformation, RedirectInformation } from '../../../src/model/sztp.ts';
import { xmlOfYang, yangOfXml } from '../../../src/model/yangXml.ts';

const read = (text: string): unknown => yangOfXml(text, 'The document', 10_000);
const INFO = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-conveyed-info"';

describe('conveyed information as others write it', () => {
  it('is a redirect (as in RFC 8572 6.3.1), lists and numbers told apart', () => {
    const document = read(`<redirect-information
        ${INFO}>
      <bootstrap-server>
        <address>sztp1.example.com</address>
        <port>8443</port>
        <trust-anchor>AAAA
          BBBB</trust-anchor>
      </bootstrap-server>
      <!-- and one more -->
      <bootstrap-server><address>192.0.2.1</address><port> 0x1BB </port></bootstrap-server>
      <bootstrap-server><address>2001:db8::1</address></bootstrap-server>
    </redirect-information>`);
    expect(document).toEqual({
      'ietf-sztp-conveyed-info:redirect-information': {
        'bootstrap-server': [
          { address: 'sztp1.example.com', port: 8443, 'trust-anchor': 'AAAABBBB' },
          { address: '192.0.2.1', port: 443 },
          { address: '2001:db8::1' },
        ],
      },
    });
    expect(RedirectInformation.safeParse(document).success).toBe(true);
  });

  it('is onboarding information (as in 6.3.2), identities by their module', () => {
    const image = (
      attribute: string,
      hash: string,
    ) => `<i:onboarding-information xmlns:i="urn:ietf:params:xml:ns:yang:ietf-sztp-conveyed-info">
      <i:boot-image><i:os-name>VendorOS</i:os-name><i:download-uri>https://example.com/a</i:download-uri>
        <i:image-verification><i:hash-algorithm ${attribute}>${hash}</i:hash-algorithm><i:hash-value>ba:ec</i:hash-value></i:image-verification>
      </i:boot-image>
      <i:configuration-handling> merge
      </i:configuration-handling><i:configuration>AAAA</i:configuration>
    </i:onboarding-information>`;
    const document = {
      'ietf-sztp-conveyed-info:onboarding-information': {
        'boot-image': {
          'os-name': 'VendorOS',
          'download-uri': ['https://example.com/a'],
          'image-verification': [
            { 'hash-algorithm': 'ietf-sztp-conveyed-info:sha-256', 'hash-value': 'ba:ec' },
          ],
        },
        'configuration-handling': 'merge',
        configuration: 'AAAA',
      },
    };
    expect(read(image('', 'i:sha-256'))).toEqual(document);
    expect(read(image(INFO, 'sha-256'))).toEqual(document);
    expect(read(image('xmlns:q="urn:ietf:params:xml:ns:yang:ietf-sztp-conveyed-info"', 'q:sha-256'))).toEqual(
      document,
    );
    expect(OnboardingInformation.safeParse(document).success).toBe(true);
  });

  it('is a container that holds nothing, not null', () => {
    const document = read(`<onboarding-information ${INFO}><boot-image/></onboarding-information>`);
    expect(document).toEqual({ 'ietf-sztp-conveyed-info:onboarding-information': { 'boot-image': {} } });
    expect(OnboardingInformation.safeParse(document).success).toBe(true);
  });

  it.each([
    [`<redirect-information ${INFO}>text</redirect-information>`, 'holds text'],
    [
      `<redirect-information ${INFO}><bootstrap-server><address><b/></address></bootstrap-server></redirect-information>`,
      'holds elements',
    ],
    [
      `<redirect-information ${INFO}><bootstrap-server><port>1</port><port>2</port></bootstrap-server></redirect-information>`,
      'holds port twice',
    ],
  ])('is refused where its form is not of its YANG: %s', (text, why) =>
    expect(() => read(text)).toThrow(why),
  );

  it('has what no schema here knows by its own name', () => {
    expect(read('<x xmlns="urn:other"><y/></x>')).toEqual({ 'urn:other:x': null });
    expect(read('<__proto__/>')).toEqual(JSON.parse('{"__proto__":null}'));
    const port = (text: string): unknown =>
      read(
        `<redirect-information ${INFO}><bootstrap-server><port>${text}</port></bootstrap-server></redirect-information>`,
      );
    for (const text of ['', '1e3', '0x', '4.0', 'NaN'])
      expect(RedirectInformation.safeParse(port(text)).success).toBe(false);
  });
});

describe('what is written', () => {
  const input = (more: object) => ({ 'ietf-sztp-bootstrap-server:input': more });
  it.each([
    ['nothing', input({})],
    [
      'an empty leaf, text that XML escapes',
      input({ 'signed-data-preferred': [null], 'hw-model': '<a> & "b"\r\n' }),
    ],
    [
      'another module within',
      input({ 'branchbox-sztp:claims': { 'mac-address': ['a', 'b'], hostname: 'c' }, nonce: 'AAAA' }),
    ],
    [
      'an error',
      { 'ietf-restconf:errors': { error: [{ 'error-type': 'protocol', 'error-tag': 'invalid-value' }] } },
    ],
  ])('is read as what it was: %s', (_, document) => expect(read(xmlOfYang(document))).toEqual(document));

  it('has in the path of an error a prefix for each node', () => {
    const path = (text: string) =>
      xmlOfYang({ 'ietf-restconf:errors': { error: [{ 'error-path': text }] } }).split('\n')[1];
    const at = (attributes: string, text: string) =>
      `<errors xmlns="urn:ietf:params:xml:ns:yang:ietf-restconf"><error><error-path${attributes}>${text}</error-path></error></errors>`;
    expect(path('/ietf-sztp-bootstrap-server:input/branchbox-sztp:claims/uuid')).toBe(
      at(
        ' xmlns:ietf-sztp-bootstrap-server="urn:ietf:params:xml:ns:yang:ietf-sztp-bootstrap-server" xmlns:branchbox-sztp="urn:branchbox:sztp"',
        '/ietf-sztp-bootstrap-server:input/branchbox-sztp:claims/branchbox-sztp:uuid',
      ),
    );
    expect(path('/a<b> c')).toBe(at('', '/a&lt;b&gt; c'));
  });

  it('has no character that XML has not', () => {
    expect(read(xmlOfYang(input({ message: 'a\u0000b\u001B\ud800' })))).toEqual(
      input({ message: 'a\ufffdb\ufffd\ufffd' }),
    );
  });
});
