/** The probes of an uplink test as bytes: what was written is read, and no other byte. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressBytes,
  addressText,
  claimedSession,
  encodeAnswer,
  encodeAsk,
  parseAnswer,
  parseAsk,
  PROBE_HEADER_BYTES,
  type Tag,
} from '../../../src/model/uplinkProbe.ts';

const tagOf =
  (key: string): Tag =>
  (signed) =>
    createHmac('sha256', key).update(signed).digest();
const tag = tagOf('a');
const session = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 0xfe]);
const address = addressBytes('198.51.100.7') ?? new Uint8Array();

describe('a probe', () => {
  it('is read as it was written, at any size', () => {
    const ask = encodeAsk({ session, number: 70_000, answerBytes: 1472 }, 1472, tag);
    expect(ask).toHaveLength(1472);
    expect(claimedSession(ask, 'ask')).toBe('01020304050607fe');
    expect(claimedSession(ask, 'answer')).toBeUndefined();
    expect(parseAsk(ask, tag)).toEqual({ session, number: 70_000, answerBytes: 1472 });
    const answer = encodeAnswer({ session, number: 9, cameBytes: 1472, address, port: 40_001 }, 0, tag);
    expect(answer).toHaveLength(PROBE_HEADER_BYTES);
    expect(parseAnswer(answer, tag)).toEqual({ session, number: 9, cameBytes: 1472, address, port: 40_001 });
    expect(addressText(address)).toBe('198.51.100.7');
  });

  it('is nothing to another key, with a changed byte of its header, or of another length', () => {
    const ask = encodeAsk({ session, number: 1, answerBytes: 100 }, 100, tag);
    expect(parseAsk(ask, tagOf('b'))).toBeUndefined();
    expect(parseAsk(ask.slice(0, 99), tag)).toBeUndefined();
    for (let at = 0; at < PROBE_HEADER_BYTES; at += 1) {
      const changed = ask.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      const read = claimedSession(changed, 'ask') === undefined ? undefined : parseAsk(changed, tag);
      expect(read, `byte ${at}`).toBeUndefined();
    }
  });

  it('of any other bytes is nothing, and nothing throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        if (claimedSession(bytes, 'ask') !== undefined) expect(parseAsk(bytes, tag)).toBeUndefined();
        expect(claimedSession(bytes.slice(0, 20), 'ask')).toBeUndefined();
      }),
    );
  });

  it('comes from an address of either family', () => {
    expect(addressBytes('::ffff:192.0.2.1')).toEqual(addressBytes('192.0.2.1'));
    for (const text of ['192.0.2.1', '2001:db8::1', '::1', 'fe80::1:0:0:1']) {
      const bytes = addressBytes(text) ?? new Uint8Array();
      expect(bytes).toHaveLength(16);
      expect(addressText(bytes)).toBe(text);
    }
    for (const text of ['192.0.2', '192.0.2.256', '2001:db8', '']) expect(addressBytes(text)).toBeUndefined();
  });
});
