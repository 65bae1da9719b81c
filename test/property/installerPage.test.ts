/** Whatever comes by a LAN port of a box that is not enrolled: no page under another name, no code from elsewhere. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBasic } from '../../src/controller/activation.ts';
import { ActivationCode, plainCode } from '../../src/model/installer.ts';
import { createFormTokens } from '../../src/web/installer/formToken.ts';
import { escapeText } from '../../src/web/installer/html.ts';
import { readRequest } from '../../src/web/installer/requests.ts';

const OWN = '172.31.254.1';
const NAMES = [OWN, 'branchbox.internal'];
const near = (...known: readonly string[]) =>
  fc.oneof(fc.constantFrom(...known), fc.string(), fc.string({ unit: 'binary' }));
const maybe = (arbitrary: fc.Arbitrary<string>) => fc.option(arbitrary, { nil: undefined });

describe('a request', () => {
  it('is answered under the box’s own names alone, and a code taken from its own pages alone', () => {
    const head = fc.record({
      method: near('GET', 'POST', 'HEAD'),
      target: near(
        '/',
        '/activate',
        '/activate?link=AAAAAAAAAAAAAAAAAAAAAA',
        '//evil.example/',
        'http://evil.example/',
      ),
      host: maybe(near(OWN, `${OWN}:80`, 'branchbox.internal', 'evil.example', `${OWN}.evil.example`)),
      origin: maybe(near(`http://${OWN}`, 'http://branchbox.internal', 'http://evil.example', 'null')),
      fetchSite: maybe(near('same-origin', 'cross-site')),
      contentType: maybe(near('application/x-www-form-urlencoded', 'text/plain')),
    });
    fc.assert(
      fc.property(head, (asked) => {
        const read = readRequest(asked, OWN);
        if (read.kind === 'elsewhere') expect(read.location).toBe(`http://${OWN}/`);
        if (read.kind === 'refused' || read.kind === 'elsewhere') return;
        const host = asked.host?.toLowerCase().replace(/:80$/, '').replace(/\.$/, '') ?? '';
        expect(NAMES).toContain(host);
        if (read.kind !== 'offer') return;
        expect(asked.method).toBe('POST');
        expect([undefined, `http://${host}`]).toContain(asked.origin);
        expect([undefined, 'same-origin']).toContain(asked.fetchSite);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('what was sent', () => {
  it('holds as a token only where this page made it for this sender', () => {
    const tokens = createFormTokens({ key: new Uint8Array(32).fill(1), monotonicMs: () => 5_000 });
    const good = tokens.make('172.31.254.2');
    fc.assert(
      fc.property(
        near(good, good.slice(1), `${good}A`),
        near('172.31.254.2', '172.31.254.3'),
        (token, from) => {
          expect(tokens.holds(token, from)).toBe(token === good && from === '172.31.254.2');
        },
      ),
    );
  });

  it('is a code or none, and credentials or none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const code = ActivationCode.safeParse(plainCode(text));
        if (code.success) expect(code.data).toMatch(/^[A-HJ-NP-Z2-9]{4,10}$/);
        readBasic(text);
        const read = readBasic(`Basic ${Buffer.from(text).toString('base64')}`);
        if (read !== undefined) expect(text).toContain(':');
      }),
      { numRuns: 20_000 },
    );
  });

  it('is text in a page, never markup', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeText(text)).not.toMatch(/[<>"'\p{Cc}]/u);
      }),
      { numRuns: 20_000 },
    );
  });
});
