/** Rows of the fault table: bootstrap servers that lead nowhere, or are busy. */
import { NOW_MS } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { json, type Reply, type TestController } from '../servers.ts';
import { type FaultRow, faultTable, OWNED, problemOf, refusedUnowned, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
const MUST_REFUSE = 'refuse it, keep nothing of it, go on asking';

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
    'The answer of controller.branchbox.example:PORT has 1 problem ($.ietf-sztp-bootstrap-server:output.conveyed-information not base64)',
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
    told: 'bootstrap/unreachable: controller.branchbox.example:PORT over wan1: hung up after the handshake',
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
  outcome: `OWNED; asked again after ${askedS === undefined ? 'less than a second' : `${askedS} s, or a tenth more`}`,
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
    const isAsAsked = askedS !== undefined && waitedS >= askedS && waitedS <= 1.1 * askedS + 1;
    const waited = isAsAsked ? `${askedS} s, or a tenth more` : `${waitedS} s`;
    const verdict = askedS === undefined && waitedS < 1 ? 'less than a second' : waited;
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
