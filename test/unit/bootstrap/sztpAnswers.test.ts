/**
 * Answers of a bootstrap server that lead nowhere, redirects, and servers that are busy or hang up.
 */
import { describe, expect, it } from 'vitest';
import { certsOnly } from '../../../src/pki/cms.ts';
import { wrapConveyed } from '../../../src/pki/conveyed.ts';
import { HOST, NOW_MS } from './authorities.ts';
import { conveyedBy, createFaultBench, failed, refusalOfOwner } from './faultBench.ts';
import { json, redirect, sztpReply, type TestController } from './servers.ts';

const bench = createFaultBench();
const refusal = () => refusalOfOwner(bench);

describe('an answer is refused', () => {
  const html = '<html>Welcome to our hotel</html>';
  it.each([
    ['200 with a page (captive portal)', { headers: { 'content-type': 'text/html' }, body: html }],
    ['302 (captive portal)', { status: 302, headers: { location: 'http://login.example/' } }],
    ['401', { status: 401 }],
    ['404', { status: 404 }],
    ['500', { status: 500, body: html }],
    ['that is larger than any artefacts', { ...json({}), body: ' '.repeat(600 * 1024) }],
  ])('%s', async (_what, reply) => {
    bench.controller.behaviour.sztp = () => reply;
    expect((await refusal()).code).toBe('bootstrap/refused');
  });

  it('that is not JSON, though it says so', async () => {
    bench.controller.behaviour.sztp = () => ({ ...json({}), body: '{' });
    expect((await refusal()).code).toBe('model/invalid');
  });

  it('whose artefacts are no base64, with its path', async () => {
    bench.controller.behaviour.sztp = () =>
      json({ 'ietf-sztp-bootstrap-server:output': { 'conveyed-information': '!!!!' } });
    const { code, text } = await refusal();
    expect(code).toBe('model/invalid');
    expect(text).toContain('conveyed-information');
  });

  it('and shows what the server says, in printable characters', async () => {
    const error = {
      'error-type': 'application',
      'error-tag': 'access-denied',
      'error-message': 'unknown\u001b[2J',
    };
    bench.controller.behaviour.sztp = () => json({ 'ietf-restconf:errors': { error: [error] } }, 403);
    const { code, text } = await refusal();
    expect(code).toBe('bootstrap/refused');
    expect(text).toContain('unknown?[2J');
  });

  it('by a server that hangs up', async () => {
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
    expect(bench.box.log.findLast(failed)?.fields['code']).toBe('bootstrap/unreachable');
  });
});

/** Bare and unsigned, at the first question; good answers after it. */
function redirectOnce(target: Parameters<typeof redirect>[0][number]): void {
  let first = true;
  bench.controller.behaviour.sztp = (nonce) => {
    if (!first) return bench.good.sztp(nonce);
    first = false;
    return sztpReply({
      conveyed: wrapConveyed(redirect([target]), 'json'),
      voucher: undefined,
      ownerCertificate: undefined,
    });
  };
}
async function ownedWithoutFailure(): Promise<void> {
  await bench.box.run({
    controller: bench.controller,
    until: (line) => failed(line) || line.fields['state'] === 'OWNED',
  });
  expect(bench.box.log.filter(failed)).toEqual([]);
}

describe('redirects', () => {
  const toSelf = () => ({ address: HOST, port: bench.controller.port });

  it('are followed when bare and unsigned, to a server whose signed data then counts', async () => {
    redirectOnce(toSelf());
    await ownedWithoutFailure();
  });

  it('are given up after ten', async () => {
    let asked = 0;
    bench.controller.behaviour.sztp = () => {
      asked += 1;
      return sztpReply({
        conveyed: wrapConveyed(redirect([toSelf()]), 'json'),
        voucher: undefined,
        ownerCertificate: undefined,
      });
    };
    const { code, text } = await refusal();
    expect(code).toBe('bootstrap/refused');
    expect(text).toContain('more than 10 redirects');
    expect(asked).toBe(11);
  });

  it.each([
    ['its own', true],
    ['another', false],
  ])('hold the server to the anchor that a signed one names: %s', async (_whose, isOwn) => {
    const anchor = isOwn ? bench.authorities.domain : bench.authorities.stranger;
    const target = {
      ...toSelf(),
      'trust-anchor': Buffer.from(certsOnly([anchor.certificate])).toString('base64'),
    };
    let first = true;
    bench.controller.behaviour.sztp = (nonce) => {
      if (!first) return bench.good.sztp(nonce);
      first = false;
      return sztpReply({ ...bench.good.artefacts(nonce), conveyed: conveyedBy(bench, redirect([target])) });
    };
    await bench.box.run({
      controller: bench.controller,
      until: (line) => failed(line) || line.fields['state'] === 'OWNED',
    });
    expect(bench.box.log.findLast(failed)?.fields['code']).toBe(isOwn ? undefined : 'pki/untrusted');
  });

  it('do not make an anchor count that nobody signed', async () => {
    const target = {
      ...toSelf(),
      'trust-anchor': Buffer.from(certsOnly([bench.authorities.stranger.certificate])).toString('base64'),
    };
    redirectOnce(target);
    await ownedWithoutFailure();
  });
});

describe('a server that is busy', () => {
  it.each([
    ['503', '120', 120_000],
    ['429', new Date(NOW_MS + 300_000).toUTCString(), 300_000],
  ])('with %s is left alone as long as it asks', async (status, header, askedMs) => {
    const moments: number[] = [];
    bench.controller.behaviour.sztp = (nonce) => {
      moments.push(bench.box.clock.monotonicMs());
      if (moments.length > 1) return bench.good.sztp(nonce);
      return { status: Number(status), headers: { 'retry-after': header } };
    };
    await bench.box.run({ controller: bench.controller, until: 'OWNED' });
    expect((moments[1] ?? 0) - (moments[0] ?? 0)).toBeGreaterThanOrEqual(askedMs);
  });

  it('does not hold up another one', async () => {
    const moments: number[] = [];
    const [uplink] = bench.box.uplinks;
    if (uplink === undefined) throw new Error('no uplink');
    bench.box.uplinks = [uplink, { ...uplink, ifname: 'wan2' }];
    bench.controller.behaviour.sztp = (nonce) => {
      moments.push(bench.box.clock.monotonicMs());
      return moments.length > 1
        ? bench.good.sztp(nonce)
        : { status: 503, headers: { 'retry-after': '3600' } };
    };
    await bench.box.run({ controller: bench.controller, until: 'OWNED' });
    expect(moments[1]).toBe(moments[0]);
  });
});

describe('two uplinks of which one works', () => {
  it('are both tried', async () => {
    const [uplink] = bench.box.uplinks;
    if (uplink === undefined) throw new Error('no uplink');
    bench.box.uplinks = [{ ...uplink, ifname: 'dark' }, uplink];
    const { controller } = bench;
    const half: TestController = {
      ...controller,
      connect: (options) =>
        options.uplink.ifname === 'dark'
          ? Promise.reject(new Error('no route'))
          : controller.connect(options),
    };
    expect(await bench.box.run({ controller: half, until: 'OPERATIONAL' })).toBe(true);
  });
});
