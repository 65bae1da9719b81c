/** Leases that lead nowhere: when their servers are named, for whom, and what the installer is told. */
import type { TLSSocket } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import { createDeadLeases, type DeadLeases } from '../../../src/bootstrap/deadLeases.ts';
import type { Connect, ConnectOptions } from '../../../src/bootstrap/https.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const SERVER = '192.0.2.9';
let nowMs: number;
let underWay: boolean;
let answer: () => Promise<TLSSocket>;
let written: Map<string, string>;
let connect: Connect;
let leases: DeadLeases;
/** Whose lease wan1 has. */
let server: string;

const unreachable = (): Promise<never> =>
  Promise.reject(new BranchboxError('bootstrap/unreachable', { message: 'no answer' }));
beforeEach(() => {
  [nowMs, underWay, answer, server] = [0, true, unreachable, SERVER];
  written = new Map();
  leases = createDeadLeases({
    files: {
      list: () => Promise.resolve(['wan1.env', 'wan2.env']),
      readText: (path) =>
        Promise.resolve(path.endsWith('wan1.env') ? `new_dhcp_server_identifier=${server}\n` : 'x=\n'),
      writeDurable: (path, content) => Promise.resolve(void written.set(path, String(content))),
    },
    isUnderWay: () => underWay,
    monotonicMs: () => nowMs,
    log: silentLog,
    directory: '/run/nowhere',
  });
  connect = leases.telling(() => answer());
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

it('is left for the next, and that one too, whose lease came meanwhile; neither a second time within ten minutes', async () => {
  expect(await tries(4)).toContain(SERVER);
  server = '192.0.2.10';
  expect(await tries(3, 'wan1', '192.0.2.160')).toBe('no answer');
  expect(await tries(1, 'wan1', '192.0.2.160')).toContain('192.0.2.10 on wan1 gave leads nowhere');
  expect([...written]).toEqual([['/run/nowhere/wan1', '192.0.2.10\n']]);
  written.clear();
  server = SERVER;
  await tries(9);
  server = '192.0.2.10';
  await tries(9, 'wan1', '192.0.2.160');
  expect(written.size).toBe(0);
});

/** The server was named; after so many more it is not named anew, after so many it is. */
async function isNamedNow(
  more: (count: number) => Promise<unknown>,
  notAfter: number,
  after: number,
): Promise<void> {
  expect([...written]).toEqual([['/run/nowhere/wan1', `${SERVER}\n`]]);
  written.clear();
  await more(notAfter);
  expect(written.size).toBe(0);
  await more(after - notAfter);
  expect(written.size).toBe(1);
}

describe('over which somebody answers, and gives nothing good', () => {
  const refused = new BranchboxError('bootstrap/refused', { message: 'answered 404', mend: 'register it' });
  const uplink = { ifname: 'wan1', address: '192.0.2.150', dns: [], bootstrapServers: [] };
  /** What is said of the last of so many rounds, 20 s apart. */
  async function rounds(count: number, over = uplink): Promise<BranchboxError> {
    let last = refused;
    for (let i = 0; i < count; i += 1) {
      nowMs += 20_000;
      last = await leases.gaveNothing(over, refused);
    }
    return last;
  }

  it('is named after two minutes, and the failure keeps its code and mend', async () => {
    expect(await rounds(6)).toBe(refused);
    expect(written.size).toBe(0);
    expect(await rounds(1)).toMatchObject({
      code: 'bootstrap/refused',
      message: `answered 404; what the DHCP server ${SERVER} on wan1 gave leads nowhere, so another one is asked for an address`,
      mend: expect.stringMatching(/^register it; or take the wrong DHCP server off/),
    });
    await isNamedNow(rounds, 20, 40);
  });

  it('is not named while somebody is waited for, nor after few rounds however long they took', async () => {
    for (let i = 0; i < 4; i += 1) {
      await rounds(6);
      leases.leadsSomewhere(uplink);
    }
    nowMs += 3_600_000;
    expect(await rounds(3)).toBe(refused);
    expect(written.size).toBe(0);
  });

  it('says so once of one round', async () => {
    await rounds(7);
    await tries(4);
    const both = await connect({ uplink } as unknown as ConnectOptions).catch((thrown: unknown) => thrown);
    const again = await leases.gaveNothing(uplink, both as BranchboxError);
    expect(again.message.split('leads nowhere')).toHaveLength(2);
  });

  it('has nobody to leave over IPv6, or in service', async () => {
    expect(await rounds(9, { ...uplink, address: '2001:db8::5' })).toBe(refused);
    underWay = false;
    expect(await rounds(9)).toBe(refused);
    expect(written.size).toBe(0);
  });
});

describe('over which strangers say to come again', () => {
  const busy = new BranchboxError('bootstrap/refused', { message: 'answered 503' });
  const uplink = { ifname: 'wan1', address: '192.0.2.150', dns: [], bootstrapServers: [] };
  /** What is said of the last of so many rounds, a minute apart. */
  async function minutes(count: number, over = uplink): Promise<string> {
    let last = '';
    for (let i = 0; i < count; i += 1) {
      nowMs += 60_000;
      last = (await leases.saidComeAgain(over, busy)).message;
    }
    return last;
  }

  it('is named after a quarter of an hour, and again after an hour more', async () => {
    expect(await minutes(15)).toBe('answered 503');
    expect(written.size).toBe(0);
    expect(await minutes(1)).toContain(
      `${SERVER} on wan1 gave leads to servers that say nothing but to come again`,
    );
    await isNamedNow(minutes, 59, 60);
  });

  it('is worth a round when that is enough, however long they say to wait', async () => {
    expect(leases.enoughInMs(uplink)).toBeUndefined();
    await minutes(1);
    nowMs += 300_000;
    expect(leases.enoughInMs(uplink)).toBe(600_000);
    expect(leases.enoughInMs({ ...uplink, address: '192.0.2.151' })).toBeUndefined();
    nowMs += 600_000;
    expect(leases.enoughInMs(uplink)).toBeUndefined();
    expect((await leases.saidComeAgain(uplink, busy)).message).toContain(SERVER);
  });

  it('is not named once somebody proved himself over it, nor by its failures between', async () => {
    await minutes(14);
    leases.leadsSomewhere(uplink);
    expect(await minutes(15)).toBe('answered 503');
    await leases.gaveNothing(uplink, busy);
    expect(await minutes(1)).toContain(SERVER);
  });

  it('is left at once where nobody is reached any more, whatever was waited for', async () => {
    await minutes(16);
    written.clear();
    expect(await tries(4)).toContain('leads nowhere');
    expect(written.size).toBe(1);
  });

  it('has nobody to leave over IPv6, or in service', async () => {
    expect(await minutes(20, { ...uplink, address: '2001:db8::5' })).toBe('answered 503');
    underWay = false;
    expect(await minutes(20)).toBe('answered 503');
    expect(written.size).toBe(0);
  });
});
