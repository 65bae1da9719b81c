/** What an uplink test says of the way to the controller: a row a finding. */
import { describe, expect, it } from 'vitest';
import { type Findings, NOTHING_FOUND } from '../../../src/wan/uplinkTest/findings.ts';
import { judgeUplink } from '../../../src/wan/uplinkTest/judge.ts';
import { holdRows, type Row, SUBJECT } from './uplinkFindings.ts';

const reach = (more: Findings['reach']) => ({ reach: more });
const ROWS: readonly Row[] = [
  {
    what: 'no cable',
    subject: { carrier: false, address: undefined },
    check: 'address',
    verdict: 'fail',
    says: /No cable/,
  },
  {
    what: 'no interface',
    subject: { ifname: undefined, address: undefined },
    check: 'address',
    verdict: 'fail',
    says: /no interface/,
  },
  {
    what: 'no lease',
    subject: { address: undefined },
    check: 'address',
    verdict: 'fail',
    says: /nobody gave an address/,
  },
  {
    what: 'the address of another uplink',
    subject: { twin: 'lte' },
    check: 'address',
    verdict: 'fail',
    says: /192\.0\.2\.7\/24 here and on lte/,
  },
  {
    what: 'no PPPoE session',
    subject: { address: undefined, dhcp: false, pppoe: true, ifname: 'ppp-wan1' },
    check: 'address',
    verdict: 'fail',
    says: /no PPPoE session/,
  },
  {
    what: 'no gateway named',
    subject: { gateway: undefined },
    check: 'gateway',
    verdict: 'fail',
    says: /named no gateway/,
  },
  {
    what: 'a dead gateway',
    found: { neighbour: 'silent' },
    check: 'gateway',
    verdict: 'fail',
    says: /192\.0\.2\.1 does not answer/,
  },
  {
    what: 'a dead DNS server',
    found: {
      dns: {
        servers: [{ server: '192.0.2.53', state: 'silent', invents: false }],
        names: [{ host: 'controller.example', addresses: [] }],
      },
    },
    check: 'dns',
    verdict: 'fail',
    says: /192\.0\.2\.53 does not answer/,
  },
  {
    what: 'one dead DNS server of two',
    found: {
      dns: {
        servers: [
          { server: '192.0.2.53', state: 'answers', invents: false },
          { server: '192.0.2.54', state: 'silent', invents: false },
        ],
        names: [],
      },
    },
    check: 'dns',
    verdict: 'warn',
    says: /192\.0\.2\.54 does not help/,
  },
  {
    what: 'a DNS server that invents, the controller proven',
    found: { dns: { servers: [{ server: '192.0.2.53', state: 'answers', invents: true }], names: [] } },
    check: 'dns',
    verdict: 'warn',
    says: /names that do not exist/,
  },
  {
    what: 'a DNS server that invents, the controller not reached',
    found: {
      dns: { servers: [{ server: '192.0.2.53', state: 'answers', invents: true }], names: [] },
      reach: { kind: 'silent', host: 'x', why: 'no answer' },
    },
    check: 'dns',
    verdict: 'fail',
    says: /names that do not exist/,
  },
  {
    what: 'DNS servers that know nobody who is asked for',
    found: {
      dns: {
        servers: [{ server: '192.0.2.53', state: 'answers', invents: false }],
        names: [
          { host: 'one.example', addresses: [] },
          { host: 'two.example', addresses: [] },
        ],
      },
    },
    check: 'dns',
    verdict: 'fail',
    says: /does not know one\.example, two\.example/,
  },
  {
    what: 'a captive portal',
    found: reach({
      kind: 'portal',
      host: 'controller.example',
      where: 'it sends the box to login.hotel.example',
    }),
    check: 'controller',
    verdict: 'fail',
    says: /captive portal .* login\.hotel\.example/,
  },
  {
    what: 'somebody in between',
    found: reach({
      kind: 'impostor',
      host: 'controller.example',
      certificate: 'Proxy CA',
      why: 'TLS: unable to verify the first certificate',
    }),
    check: 'controller',
    verdict: 'fail',
    says: /certificate of Proxy CA \(TLS: unable to verify/,
  },
  {
    what: 'a line that loses large packets',
    found: reach({ kind: 'stalled', host: 'controller.example' }),
    check: 'controller',
    verdict: 'fail',
    says: /packets of full size are lost/,
  },
  {
    what: 'a closed firewall',
    found: reach({ kind: 'silent', host: 'controller.example', why: 'no answer in time' }),
    check: 'controller',
    verdict: 'fail',
    says: /no answer in time/,
  },
  {
    what: 'an unknown name',
    found: reach({ kind: 'no-name', host: 'controller.example' }),
    check: 'controller',
    verdict: 'fail',
    says: /no address on this uplink/,
  },
  {
    what: 'nobody to reach',
    found: reach({ kind: 'no-target' }),
    check: 'controller',
    verdict: 'unknown',
    says: /nobody to reach/,
  },
];

describe('an uplink with', () => {
  holdRows(ROWS);

  it('a session tells no more of its other end than that it is there', () => {
    const { checks } = judgeUplink({ ...SUBJECT, pppoe: true }, { ...NOTHING_FOUND, neighbour: 'answers' });
    expect(checks[1]).toEqual({
      check: 'gateway',
      verdict: 'pass',
      sentence: 'The gateway 192.0.2.1 is the other end of the session, which stands.',
    });
  });

  it('nothing before its address says no more than that', () => {
    const { checks } = judgeUplink({ ...SUBJECT, address: undefined }, NOTHING_FOUND);
    expect(checks.map(({ check }) => check)).toEqual(['address']);
  });
});
