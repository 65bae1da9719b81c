/** The installer's code on the box: from the page's socket into the request, and the verdict back to who looks. */
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createActivation } from '../../../src/bootstrap/activation.ts';
import { createMachine, type Actions } from '../../../src/bootstrap/machine.ts';
import { type BootstrapState, BOOTSTRAP_STATES, BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { createWaker } from '../../../src/system/waker.ts';
import { type Authorities, createAuthorities } from './authorities.ts';
import { type Box, createBox } from './box.ts';
import { startController, type TestController } from './servers.ts';

const LINK = 'L'.repeat(22);
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('a box whose server asks for a code', () => {
  let authorities: Authorities;
  let controller: TestController;
  let box: Box;
  let heard: (string | undefined)[];

  const ask = (path: string, body?: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const asked = request(
        { socketPath: box.paths.installerSocket, path, method: body === undefined ? 'GET' : 'POST' },
        (response) => {
          let text = '';
          response.on('data', (chunk) => (text += String(chunk)));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  const status = async (): Promise<BootstrapStatus> =>
    BootstrapStatus.parse(JSON.parse((await ask('/bootstrap')).text));
  const offer = (code: string, link?: string) =>
    ask('/activation', JSON.stringify(link === undefined ? { code } : { code, link }));

  beforeEach(async () => {
    authorities = createAuthorities();
    controller = await startController(authorities);
    box = await createBox(authorities, controller.port);
    heard = [];
    const good = controller.behaviour.enrol;
    controller.behaviour.enrol = (csr, operation, authorization) => {
      heard.push(authorization);
      const challenge = { 'www-authenticate': 'Basic realm="activation code"', 'retry-after': '15' };
      if (authorization === undefined) return { status: 202, headers: challenge };
      if (authorization === basic(`${LINK}:RAGHTX`)) return good(csr, operation);
      return {
        status: 401,
        headers: { ...challenge, 'content-type': 'text/plain; charset=utf-8' },
        body: `The code is wrong.\u001b[2J\r\n4 tries are left.${' '.repeat(50)}${'x'.repeat(300)}`,
      };
    };
  });
  afterEach(async () => {
    await controller.close();
    await box.remove();
  });

  it('says so, is told that one was wrong, and enrols with the right one', async () => {
    const seen: string[] = [];
    const failures: unknown[] = [];
    let next: Promise<unknown> | undefined;
    let offers = 0;
    await box.run({
      controller,
      until: (line) => {
        if (line.message === 'bootstrap state entered') return line.fields['state'] === 'OPERATIONAL';
        if (line.message !== 'bootstrap step failed, trying again' || next !== undefined) return false;
        next = (async () => {
          const { secondFactor, waitsFor } = await status();
          seen.push(`${secondFactor?.state ?? 'none'}: ${waitsFor}`);
          if (secondFactor?.state === 'refused') {
            expect(secondFactor.message).toMatch(/^The code is wrong\. \[2J 4 tries are left\. x{100,}$/);
            expect(secondFactor.message).toHaveLength(200);
          }
          offers += 1;
          if (offers === 1) expect((await offer('WRANGX', LINK)).status).toBe(200);
          else if (secondFactor?.state === 'refused') await offer('RAGHTX', LINK);
        })()
          .catch((thrown: unknown) => void failures.push(thrown))
          .finally(() => (next = undefined));
        return false;
      },
    });
    await next;
    // Of the box's end in between a question alone.
    expect(failures.filter((thrown) => !String(thrown).includes('ENOENT'))).toEqual([]);
    expect(seen[0]).toBe('wanted: the activation code, or an approval');
    expect(seen).toContain('refused: the activation code, or an approval');
    expect(heard).toContain(basic(`${LINK}:WRANGX`));
    expect(heard.at(-1)).toBe(basic(`${LINK}:RAGHTX`));
    // A wrong one is sent once.
    expect(heard.filter((each) => each === basic(`${LINK}:WRANGX`))).toHaveLength(1);
    const told = JSON.stringify([box.log, await box.files.readText(`${box.paths.state}/journal.json`)]);
    for (const code of ['WRANGX', 'RAGHTX', LINK, basic(`${LINK}:RAGHTX`)]) expect(told).not.toContain(code);
  });

  it('takes nothing over that socket but a code, and shows no history there', async () => {
    const answers: unknown[] = [];
    let looked: Promise<void> | undefined;
    await box.run({
      controller,
      until: (line) => {
        if (looked !== undefined) return answers.length > 0;
        if (line.message !== 'bootstrap step failed, trying again') return false;
        looked = (async () => {
          const { history } = await status();
          const statuses: unknown[] = [history.length];
          for (const body of ['', '{}', '{"code":"abc"}', `{"code":"${'A'.repeat(2000)}"}`]) {
            statuses.push((await ask('/activation', body)).status);
          }
          statuses.push((await ask('/else', '{}')).status);
          answers.push(...statuses);
        })();
        return false;
      },
    });
    await looked;
    expect(answers).toEqual([0, 400, 400, 400, 400, 404]);
  });
});

describe('a code that was typed', () => {
  it('is held until its verdict, and no other beside it', () => {
    let offers = 0;
    const activation = createActivation({ onOffer: () => (offers += 1) });
    expect(activation.state()).toBeUndefined();
    activation.waiting(true);
    expect(activation.state()).toEqual({ state: 'wanted' });
    expect(activation.offer({ code: 'ABCE' })).toBe(true);
    // Nobody has it yet: who mistyped it types it again.
    expect(activation.offer({ code: 'ABCD' })).toBe(true);
    expect(activation.credentials()?.reveal()).toBe('code:ABCD');
    expect(activation.offer({ code: 'EFGH' })).toBe(false);
    expect(String(activation.credentials())).toBe('[redacted]');
    expect(activation.state()).toEqual({ state: 'held' });
    // The server was not reached.
    activation.back();
    expect(activation.state()).toEqual({ state: 'held' });
    expect(activation.offer({ code: 'EFGH' })).toBe(true);
    expect(activation.credentials()?.reveal()).toBe('code:EFGH');
    activation.refused('no');
    expect(activation.credentials()).toBeUndefined();
    // Still wanted: the words of the refusal stay until another code is typed.
    activation.waiting(true);
    expect(activation.state()).toEqual({ state: 'refused', message: 'no' });
    activation.waiting(false);
    expect(activation.state()).toBeUndefined();
    expect(offers).toBe(3);
  });

  it('is no longer what is waited for where the server waits for an approval alone', () => {
    const activation = createActivation({ onOffer: () => {} });
    activation.offer({ code: 'ABCD' });
    activation.credentials();
    activation.waiting(false);
    activation.back();
    expect(activation.state()).toBeUndefined();
    // Whether it counted there nobody knows: it goes along each time, until there is another.
    expect(activation.credentials()?.reveal()).toBe('code:ABCD');
    activation.waiting(true);
    activation.back();
    expect(activation.state()).toEqual({ state: 'held' });
    activation.waiting(false);
    expect(activation.offer({ code: 'EFGH' })).toBe(true);
    expect(activation.state()).toEqual({ state: 'held' });
  });

  it('is asked about at once, however long the server said to wait', async () => {
    const forever = {
      nowMs: () => 0,
      monotonicMs: () => 0,
      sleep: (_: number, signal?: AbortSignal) =>
        new Promise<void>((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    };
    const given = createWaker(forever);
    const ending = new AbortController();
    let tries = 0;
    const enrolling = async (): Promise<{ state: BootstrapState }> => {
      tries += 1;
      if (tries > 1) return { state: 'LDEVID' };
      throw new BranchboxError('bootstrap/pending', {
        message: 'waits',
        fields: { retryAfterMs: 3_600_000 },
      });
    };
    const rest = async (): Promise<{ state: BootstrapState }> => {
      ending.abort();
      return { state: 'LDEVID' };
    };
    let state: BootstrapState = 'ENROLLING';
    const machine = createMachine({
      journal: {
        current: () => ({ state, enteredAtMs: 0, note: {} }),
        history: () => [],
        enter: async (next) => {
          state = next;
        },
      },
      actions: Object.fromEntries(
        BOOTSTRAP_STATES.map((name) => [name, name === 'ENROLLING' ? enrolling : rest]),
      ) as unknown as Actions,
      waker: createWaker(forever),
      progress: { entered: () => {}, failed: () => {}, givenUp: () => {} },
      given,
      clock: forever,
      log: {
        debug() {},
        info() {},
        error() {},
        // Logged right before it waits.
        warn: () => setImmediate(() => given.wake()),
      },
      random: () => 0.5,
    });
    await machine.run(ending.signal);
    expect([tries, state]).toEqual([2, 'LDEVID']);
  });
});
