/** What the agent says of bootstrap is what the identity process says, also while that is away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBootstrapLook } from '../../../src/agent/bootstrapStanding.ts';
import { renderStatus } from '../../../src/bootstrap/renderStatus.ts';
import type { BootstrapState } from '../../../src/model/bootstrap.ts';

let directory: string;
let state: BootstrapState;
let asked: number;
let nowMs: number;
/** Keeps an answer that is made already. */
let hold: (() => Promise<void>) | undefined;
let server: Server;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-standing-'));
  state = 'RENEW';
  asked = 0;
  nowMs = 0;
  hold = undefined;
  server = createServer((_, response) => {
    asked += 1;
    const history = [{ state, enteredAtMs: 7, note: {} }];
    const lastProblem = 'the CA is away';
    const text = JSON.stringify(renderStatus({ history, serial: 'SN-1', gatewayId: 'b1', lastProblem }));
    if (hold === undefined) response.end(text);
    else void hold().then(() => response.end(text));
  });
  await new Promise<void>((resolve) => void server.listen(join(directory, 's'), resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

it('is asked for once in a while, and at once when something was journalled', async () => {
  const look = createBootstrapLook({
    socketPath: join(directory, 's'),
    clock: { monotonicMs: () => nowMs },
  });
  const renewing = {
    state: 'RENEW',
    sinceMs: 7,
    waitsFor: 'a new certificate',
    mend: 'nothing to do',
    lastProblem: 'the CA is away',
  };
  expect(await look.read()).toEqual(renewing);
  state = 'OPERATIONAL';
  expect(await look.read()).toEqual(renewing);
  expect(asked).toBe(1);
  look.changed();
  expect(await look.read()).toMatchObject({ state: 'OPERATIONAL' });
  state = 'RENEW';
  nowMs += 10_000;
  expect(await look.read()).toMatchObject({ state: 'OPERATIONAL' });
  nowMs += 60_000;
  expect(await look.read()).toEqual(renewing);
  // On the way the words of a state may change.
  nowMs += 5_000;
  await look.read();
  expect(asked).toBe(4);
});

it('is not taken back by an answer that was asked for before something was journalled', async () => {
  const look = createBootstrapLook({
    socketPath: join(directory, 's'),
    clock: { monotonicMs: () => nowMs },
  });
  const answer = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  hold = () => {
    came.resolve();
    return answer.promise;
  };
  const early = look.read();
  await came.promise;
  hold = undefined;
  state = 'OPERATIONAL';
  look.changed();
  expect(await look.read()).toMatchObject({ state: 'OPERATIONAL' });
  answer.resolve();
  expect(await early).toMatchObject({ state: 'OPERATIONAL' });
  expect(await look.read()).toMatchObject({ state: 'OPERATIONAL' });
});

it('is the last that was said while nobody answers, and nothing before the first answer', async () => {
  const clock = { monotonicMs: () => nowMs };
  expect(await createBootstrapLook({ socketPath: join(directory, 'none'), clock }).read()).toBeUndefined();
  const look = createBootstrapLook({ socketPath: join(directory, 's'), clock });
  await look.read();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  look.changed();
  expect(await look.read()).toMatchObject({ state: 'RENEW' });
});
