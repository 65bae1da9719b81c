/** What bounds the controller's work when a thousand boxes come at once: handshakes, and work that costs. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { createHandshakeGate } from '../../../src/controller/handshakeGate.ts';
import { createWorkGate } from '../../../src/controller/workGate.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { issue, makeCa, serverNamed } from '../pki/domain.ts';

describe('work', () => {
  function setUp(together: number, waiting: number) {
    let nowMs = 0;
    const gate = createWorkGate({ clock: { monotonicMs: () => nowMs }, together, waiting });
    const ends: (() => void)[] = [];
    const begin = () =>
      gate.run(() => new Promise<string>((resolve) => void ends.push(() => resolve('done'))));
    const pass = (ms: number): void => {
      nowMs += ms;
    };
    return { gate, begin, ends, pass };
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it('is begun so many at once, in the order of coming, and refused where the line is full', async () => {
    const { begin, ends } = setUp(2, 1);
    const [first, , third] = [begin(), begin(), begin()];
    expect(await begin()).toEqual({ retryAfterS: expect.any(Number) });
    expect(ends.length).toBe(2);
    ends[0]?.();
    expect(await first).toEqual({ done: 'done' });
    await settle();
    expect(ends.length).toBe(3);
    ends[2]?.();
    expect(await third).toEqual({ done: 'done' });
    await settle();
    const next = begin();
    expect(ends.length).toBe(4);
    ends[3]?.();
    expect(await next).toEqual({ done: 'done' });
  });

  it('whose place is handed on is never more than that, even where somebody comes in between', async () => {
    const { begin, ends } = setUp(1, 1);
    const first = begin();
    const second = begin();
    ends[0]?.();
    await first;
    // The second has the place by now, though it may not have begun.
    expect(await Promise.race([begin(), settle()])).toBeUndefined();
    expect(ends.length).toBe(2);
    ends[1]?.();
    await second;
  });

  it('says whether somebody waits', async () => {
    const { gate, begin, ends } = setUp(1, 1);
    const first = begin();
    expect(gate.hasLine()).toBe(false);
    const second = begin();
    expect(gate.hasLine()).toBe(true);
    ends[0]?.();
    await first;
    expect(gate.hasLine()).toBe(false);
    await settle();
    ends[1]?.();
    await second;
  });

  it('that failed gives its place back', async () => {
    const { gate } = setUp(1, 0);
    await expect(gate.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await gate.run(async () => 1)).toEqual({ done: 1 });
  });

  it('each who is refused is told a later moment, at the pace at which work ends, and no more than two minutes', async () => {
    const { begin, ends, pass } = setUp(1, 0);
    for (let i = 0; i < 60; i += 1) {
      const one = begin();
      pass(500);
      ends.at(-1)?.();
      await one;
    }
    void begin();
    const told: number[] = [];
    for (let i = 0; i < 1000; i += 1) {
      const answer = await begin();
      if ('retryAfterS' in answer) told.push(answer.retryAfterS);
    }
    expect(told).toHaveLength(1000);
    expect(told).toEqual([...told].toSorted((a, b) => a - b));
    expect(told[0]).toBe(1);
    expect(told[99]).toBeGreaterThan(45);
    expect(told[99]).toBeLessThan(55);
    expect(told.at(-1)).toBe(120);
    // Those moments pass: who comes later is not sent behind people who have gone.
    pass(600_000);
    expect(await begin()).toEqual({ retryAfterS: 1 });
  });
});

describe('handshakes', () => {
  const ca = makeCa('Test');
  const { key, certificate } = issue(ca, serverNamed('localhost'));
  let server: Server;
  let endFlood: () => void = () => undefined;
  afterEach(() => {
    endFlood();
    server.closeAllConnections();
    server.close();
  });
  async function start(options: {
    together: number;
    waiting: number;
    patienceMs?: number;
    turnMs?: number;
    /** Time passes by handshakes that are begun, so many milliseconds each: however long they take on this machine. */
    beganMs?: number;
  }) {
    let nowMs = 0;
    const gate = createHandshakeGate({
      clock: { monotonicMs: () => nowMs },
      patienceMs: 1_000,
      turnMs: 60_000,
      ...options,
    });
    const tls = { key: exportPrivateKey(key).reveal(), cert: certificate.pem, pauseOnConnect: true };
    server = createServer(tls, (_request, response) => response.end('hello'));
    // The gate calls those who listened before it once it begins one.
    server.prependListener('connection', () => {
      nowMs += options.beganMs ?? 0;
    });
    gate.guard(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const silent = async () => {
      const socket = connectTcp(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(server, 'connection');
      return socket;
    };
    /** Resolves with what the server said, or with `closed`. */
    const ask = (from = '127.0.0.1') =>
      new Promise<string>((resolve) => {
        const socket = connect({
          port,
          socket: connectTcp({ port, host: '127.0.0.1', localAddress: from }),
          rejectUnauthorized: false,
        });
        let text = '';
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(text.includes('hello') ? 'hello' : 'closed'));
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      });
    const pass = (ms: number): void => {
      nowMs += ms;
    };
    /** So many connections of that address at any time, of which none says anything; until the test ends. */
    const flood = async (froms: readonly string[], count: number) => {
      const open = new Set<Socket>();
      let stopped = false;
      const again = (from: string): void => {
        if (stopped) return;
        const socket = connectTcp({ port, host: '127.0.0.1', localAddress: from });
        open.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          open.delete(socket);
          setImmediate(again, from);
        });
      };
      endFlood = () => {
        stopped = true;
        for (const socket of open) socket.destroy();
      };
      for (let i = 0; i < count; i += 1) for (const from of froms) again(from);
      // The line is full of it: one at least was sent away.
      await Promise.race(
        [...open].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
      );
    };
    return { silent, ask, pass, flood };
  }

  it('go on one after the other, many more than there are turns', async () => {
    const { ask } = await start({ together: 2, waiting: 100 });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask()));
    expect(new Set(answers)).toEqual(new Set(['hello']));
  });

  it('wait for who is at it, and go on when he leaves', async () => {
    const { silent, ask } = await start({ together: 1, waiting: 100 });
    const idle = await silent();
    const asked = ask();
    await once(server, 'connection');
    idle.destroy();
    expect(await asked).toBe('hello');
  });

  it('are not held up by a peer that says nothing', async () => {
    const { silent, ask } = await start({ together: 1, waiting: 100, turnMs: 50 });
    const idle = await silent();
    expect(await ask()).toBe('hello');
    idle.destroy();
  });

  it('give their turns back where some hang up before they were looked at', async () => {
    const { silent, ask } = await start({ together: 2, waiting: 100 });
    const { port } = server.address() as AddressInfo;
    const script = `
      const { connect } = require('node:net');
      for (let i = 0; i < 8; i += 1) {
        const socket = connect(${port}, '127.0.0.1', () => socket.resetAndDestroy());
      }`;
    // This process waits for it, and so accepts them when they are gone: to the gate they all have one name then.
    execFileSync(process.execPath, ['-e', script]);
    for (let came = 0; came < 8; came += 1) await once(server, 'connection');
    const idle = await silent();
    expect(await ask()).toBe('hello');
    idle.destroy();
  });

  it('of others go on while one address opens silent connections without end', async () => {
    const { ask, flood } = await start({ together: 4, waiting: 40, turnMs: 20 });
    // Far more than the line has room for, and as many again whenever they are closed.
    await flood(['127.0.0.66'], 200);
    const others = Array.from({ length: 10 }, (_, i) => `127.0.0.${i + 2}`);
    for (let round = 0; round < 3; round += 1) {
      expect(new Set(await Promise.all(others.map((from) => ask(from))))).toEqual(new Set(['hello']));
    }
  });

  it('of others go on while a whole network opens silent connections without end', async () => {
    // Of 60 addresses 15 turns of 20 ms each, four at once: a box that waited for all of them would be past its patience.
    const { ask, flood } = await start({
      together: 4,
      waiting: 60,
      turnMs: 20,
      patienceMs: 100,
      beganMs: 20 / 4,
    });
    await flood(
      Array.from({ length: 60 }, (_, i) => `127.0.66.${i + 1}`),
      2,
    );
    for (let round = 0; round < 5; round += 1) expect(await ask('127.0.0.2')).toBe('hello');
  });

  it('that would be for nobody any more are not begun, and too many are sent away', async () => {
    const { silent, ask, pass } = await start({ together: 1, waiting: 1 });
    const idle = await silent();
    const late = ask();
    await once(server, 'connection');
    expect(await ask()).toBe('closed');
    pass(1_001);
    idle.destroy();
    expect(await late).toBe('closed');
    expect(await ask()).toBe('hello');
  });
});
