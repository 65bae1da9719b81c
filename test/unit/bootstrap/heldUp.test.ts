/** What one bootstrap server and all that it leads to may take of a box's time, before the next is asked. */
import { describe, expect, it } from 'vitest';
import type { Https } from '../../../src/bootstrap/https.ts';
import { createSztpClient } from '../../../src/bootstrap/sztp.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { wrapConveyed } from '../../../src/pki/conveyed.ts';
import { redirect, sztpReply } from './servers.ts';

const uplink = { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] };
const first = { host: 'hostile.example', port: 443 };
const list = (hop: number) =>
  redirect(Array.from({ length: 16 }, (_, index) => ({ address: `192.0.2.${index + 1}`, port: 1000 + hop })));

/** A box whose every question `answers` answers: with a redirect, or as it rejects. */
function asking(
  answers: (count: number, signal: AbortSignal) => Promise<Uint8Array>,
  candidateTimeoutMs?: number,
) {
  const asked: string[] = [];
  const https: Https = async ({ server }, signal) => {
    asked.push(server.host);
    const reply = sztpReply({
      conveyed: wrapConveyed(await answers(asked.length, signal), 'json'),
      ownerCertificate: undefined,
      voucher: undefined,
    });
    return {
      status: 200,
      contentType: 'application/yang-data+json',
      body: Buffer.from(reply.body ?? ''),
      retryAfterMs: undefined,
      asksForBasic: false,
    };
  };
  const client = createSztpClient({
    https,
    // Of a bare redirect nothing is verified: no more of the box than its model is looked at.
    factory: { model: 'lab' } as Parameters<typeof createSztpClient>[0]['factory'],
    clock: {} as Parameters<typeof createSztpClient>[0]['clock'],
    randomBytes: (count) => new Uint8Array(count),
    os: { name: 'branchbox', version: '1' },
    claims: () => Promise.reject(new Error('nobody asks')),
    ...(candidateTimeoutMs !== undefined && { candidateTimeoutMs }),
  });
  return { client, asked };
}
const silence = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

describe('a bootstrap server that leads to others', () => {
  it('has no more than 17 servers asked, however they are listed', async () => {
    const { client, asked } = asking(async (count) => {
      // The last of each list redirects again.
      if (count % 16 === 1) return list(count);
      throw new BranchboxError('bootstrap/unreachable', { message: 'no answer in time' });
    });
    await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toMatchObject({
      code: 'bootstrap/refused',
      message: 'hostile.example:443 led to more than 17 servers',
    });
    expect(asked).toHaveLength(17);
  });

  it('has the first 16 asked of a longer list, and each by a name that TLS knows', async () => {
    const servers = [
      'SZTP_1.example.',
      '2001:db8::1',
      ...Array.from({ length: 38 }, (_, index) => `s${index}.example`),
    ];
    const { client, asked } = asking(async (count) => {
      if (count === 1) return redirect(servers.map((address) => ({ address })));
      throw new BranchboxError('bootstrap/unreachable', { message: 'no answer in time' });
    });
    await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toMatchObject({
      code: 'bootstrap/unreachable',
    });
    expect(asked).toEqual([first.host, 'SZTP_1.example', ...servers.slice(1, 16)]);
  });

  it('has the others of a list asked, where the box can make no use of some of its entries', async () => {
    const servers = [
      { address: 'fe80::1%eth0' },
      { address: 'good.example', port: 0 },
      { address: '192.0.2.1%7' },
      { address: '.' },
      ...Array.from({ length: 17 }, (_, index) => ({ address: `s${index}.example` })),
    ];
    const { client, asked } = asking(async (count) => {
      if (count === 1) return redirect(servers);
      throw new BranchboxError('bootstrap/unreachable', { message: 'no answer in time' });
    });
    const at = (index: number): string => `hostile.example:443 bootstrap-server[${index}]`;
    const zone = 'has an address with a zone, which is known to its writer alone';
    await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toMatchObject({
      code: 'bootstrap/unreachable',
      message: 'no answer in time',
      problems: [
        { path: at(0), message: zone },
        { path: at(1), message: 'has port 0, which nobody listens on' },
        { path: at(2), message: zone },
        { path: at(3), message: 'names no host' },
      ],
    });
    expect(asked).toEqual([first.host, ...Array.from({ length: 16 }, (_, index) => `s${index}.example`)]);
  });

  it.each([
    [
      'an entry',
      [{ address: 'fe80::1%eth0' }],
      'The redirect information names no server that a box can ask',
    ],
    ['a port', [{ address: 'a.example', port: 65_536 }], 'The redirect information has 1 problem'],
    ['a zone', [{ address: 'a.example%eth0' }], 'The redirect information has 1 problem'],
    ['a null', [{ address: 'a.example', port: null }], 'The redirect information has 1 problem'],
    ['nothing', [], 'The redirect information has 1 problem'],
  ])('is refused where the list has no other than that, or is none: %s', async (_, servers, message) => {
    const { client, asked } = asking(async () => redirect(servers));
    await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toMatchObject({
      code: 'model/invalid',
      message,
    });
    expect(asked).toEqual([first.host]);
  });

  it('has no end of what is told of its list', async () => {
    const { client } = asking(async () =>
      redirect(Array.from({ length: 1000 }, () => ({ address: 'a.example', port: 0 }))),
    );
    const refusal = await client
      .onboard(first, uplink, new AbortController().signal)
      .catch((e: unknown) => e);
    expect((refusal as BranchboxError).problems).toHaveLength(16);
  });

  it('has no more than its time, where those it led to stay silent', async () => {
    const { client, asked } = asking(async (count, signal) => (count === 1 ? list(1) : silence(signal)), 50);
    await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toMatchObject({
      code: 'bootstrap/refused',
      message: 'hostile.example:443 and the servers it led to took more than 0.05 seconds',
    });
    expect(asked).toEqual(['hostile.example', '192.0.2.1']);
  });

  it('has those asked first the next time that were not asked for want of time', async () => {
    const { client, asked } = asking(
      async (_, signal) => (asked.at(-1) === first.host ? list(1) : silence(signal)),
      50,
    );
    for (const round of [1, 2, 3]) {
      await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toThrow('took more');
      expect(asked.at(-1)).toBe(`192.0.2.${round}`);
    }
    // Of another candidate nothing is known.
    asked.splice(0);
    const other = { host: 'other.example', port: 443 };
    const lists = asking(async (count, signal) => (count === 1 ? list(1) : silence(signal)), 50);
    await expect(lists.client.onboard(other, uplink, new AbortController().signal)).rejects.toThrow('took');
    expect(lists.asked).toEqual(['other.example', '192.0.2.1']);
  });

  it('tells what one of them said before that the others took too long', async () => {
    const refusal = new BranchboxError('bootstrap/refused', {
      message: 'come back later',
      fields: { retryAfterMs: 60_000 },
    });
    const { client } = asking(async (count, signal) => {
      if (count === 1) return list(1);
      if (count === 2) throw refusal;
      return silence(signal);
    }, 50);
    await expect(client.onboard(first, uplink, new AbortController().signal)).rejects.toBe(refusal);
  });

  it('is no refusal where the box itself gave up', async () => {
    const stop = new AbortController();
    const { client } = asking(async (_, signal) => {
      queueMicrotask(() => stop.abort());
      return silence(signal);
    });
    await expect(client.onboard(first, uplink, stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
