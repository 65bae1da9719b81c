/** A lease that leads nowhere: when its server is named, for whom, and what the installer is told. */
import type { TLSSocket } from 'node:tls';
import { beforeEach, expect, it } from 'vitest';
import { tellingDeadLeases } from '../../../src/bootstrap/deadLeases.ts';
import type { Connect, ConnectOptions } from '../../../src/bootstrap/https.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const SERVER = '192.0.2.9';
let nowMs: number;
let underWay: boolean;
let answer: () => Promise<TLSSocket>;
let written: Map<string, string>;
let connect: Connect;

const unreachable = (): Promise<never> =>
  Promise.reject(new BranchboxError('bootstrap/unreachable', { message: 'no answer' }));
beforeEach(() => {
  [nowMs, underWay, answer] = [0, true, unreachable];
  written = new Map();
  connect = tellingDeadLeases(() => answer(), {
    files: {
      list: () => Promise.resolve(['wan1.env', 'wan2.env']),
      readText: (path) =>
        Promise.resolve(path.endsWith('wan1.env') ? `new_dhcp_server_identifier=${SERVER}\n` : 'x=\n'),
      writeDurable: (path, content) => Promise.resolve(void written.set(path, String(content))),
    },
    isUnderWay: () => underWay,
    monotonicMs: () => nowMs,
    log: silentLog,
    directory: '/run/nowhere',
  });
});

/** What is said of a try 10 s after the one before. */
async function after10s(ifname = 'wan1', address = '192.0.2.150'): Promise<string> {
  nowMs += 10_000;
  const uplink = { ifname, address, dns: [], bootstrapServers: [] };
  return connect({ uplink } as unknown as ConnectOptions).then(
    () => 'connected',
    (error: Error) => error.message,
  );
}
const tries = async (count: number, ...where: readonly [string?, string?]): Promise<string> => {
  let last = '';
  for (let i = 0; i < count; i += 1) last = await after10s(...where);
  return last;
};

it('is named after some failures and some time, once, and told from then on', async () => {
  expect(await tries(3)).toBe('no answer');
  expect(written.size).toBe(0);
  expect(await tries(1)).toBe(
    `no answer; what the DHCP server ${SERVER} on wan1 gave leads nowhere, so another one is asked for an address`,
  );
  expect([...written]).toEqual([['/run/nowhere/wan1', `${SERVER}\n`]]);
  written.clear();
  expect(await tries(5)).toContain(SERVER);
  expect(written.size).toBe(0);
});

it('is named again after ten minutes in which it was all there was', async () => {
  await tries(4);
  written.clear();
  await tries(60);
  expect(written.size).toBe(1);
});

it('is not one over which anybody was reached, nor one that just came', async () => {
  await tries(3);
  answer = () => Promise.resolve({} as TLSSocket);
  expect(await after10s()).toBe('connected');
  answer = unreachable;
  expect(await tries(3)).toBe('no answer');
  expect(await tries(3, 'wan1', '192.0.2.50')).toBe('no answer');
  expect(written.size).toBe(0);
});

it('has nobody to leave where no DHCP server gave the address, over IPv6, or in service', async () => {
  expect(await tries(9, 'wan2')).toBe('no answer');
  expect(await tries(9, 'wan1', '2001:db8::5')).toBe('no answer');
  underWay = false;
  expect(await tries(9)).toBe('no answer');
  expect(written.size).toBe(0);
});

it('is let be where somebody answers whom the box cannot use', async () => {
  answer = () => Promise.reject(new BranchboxError('bootstrap/refused', { message: 'no' }));
  expect(await tries(9)).toBe('no');
  expect(written.size).toBe(0);
});
