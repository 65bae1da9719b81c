/** The parts of bootstrap (Retry-After, backoff, renewal, discovery, the read-out), held against what a hostile network can send. */
import { assert, double, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  discover,
  MAX_SERVERS_PER_SOURCE,
  parseServer,
  rotate,
  serverName,
} from '../../../src/bootstrap/discover.ts';
import { renderStatus } from '../../../src/bootstrap/renderStatus.ts';
import { renewalAtMs } from '../../../src/bootstrap/renew.ts';
import {
  backoffMs,
  BOOTSTRAP_BACKOFF,
  parseRetryAfter,
  RETRY_AFTER_MS,
} from '../../../src/bootstrap/retry.ts';
import { BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { HOUR_MS, NOW_MS } from './authorities.ts';

describe('Retry-After', () => {
  it.each([
    ['30', 30_000],
    [' 30 ', 30_000],
    ['0', RETRY_AFTER_MS.min],
    ['99999999999999999999', RETRY_AFTER_MS.max],
    [new Date(NOW_MS + 60_000).toUTCString(), 60_000],
    [new Date(NOW_MS - 60_000).toUTCString(), undefined],
    ['Monday, 01-Jun-26 12:01:00 GMT', 60_000],
    ['Mon Jun  1 12:01:00 2026', 60_000],
    ['Mon Jun 1 2026', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['Mon, 99 Foo 2026 00:00:00 GMT', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s is %s', (header, expected) => expect(parseRetryAfter(header, { nowMs: NOW_MS })).toBe(expected));

  const at = (afterMs: number): string => new Date(NOW_MS + afterMs).toUTCString();
  it.each<[string, string | undefined, number | undefined]>([
    ['an hour, of a server that is years ahead', at(0), HOUR_MS],
    ['the same, in an older form', 'Monday, 01-Jun-26 12:00:00 GMT', HOUR_MS],
    ['a moment that has passed there', at(2 * HOUR_MS), RETRY_AFTER_MS.min],
    ['a week', at(-7 * 24 * HOUR_MS), RETRY_AFTER_MS.max],
    ['a date without saying what time it is', undefined, undefined],
    ['a date, and nonsense as its time', '2026', undefined],
  ])('a date counts from the clock of the server that says it: %s', (_, date, expected) => {
    const nowMs = NOW_MS + 19 * 365 * 24 * HOUR_MS;
    expect(parseRetryAfter(at(HOUR_MS), { date, nowMs })).toBe(expected);
  });

  it.each([
    ['Tue, 30 Jun 2015 23:59:60 GMT', 60_000],
    ['Tuesday, 30-Jun-15 23:59:60 GMT', 60_000],
    ['Tue Jun 30 23:59:60 2015', 60_000],
    ['Mon, 29 Jun 2015 23:59:60 GMT', undefined],
  ])('a leap second (RFC 9110 5.6.7) is the moment after it: %s', (header, expected) => {
    expect(parseRetryAfter(header, { nowMs: Date.UTC(2015, 6, 1) - 60_000 })).toBe(expected);
  });

  it('of a server that did not prove itself is bounded lower', () => {
    expect(parseRetryAfter('86400', { nowMs: NOW_MS }, RETRY_AFTER_MS.stranger)).toBe(HOUR_MS);
  });

  it('is bounded whatever is sent', () => {
    assert(
      property(string(), string(), (header, date) => {
        const ms = parseRetryAfter(header, { date, nowMs: NOW_MS });
        expect(ms ?? RETRY_AFTER_MS.min).toBeGreaterThanOrEqual(RETRY_AFTER_MS.min);
        expect(ms ?? RETRY_AFTER_MS.max).toBeLessThanOrEqual(RETRY_AFTER_MS.max);
      }),
    );
  });
});

describe('backoff', () => {
  it('grows to its cap and never spins', () => {
    expect(backoffMs(1, BOOTSTRAP_BACKOFF, 0)).toBe(500);
    expect(backoffMs(1, BOOTSTRAP_BACKOFF, 0.999)).toBeLessThanOrEqual(1_000);
    for (const attempt of [7, 50, 5_000]) {
      expect(backoffMs(attempt, BOOTSTRAP_BACKOFF, 0)).toBe(30_000);
      expect(backoffMs(attempt, BOOTSTRAP_BACKOFF, 0.999)).toBeLessThanOrEqual(60_000);
    }
  });
});

describe('renewal', () => {
  it('of certificates that were issued together is spread over a tenth of their life', () => {
    const certificate = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + 100 };
    assert(
      property(double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const share = renewalAtMs(certificate, random) - NOW_MS;
        expect(share).toBeGreaterThanOrEqual(60);
        expect(share).toBeLessThan(70.001);
      }),
    );
    expect(renewalAtMs(certificate, 0) - NOW_MS).toBe(60);
    expect(renewalAtMs(certificate, 0.5) - NOW_MS).toBe(65);
  });
});

describe('discovery', () => {
  it.each([
    ['https://c.example', { host: 'c.example', port: 443 }],
    ['https://c.example:8443', { host: 'c.example', port: 8443 }],
    ['https://C.example.', { host: 'c.example', port: 443 }],
    ['https://198.51.100.10:8443', { host: '198.51.100.10', port: 8443 }],
    ['https://[2001:db8::1]:8443', { host: '2001:db8::1', port: 8443 }],
    ['http://c.example', 'is not https'],
    ['file:///etc/passwd', 'is not https'],
    ['https://user:word@c.example', 'carries credentials'],
    ['https://d.example:0', 'has port 0, which nobody listens on'],
    ['c.example', 'is not a URI'],
    ['', 'is not a URI'],
    [`https://${'a'.repeat(2000)}.example`, 'is longer than 1024 characters'],
  ])('reads %s', (uri, expected) => expect(parseServer(uri)).toEqual(expected));

  it.each(['c.example', '198.51.100.10', '2001:db8::1'])(
    'finds %s again by the name in the journal',
    (host) => {
      const server = { host, port: 8443 };
      expect(parseServer(`https://${serverName(server)}`)).toEqual(server);
    },
  );

  const uplink = (ifname: string, bootstrapServers: readonly string[]) => ({
    ifname,
    address: '192.0.2.1',
    dns: [],
    bootstrapServers,
  });

  it('asks whom DHCP names over the uplink that named them, then the built-in list over each', () => {
    const found = discover(
      [uplink('wan1', ['https://a.example', 'http://plain.example']), uplink('wan2', [])],
      ['https://b.example', 'https://a.example'],
    );
    expect(
      found.candidates.map(({ server, uplink: by, source }) => [server.host, by.ifname, source]),
    ).toEqual([
      ['a.example', 'wan1', 'dhcp'],
      ['b.example', 'wan1', 'built-in'],
      ['b.example', 'wan2', 'built-in'],
      ['a.example', 'wan2', 'built-in'],
    ]);
    expect(found.problems).toEqual([{ path: 'dhcp:wan1[1]', message: 'is not https' }]);
  });

  it('takes only so many of one source', () => {
    const many = Array.from({ length: 50 }, (_, index) => `https://s${index}.example`);
    const found = discover([uplink('wan1', many)], []);
    expect(found.candidates).toHaveLength(MAX_SERVERS_PER_SOURCE);
    const asked = 'the first 16 are asked, name no more than these';
    expect(found.problems).toEqual([{ path: 'dhcp:wan1', message: `names 50 bootstrap servers: ${asked}` }]);
    // A lease has the first of them alone, and its uplink says how many there were.
    const cut = { ...uplink('wan1', many.slice(0, 16)), namedServers: 17 };
    expect(discover([cut], []).problems).toEqual([
      { path: 'dhcp:wan1', message: `names 17 bootstrap servers: ${asked}` },
    ]);
  });

  it('begins elsewhere each round and leaves none out', () => {
    expect(rotate([1, 2, 3], 4)).toEqual([2, 3, 1]);
    expect(rotate([], 4)).toEqual([]);
  });
});

describe('the read-out', () => {
  it('fits its schema, with and without a journal', () => {
    const none = renderStatus({ history: [], serial: 'S', gatewayId: undefined, lastProblem: undefined });
    expect(BootstrapStatus.parse(none).state).toBe('FACTORY');
    const some = renderStatus({
      history: [{ state: 'ENROLLING', enteredAtMs: 5, note: {} }],
      serial: 'S',
      gatewayId: 'branch1',
      lastProblem: 'bootstrap/pending: waits',
    });
    expect(BootstrapStatus.parse(some)).toEqual(some);
    expect(some.mend).toContain('approve');
  });
});
