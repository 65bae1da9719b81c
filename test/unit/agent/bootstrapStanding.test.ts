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
let server: Server;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-standing-'));
  state = 'RENEW';
  asked = 0;
  nowMs = 0;
  server = createServer((_, response) => {
    asked += 1;
    const history = [{ state, enteredAtMs: 7, note: {} }];
    const lastProblem = 'the CA is away';
    response.end(JSON.stringify(renderStatus({ history, serial: 'SN-1', gatewayId: 'b1', lastProblem })));
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
