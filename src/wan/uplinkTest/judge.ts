/**
 * Owns the verdict: from what was found on an uplink and what its site expects to checks in plain sentences, each with
 * what to do. Pure. Does not own the verdicts on who was reached (judgeReach.ts) and on figures (judgeFigures.ts).
 */
import type { CheckResult, UplinkResult } from '../../model/uplinkReport.ts';
import { result } from './checkWords.ts';
import type { Findings, Reach } from './findings.ts';
import { judgeMtu, judgeNat, judgeRoundTrips, judgeTransfer } from './judgeFigures.ts';
import { judgeReach } from './judgeReach.ts';
import type { Subject } from './subject.ts';

export function judgeUplink(subject: Subject, found: Findings): UplinkResult {
  const checks = [
    judgeAddress(subject),
    ...(subject.address === undefined
      ? []
      : [
          judgeGateway(subject, found),
          judgeDns(subject, found),
          judgeReach(found.reach),
          ...(isReached(found.reach)
            ? [
                judgeNat(found),
                judgeMtu(subject, found),
                ...judgeRoundTrips(subject, found),
                judgeTransfer('download', subject.expect.minDownKbps, found),
                judgeTransfer('upload', subject.expect.minUpKbps, found),
              ]
            : []),
        ]),
  ];
  const { reach } = found;
  return {
    name: subject.name,
    port: subject.port,
    ...(subject.ifname === undefined ? {} : { ifname: subject.ifname }),
    metered: subject.metered,
    budgetBytes: subject.budgetBytes,
    usedBytes: found.usedBytes,
    verdict: checks.some(({ verdict }) => verdict === 'fail') ? 'fail' : 'pass',
    checks,
    figures: {
      ...(subject.address === undefined ? {} : { address: subject.address }),
      ...(subject.gateway === undefined ? {} : { gateway: subject.gateway }),
      dns: [...subject.dns].slice(0, 8),
      ...(isReached(reach)
        ? {
            controller: {
              host: reach.host,
              port: reach.port,
              ...(reach.address === undefined ? {} : { address: reach.address }),
              connectMs: reach.connectMs,
              handshakeMs: reach.handshakeMs,
            },
          }
        : {}),
      ...(found.nat === undefined ? {} : { nat: found.nat }),
      ...(found.mtu === undefined ? {} : { mtu: found.mtu }),
      ...(found.roundTrip === undefined ? {} : { roundTrip: found.roundTrip }),
      ...(found.download === undefined ? {} : { download: found.download }),
      ...(found.upload === undefined ? {} : { upload: found.upload }),
    },
  };
}

type Reached = Extract<Reach, { readonly kind: 'answers' | 'proven' }>;
const isReached = (reach: Reach | undefined): reach is Reached =>
  reach?.kind === 'answers' || reach?.kind === 'proven';

function judgeAddress({ ifname, carrier, address, port, twin, dhcp, pppoe, modem }: Subject): CheckResult {
  if (ifname === undefined) {
    return result(
      'address',
      'fail',
      `The box has no interface for port ${port}.`,
      'plug the modem or card in again',
    );
  }
  if (!carrier) {
    return result(
      'address',
      'fail',
      `No cable is seen on port ${port}.`,
      `plug the provider's cable into ${port}, and look whether the device at its other end is on`,
    );
  }
  if (address === undefined && modem) {
    return result(
      'address',
      'fail',
      `The modem at ${port} is not connected.`,
      'see `branchbox status` (modems): it says what the modem waits for',
    );
  }
  if (address === undefined && pppoe) {
    return result(
      'address',
      'fail',
      `The cable on ${port} is seen, and no PPPoE session came about.`,
      `check user, password and VLAN with the provider; \`journalctl -u pppoe@${ifname}\` says what it answered`,
    );
  }
  if (address === undefined) {
    return result(
      'address',
      'fail',
      `The cable on ${port} is seen, and nobody gave an address.`,
      dhcp
        ? "restart the provider's device; where the provider gives no addresses by DHCP, a static address is needed"
        : 'give the uplink an address in the fleet',
    );
  }
  if (twin !== undefined) {
    return result(
      'address',
      'fail',
      `The box has ${address} here and on ${twin}: what it sends from there leaves by ${twin}, and this line cannot be told from it.`,
      `have the device at ${port} give addresses of another network than that of ${twin}`,
    );
  }
  return result('address', 'pass', `The box has ${address}${dhcp ? ' from the provider' : ''}.`);
}

function judgeGateway({ gateway, ifname, pppoe, modem }: Subject, { neighbour }: Findings): CheckResult {
  if (gateway === undefined) {
    return result(
      'gateway',
      'fail',
      'The provider named no gateway, so there is no way out.',
      "restart the provider's device, or ask the provider",
    );
  }
  if (neighbour === 'silent') {
    return result(
      'gateway',
      'fail',
      `The gateway ${gateway} does not answer on ${ifname ?? 'its port'}.`,
      "restart the provider's device; check that the cable leads to it and not to another network",
    );
  }
  if (neighbour !== undefined && (pppoe || modem)) {
    return result('gateway', 'pass', `The gateway ${gateway} is the other end of the session, which stands.`);
  }
  return neighbour === undefined
    ? result('gateway', 'unknown', `Whether the gateway ${gateway} answers was not tried.`)
    : result('gateway', 'pass', `The gateway ${gateway} answers.`);
}

function judgeDns(subject: Subject, { dns, reach }: Findings): CheckResult {
  if (subject.dns.length === 0) {
    if (dns === undefined)
      return result('dns', 'unknown', 'No DNS server is named, and none was needed yet.');
    return dns.names.length === 0
      ? result('dns', 'warn', 'The provider named no DNS server; the controller is known by address.')
      : result(
          'dns',
          'fail',
          'The provider named no DNS server.',
          'ask the provider, or give DNS servers in the fleet',
        );
  }
  if (dns === undefined) return result('dns', 'unknown', 'The DNS servers were not asked.');
  const named = (state: string): string =>
    dns.servers
      .filter((one) => one.state === state)
      .map(({ server }) => server)
      .join(', ');
  const silent = named('silent');
  const failing = named('failing');
  const inventing = dns.servers.filter(({ invents }) => invents).map(({ server }) => server);
  if (dns.servers.every(({ state }) => state !== 'answers')) {
    return result(
      'dns',
      'fail',
      `No DNS server of this uplink is of use: ${[silent === '' ? '' : `${silent} does not answer`, failing === '' ? '' : `${failing} answers with an error`].filter(Boolean).join('; ')}.`,
      "restart the provider's device, or ask the provider",
    );
  }
  if (dns.names.length > 0 && dns.names.every(({ addresses }) => addresses.length === 0)) {
    return result(
      'dns',
      'fail',
      `The DNS server that is asked first answers, and does not know ${dns.names.map(({ host }) => host).join(', ')}.`,
      "check the controller's name, and that the provider's DNS knows the internet",
    );
  }
  if (inventing.length > 0) {
    const proven = reach?.kind === 'proven';
    return result(
      'dns',
      proven ? 'warn' : 'fail',
      `${inventing.join(', ')} gives addresses for names that do not exist${proven ? '; what it said of the controller was right' : ''}.`,
      'ask the provider to switch off its search page or sign-in page, or give other DNS servers in the fleet',
    );
  }
  const first = dns.servers.find(({ state }) => state === 'answers')?.server ?? '';
  if (silent !== '' || failing !== '') {
    return result(
      'dns',
      'warn',
      `${first} answers and is truthful; ${[silent, failing].filter(Boolean).join(', ')} does not help.`,
    );
  }
  return result(
    'dns',
    'pass',
    `${dns.servers.map(({ server }) => server).join(', ')} answers, and is truthful.`,
  );
}
