/** Rows of the fault table: what names bootstrap servers, and servers that lead nowhere, or are busy. */
import { createUplinks, uplinkOf } from '../../../../src/bootstrap/uplink.ts';
import { parseLease } from '../../../../src/system/leases.ts';
import { parseLease6 } from '../../../../src/system/leases6.ts';
import { HOST, NOW_MS } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { json, type Reply, type TestController } from '../servers.ts';
import {
  type FaultRow,
  faultTable,
  firstFailure,
  OWNED,
  problemOf,
  refusedUnowned,
  stateOf,
  thenMended,
  toldBy,
} from './table.ts';

const bench = createFaultBench();
const MUST_REFUSE = 'refuse it, keep nothing of it, go on asking';

/** What DHCP said, as the client's hook writes it down. */
const named = (fault: string, option: string, told: string, family: 4 | 6 = 4): FaultRow => ({
  fault,
  must: 'ask nobody it names; go on when a lease names a server',
  outcome: 'bootstrap/unreachable in DISCOVER; mended',
  told: `bootstrap/unreachable: Neither a medium nor DNS, DHCP or the built-in list names a bootstrap server that can be used${told}`,
  run: async () => {
    const good = bench.box.uplinks;
    const lease =
      family === 4
        ? parseLease('wan1', `new_ip_address='127.0.0.1'\nnew_sztp_redirect='${option}'\n`)
        : parseLease6('wan1', `nd1_addr1='2001:db8::2'\nnew_dhcp6_sztp_redirect='${option}'\n`);
    if (lease === undefined) throw new Error('the lease itself is good');
    bench.box.uplinks = [{ ...uplinkOf(lease), address: '127.0.0.1' }];
    const seen = await firstFailure(bench, 'PROVISIONAL');
    bench.box.uplinks = good;
    return thenMended(bench, seen);
  },
});

const TWENTY = Array.from({ length: 20 }, () => 'https://HERE').join(' ');
const tooMany = (lines: string): FaultRow => ({
  fault: 'with twenty servers',
  must: 'ask the first sixteen; where they give nothing say that there were more',
  outcome: 'bootstrap/refused in PROVISIONAL; mended',
  told: 'bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box (dhcp:wan1 names 20 bootstrap servers: the first 16 are asked, name no more than these)',
  run: async () => {
    const { box, controller } = bench;
    const family = lines.startsWith('nd1') ? 'env6' : 'env';
    await box.files.writeDurable(
      `${box.directory}/leases/wan1.${family}`,
      lines.replaceAll('HERE', `${HOST}:${controller.port}`),
    );
    const [uplink] = await createUplinks(box.files, `${box.directory}/leases`).all();
    if (uplink === undefined) throw new Error('the lease itself is good');
    box.uplinks = [{ ...uplink, address: '127.0.0.1' }];
    controller.behaviour.sztp = () => ({ status: 403 });
    return refusedUnowned(bench);
  },
});

faultTable('option 143', [
  tooMany(`new_ip_address='127.0.0.1'\nnew_sztp_redirect='${TWENTY}'\n`),
  named('without encryption (http://)', 'http://controller.example', ' (dhcp:wan1[0] is not https)'),
  named('cut short', 'https:/', ' (dhcp:wan1[0] is not a URI)'),
  named('empty', '', ''),
  named(
    'with a name of 1,500 characters',
    `https://${'a'.repeat(1500)}.example`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named(
    'with a name of 3,000 characters',
    `https://${'a'.repeat(3000)}.example`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named(
    'with credentials in it',
    'https://user:word@controller.example',
    ' (dhcp:wan1[0] carries credentials)',
  ),
  named('with a file instead of a server', 'file:///etc/passwd', ' (dhcp:wan1[0] is not https)'),
]);

const LOOK = '(look at who names it; the others are asked)';
const named6 = (fault: string, option: string, told: string): FaultRow => named(fault, option, told, 6);

faultTable('option 136 (DHCPv6)', [
  tooMany(`nd1_addr1='2001:db8::2'\nnew_dhcp6_sztp_redirect='${TWENTY}'\n`),
  named6('without encryption (http://)', 'http://controller.example', ' (dhcp:wan1[0] is not https)'),
  named6('cut short', 'https:/', ' (dhcp:wan1[0] is not a URI)'),
  named6('cut off within an IPv6 address', 'https://[2001:db8', ' (dhcp:wan1[0] is not a URI)'),
  named6('empty', '', ''),
  named6(
    'with a name of 1,025 characters',
    `https://${'a'.repeat(1017)}`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named6(
    'with a name of 3,000 characters',
    `https://${'a'.repeat(3000)}.example`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named6(
    'with several, each wrong in its own way',
    `http://controller.example https://user:word@controller.example ftp://controller.example https:/ https://${'a'.repeat(3000)}`,
    ' (dhcp:wan1[0] is not https; dhcp:wan1[1] carries credentials; dhcp:wan1[2] is not https; and 2 more)',
  ),
  {
    fault: 'with several, of which the last is good',
    must: 'ask that one',
    outcome: 'OWNED with 0 failures',
    told: OWNED.replace(
      ';',
      `; notice: dhcp:wan1[0] is not https ${LOOK}; notice: dhcp:wan1[1] is not a URI ${LOOK};`,
    ),
    run: async () => {
      const { box, controller } = bench;
      const option = `http://controller.example https:/ https://${HOST}:${controller.port}`;
      const lease = parseLease6('wan1', `nd1_addr1='2001:db8::2'\nnew_dhcp6_sztp_redirect='${option}'\n`);
      if (lease === undefined) throw new Error('the lease itself is good');
      box.uplinks = [{ ...uplinkOf(lease), address: '127.0.0.1' }];
      await box.run({ controller, until: 'OWNED' });
      return {
        outcome: `${await stateOf(bench)} with ${box.log.filter(failed).length} failures`,
        told: toldBy(box),
      };
    },
  },
]);

const html = '<html>Welcome to our hotel</html>';
const answered = (fault: string, reply: Reply, code: string, told: string): FaultRow => ({
  fault,
  must: MUST_REFUSE,
  outcome: `${code} in PROVISIONAL; mended`,
  told: `${code}: ${told}`,
  run: () => {
    bench.controller.behaviour.sztp = () => reply;
    return refusedUnowned(bench);
  },
});
const error = {
  'error-type': 'application',
  'error-tag': 'access-denied',
  'error-message': 'unknown\u001b[2J',
};

faultTable('bootstrap server', [
  answered(
    'a captive portal: 200 with a page',
    { headers: { 'content-type': 'text/html' }, body: html },
    'bootstrap/captive-portal',
    'A captive portal on wan1 answers for controller.branchbox.example:PORT with a page (sign in with a computer on that line, or have its provider let this box through)',
  ),
  answered(
    'a captive portal: 302',
    { status: 302, headers: { location: 'http://login.example/' } },
    'bootstrap/captive-portal',
    'A captive portal on wan1 answers for controller.branchbox.example:PORT with 302 (sign in with a computer on that line, or have its provider let this box through)',
  ),
  answered(
    'a captive portal: 511 (RFC 6585)',
    { status: 511, headers: { 'content-type': 'text/html' }, body: html },
    'bootstrap/captive-portal',
    'A captive portal on wan1 answers for controller.branchbox.example:PORT with 511 (sign in with a computer on that line, or have its provider let this box through)',
  ),
  answered(
    '401',
    { status: 401 },
    'bootstrap/refused',
    "controller.branchbox.example:PORT over wan1 answered 401: it did not see this box's certificate. Is TLS intercepted on the way (captive portal, inspecting firewall)?",
  ),
  answered(
    'a firewall that blocks: 403 with a page',
    { status: 403, headers: { 'content-type': 'text/html; charset=utf-8' }, body: html },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 403 with a page, as no bootstrap server does. Is there a filtering firewall or a captive portal on the way?',
  ),
  answered(
    '404',
    { status: 404 },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 404',
  ),
  answered(
    '500',
    { status: 500, body: html },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 500',
  ),
  answered(
    'an answer larger than any artefacts',
    { ...json({}), body: ' '.repeat(600 * 1024) },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered with more than 524288 bytes',
  ),
  answered(
    'an answer that is not JSON, though it says so',
    { ...json({}), body: '{' },
    'model/invalid',
    'The answer of controller.branchbox.example:PORT is not JSON',
  ),
  answered(
    'artefacts that are no base64',
    json({ 'ietf-sztp-bootstrap-server:output': { 'conveyed-information': '!!!!' } }),
    'model/invalid',
    'The answer of controller.branchbox.example:PORT has 1 problem ($.ietf-sztp-bootstrap-server:output.conveyed-information Invalid base64-encoded string)',
  ),
  answered(
    'a refusal with control characters in its words',
    json({ 'ietf-restconf:errors': { error: [error] } }, 403),
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box (unknown?[2J)',
  ),
  {
    fault: 'one that hangs up after the handshake',
    must: 'go on asking',
    outcome: 'bootstrap/unreachable in PROVISIONAL',
    told: 'bootstrap/unreachable: controller.branchbox.example:PORT over wan1: hung up behind the handshake',
    run: async () => {
      const { controller } = bench;
      const cut: TestController = {
        ...controller,
        connect: async (options) => {
          const socket = await controller.connect(options);
          socket.destroy();
          return socket;
        },
      };
      await bench.box.run({ controller: cut, until: failed });
      const line = bench.box.log.findLast(failed);
      return { outcome: `${String(line?.fields['code'])} in ${await stateOf(bench)}`, told: problemOf(line) };
    },
  },
]);

/** Moments at which the server was asked, until the box has its owner. */
async function moments(reply: (nonce: Uint8Array, times: number) => Reply): Promise<readonly number[]> {
  const asked: number[] = [];
  bench.controller.behaviour.sztp = (nonce) => {
    asked.push(bench.box.clock.monotonicMs());
    return reply(nonce, asked.length);
  };
  await bench.box.run({ controller: bench.controller, until: 'OWNED' });
  return asked;
}
/** As the box said it when it was sent away. */
const firstTold = (): string => problemOf(bench.box.log.find(failed));
const busyTold = (status: number): string =>
  `bootstrap/refused: controller.branchbox.example:PORT over wan1 answered ${status}: busy`;
/** `askedS` undefined: what was asked makes no sense, and the box waits as after any failure, here under a second. */
const busy = (status: number, header: string, askedS: number | undefined, what = header): FaultRow => ({
  fault: `busy: ${status} with Retry-After ${what}`,
  must: askedS === undefined ? 'ask again as after any failure' : `leave it alone for ${askedS} s`,
  outcome: `OWNED; asked again after ${askedS === undefined ? 'less than a second' : `${askedS} s or more`}`,
  told: busyTold(status),
  run: async () => {
    const [first = 0, second = 0] = await moments((nonce, times) =>
      times > 1
        ? bench.good.sztp(nonce)
        : {
            status,
            headers: { 'retry-after': header, date: new Date(bench.box.clock.nowMs()).toUTCString() },
          },
    );
    const waitedS = (second - first) / 1000;
    const least = askedS !== undefined && waitedS >= askedS ? `${askedS} s or more` : `${waitedS} s`;
    const verdict = askedS === undefined && waitedS < 1 ? 'less than a second' : least;
    return { outcome: `${await stateOf(bench)}; asked again after ${verdict}`, told: firstTold() };
  },
});

faultTable('bootstrap server', [
  busy(503, '120', 120),
  busy(429, new Date(NOW_MS + 300_000).toUTCString(), 300, 'as a date'),
  busy(429, new Date(NOW_MS - 300_000).toUTCString(), 1, 'as a date that is over'),
  busy(503, '0', 1),
  busy(503, '31536000', 3_600),
  busy(503, '9'.repeat(20), 3_600),
  busy(503, '9'.repeat(4_000), undefined, 'of 4,000 digits'),
  busy(503, '-5', undefined),
  busy(503, 'soon', undefined),
  {
    fault: 'busy over one uplink, while there is another',
    must: 'ask over the other at once',
    outcome: 'OWNED; asked again after 0 s',
    told: OWNED,
    run: async () => {
      const [uplink] = bench.box.uplinks;
      if (uplink === undefined) throw new Error('the bench has an uplink');
      bench.box.uplinks = [uplink, { ...uplink, ifname: 'wan2' }];
      const [first = 0, second = 0] = await moments((nonce, times) =>
        times > 1 ? bench.good.sztp(nonce) : { status: 503, headers: { 'retry-after': '3600' } },
      );
      return {
        outcome: `${await stateOf(bench)}; asked again after ${(second - first) / 1000} s`,
        told: toldBy(bench.box),
      };
    },
  },
]);
