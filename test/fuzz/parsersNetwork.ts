/**
 * Owns the parsers of what a box hears from a network that nobody vouches for: leases, servers named in them, HTTP of
 * whoever stands in between.
 */
import { isIP } from 'node:net';
import { judgeAnswer } from '../../src/bootstrap/captivePortal.ts';
import { discover, parseServer } from '../../src/bootstrap/discover.ts';
import { judgePortalApi } from '../../src/bootstrap/portalApi.ts';
import { parseRetryAfter } from '../../src/bootstrap/retry.ts';
import { uplinkOf } from '../../src/bootstrap/uplink.ts';
import { splitCidr } from '../../src/model/addresses.ts';
import { parseLease } from '../../src/system/leases.ts';
import { parseLease6 } from '../../src/system/leases6.ts';
import { HOST, NOW_MS } from '../unit/bootstrap/authorities.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import { json, LEASE, LEASE6, text, utf8 } from './samples.ts';

export function networkParsers(): readonly FuzzParser[] {
  const uplink = { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] };
  const asText = { isSigned: false, refusals: [], mutate: mutateText } as const;

  return [
    {
      ...asText,
      name: 'portal-answer',
      maxBytes: 8 * 1024,
      covers: ['captivePortal#judgeAnswer'],
      share: 6,
      samples: [
        text('HTTP/1.1 302 Found\r\nLocation: http://login.example/?from=%20\r\n\r\n'),
        text('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n'),
      ],
      parse: (input) => judgeAnswer(utf8(input), { host: HOST, port: 443 }, uplink)?.message,
    },
    {
      ...asText,
      name: 'portal-api',
      maxBytes: 16 * 1024,
      mutate: mutateJson,
      refusals: ['model/invalid'],
      covers: ['portalApi#judgePortalApi'],
      share: 6,
      samples: [json({ captive: true, 'user-portal-url': 'https://login.example/?id=%20' })],
      parse: (input) => judgePortalApi(utf8(input), uplink)?.message ?? 'none',
    },
    {
      ...asText,
      name: 'retry-after',
      maxBytes: 16 * 1024,
      covers: ['retry#parseRetryAfter'],
      share: 12,
      samples: [
        '120',
        new Date(NOW_MS + 60_000).toUTCString(),
        `${new Date(NOW_MS + 60_000).toUTCString()}\n${new Date(NOW_MS).toUTCString()}`,
      ].map(text),
      parse: (input) => {
        const [header = '', date] = utf8(input).split('\n');
        const waitMs = parseRetryAfter(header, { date, nowMs: NOW_MS });
        if (waitMs !== undefined && !(waitMs >= 1_000 && waitMs <= 86_400_000))
          throw new Error(`waits ${waitMs} ms`);
        return waitMs === undefined ? undefined : String(waitMs);
      },
    },
    {
      ...asText,
      name: 'server-uri',
      maxBytes: 2048,
      covers: ['discover#parseServer'],
      share: 12,
      samples: ['https://bootstrap.example:8443/', 'https://[2001:db8::1]:443', 'https://192.0.2.1'].map(
        text,
      ),
      parse: (input) => {
        const server = parseServer(utf8(input));
        if (typeof server === 'string') return undefined;
        const isPort = Number.isInteger(server.port) && server.port >= 0 && server.port <= 65_535;
        if (!isPort || /[\s/@]/.test(server.host)) throw new Error(`asks ${JSON.stringify(server)}`);
        return server.host;
      },
    },
    {
      ...asText,
      name: 'dhcp-lease',
      maxBytes: 64 * 1024,
      covers: ['leases#parseLease'],
      share: 12,
      samples: [LEASE],
      parse: (input) => {
        const lease = parseLease('wan1', utf8(input));
        if (lease === undefined) return undefined;
        return String(discover([{ ...uplink, ...lease }], []).candidates.length);
      },
    },
    {
      ...asText,
      name: 'dhcp6-lease',
      maxBytes: 64 * 1024,
      covers: ['leases6#parseLease6'],
      share: 12,
      samples: [LEASE6],
      parse: (input) => {
        const lease = parseLease6('wan1', utf8(input));
        if (lease === undefined) return undefined;
        if (lease.dns.length > 8 || isIP(splitCidr(lease.address).address) !== 6)
          throw new Error('a lease that is none');
        return String(discover([uplinkOf(lease)], []).candidates.length);
      },
    },
  ];
}
