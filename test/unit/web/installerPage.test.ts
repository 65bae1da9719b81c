/** The installer's page over real sockets: what it says, to whom, and what it takes. */
import { type AddressInfo, connect, type Socket } from 'node:net';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ActivationOffer, InstallerPorts } from '../../../src/model/installer.ts';
import { createFormTokens } from '../../../src/web/installer/formToken.ts';
import type { Progress } from '../../../src/web/installer/page.ts';
import { isBeforeEnrolment, sentencesOf } from '../../../src/model/bootstrap.ts';
import { createPageServer, type Offered } from '../../../src/web/installer/server.ts';
import { failAccept } from '../../fakes/failedAccept.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const OWN = '127.0.0.1';
const LINK = 'AAAAAAAAAAAAAAAAAAAAAA';

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

describe('the page', () => {
  let server: ReturnType<typeof createPageServer>;
  let port: number;
  let progress: Progress | undefined;
  let uplinkTest: InstallerPorts['uplinkTest'];
  let offered: ActivationOffer[];
  let verdict: Offered;
  let nowMs: number;
  const logged: unknown[] = [];

  const ask = (
    path: string,
    options: { host?: string; method?: string; body?: string; headers?: object } = {},
  ) =>
    new Promise<Got>((resolve, reject) => {
      const { host = OWN, method = 'GET', body, headers } = options;
      const asked = request({ host: OWN, port, path, method, headers: { host, ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      });
      asked.on('error', reject);
      asked.end(body);
    });
  const tokenIn = (body: string): string => /name="token" value="([^"]+)"/.exec(body)?.[1] ?? '';
  const post = async (fields: Readonly<Record<string, string>>, headers: object = {}, host = OWN) => {
    const token = tokenIn((await ask('/activate')).body);
    return ask('/activate', {
      method: 'POST',
      host,
      body: new URLSearchParams({ token, ...fields }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  };

  beforeEach(async () => {
    offered = [];
    verdict = 'held';
    uplinkTest = undefined;
    nowMs = 1_000_000;
    logged.length = 0;
    progress = {
      state: 'ENROLLING',
      sinceMs: Date.UTC(2026, 0, 1),
      ...sentencesOf('ENROLLING', { state: 'wanted' }),
      serial: 'SN-<1>',
      secondFactor: { state: 'wanted' },
    };
    server = createPageServer({
      look: () =>
        Promise.resolve({
          progress,
          ports: [
            { label: 'wan1', role: 'wan', ifname: 'wan1', carrier: true, address: '198.51.100.7/24' },
            { label: 'wan2', role: 'wan', carrier: false },
            { label: 'lan1', role: 'lan', ifname: 'lan1', carrier: true, address: `${OWN}/28` },
          ],
          uplinkTest,
        }),
      isOpen: (seen) => seen === undefined || isBeforeEnrolment(seen.state),
      offer: (offer) => {
        offered.push(offer);
        return Promise.resolve(verdict);
      },
      tokens: createFormTokens({ key: new Uint8Array(32).fill(7), monotonicMs: () => nowMs }),
      nowMs: () => Date.UTC(2026, 0, 1) + 185_000,
      monotonicMs: () => nowMs,
      log: { ...log, warn: (...words: unknown[]) => void logged.push(words) },
      isOwnAddress: (address) => address === OWN,
    });
    await new Promise<void>((resolve) => {
      server.listen(0, OWN, resolve);
    });
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('goes on where it could not accept a connection', async () => {
    await failAccept(() => ask('/'));
    expect((await ask('/')).status).toBe(200);
  });

  it('says in a line what the last test of the uplinks found', async () => {
    expect((await ask('/')).body).not.toContain('Uplink test');
    uplinkTest = { atMs: 0, verdict: 'fail', line: 'wan1 fails: <b>no gateway</b>' };
    expect((await ask('/')).body).toContain('<p class="no">wan1 fails: &lt;b&gt;no gateway&lt;/b&gt;</p>');
  });

  it('says the state in the words of the command line, since when, the cables and the serial', async () => {
    const { status, body, headers } = await ask('/');
    expect(status).toBe(200);
    const { waitsFor, mend } = sentencesOf('ENROLLING', { state: 'wanted' });
    for (const words of ['ENROLLING', '(step 8 of 9)', waitsFor, mend, 'for 3 min 5 s', 'SN-&lt;1&gt;']) {
      expect(body).toContain(words);
    }
    expect(body).toContain('<th scope="row">wan1 (WAN)</th><td>seen</td><td>198.51.100.7/24</td>');
    expect(body).toContain('<th scope="row">wan2 (WAN)</th><td>no such interface</td>');
    expect(body).toContain('<th scope="row">lan1 (LAN)</th><td>seen, you are here</td>');
    expect(body).not.toMatch(/<script|\son[a-z]+=/i);
    expect(body).toContain('name="viewport"');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['cache-control']).toBe('no-store');
  });

  it('is still a page while the box’s processes do not answer', async () => {
    progress = undefined;
    expect((await ask('/')).body).toContain('identity process does not answer yet');
  });

  it('has nothing to say once the box is enrolled', async () => {
    if (progress !== undefined) progress = { ...progress, state: 'STRICT' };
    const { status, body } = await ask('/');
    expect(status).toBe(404);
    expect(body).not.toContain('SN-');
    expect((await post({ code: 'ABCD' })).status).toBe(404);
    expect(offered).toEqual([]);
  });

  it('sends whoever asks by another name to its address, and shows nothing there', async () => {
    const { status, headers, body } = await ask('/generate_204', { host: 'connectivitycheck.example' });
    expect([status, headers['location'], body]).toEqual([302, `http://${OWN}/`, '']);
    expect((await ask('/', { host: 'branchbox.internal' })).status).toBe(200);
    expect((await ask('/', { host: 'BRANCHBOX.internal.:80' })).status).toBe(200);
    expect((await ask('http://evil.example/', {})).status).toBe(400);
  });

  it('hands a code over once, as it was meant and not as it was spelt', async () => {
    const sent = await post({ code: ' abcd-efgh ', link: LINK });
    expect([sent.status, sent.headers['location']]).toEqual([303, '/']);
    expect(offered).toEqual([{ code: 'ABCDEFGH', link: LINK }]);
  });

  it('names the box beside the code, which may be for another one', async () => {
    const named = 'This box is SN-&lt;1&gt;, and the code must be for it. Four to ten';
    expect((await ask('/activate')).body).toContain(named);
    progress = undefined;
    expect((await ask('/activate')).body).toContain('<p id="hint">Four to ten');
  });

  it('keeps the link in the form, and refuses one that was cut', async () => {
    expect((await ask(`/activate?link=${LINK}`)).body).toContain(`name="link" value="${LINK}"`);
    // What stood beside it in a sentence, or where a mail broke its line.
    for (const told of [`${LINK}.`, `${LINK}%3E`, `${LINK})`, `${LINK.slice(0, 9)}%20${LINK.slice(9)}`]) {
      expect((await ask(`/activate?link=${told}`)).body).toContain(`name="link" value="${LINK}"`);
    }
    expect((await ask(`/activate/?link=${LINK}`)).body).toContain(`name="link" value="${LINK}"`);
    expect((await ask('/activate?link=short')).status).toBe(400);
    expect((await ask('/activate?link=%22%3E%3Cscript%3E')).body).not.toContain('<script');
  });

  it.each([
    ['another origin', { origin: 'http://evil.example' }, 403],
    ['an origin that is hidden', { origin: 'null' }, 403],
    ['another site, as the browser says', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a form of another kind', { 'content-type': 'text/plain' }, 415],
    ['its own origin', { origin: `http://${OWN}`, 'sec-fetch-site': 'same-origin' }, 303],
  ])('posted with %s', async (_, headers, status) => {
    expect((await post({ code: 'ABCD' }, headers)).status).toBe(status);
    expect(offered).toHaveLength(status === 303 ? 1 : 0);
  });

  it('takes no post under another name', async () => {
    expect((await post({ code: 'ABCD' }, {}, 'evil.example')).status).toBe(403);
    expect(offered).toEqual([]);
  });

  it('takes a code only with a token of its own, of this hour', async () => {
    expect((await post({ code: 'ABCD', token: '' })).status).toBe(403);
    expect((await post({ code: 'ABCD', token: `${nowMs}.${'A'.repeat(43)}` })).status).toBe(403);
    const old = tokenIn((await ask('/activate')).body);
    nowMs += 3_600_000;
    expect((await post({ code: 'ABCD', token: old })).status).toBe(403);
    expect(offered).toEqual([]);
  });

  it('says what a code looks like, and does not repeat what was typed', async () => {
    for (const code of ['ABC', 'ABCDEFGHJKL', 'ABC0', '', '<b>']) {
      const { status, body } = await post({ code });
      expect(status).toBe(400);
      expect(body).toContain('four to ten letters and digits');
      if (code !== '') expect(body).not.toContain(`"${code}"`);
    }
    expect(offered).toEqual([]);
  });

  it('takes codes no faster than somebody types', async () => {
    for (let i = 0; i < 10; i += 1) expect((await post({ code: 'ABCD' })).status).toBe(303);
    expect((await post({ code: 'ABCD' })).status).toBe(429);
    nowMs += 3_000;
    expect((await post({ code: 'ABCD' })).status).toBe(303);
  });

  it('says so where a code is being checked', async () => {
    verdict = 'busy';
    expect((await post({ code: 'ABCD' })).status).toBe(409);
  });

  it('leads to the form while one is kept: it may have been mistyped', async () => {
    if (progress !== undefined) progress = { ...progress, secondFactor: { state: 'held' } };
    expect((await ask('/')).body).toContain('<a href="/activate">Type another code</a>');
  });

  it.each([
    'abcd-efgh',
    ' AB CD\u00a0EFGH ',
    'ABCD\u2013EFGH',
    'ABCD\u2011EFGH',
    'ABCD\u200bEFGH',
    '\uff21\uff22\uff23\uff24EFGH',
  ])('takes a code as a phone or a mail has it: %j', async (code) => {
    expect((await post({ code })).status).toBe(303);
    expect(offered).toEqual([expect.objectContaining({ code: 'ABCDEFGH' })]);
  });

  it('tells the verdict of the server as text', async () => {
    if (progress !== undefined) {
      progress = { ...progress, secondFactor: { state: 'refused', message: '<i>4 tries are left</i>' } };
    }
    expect((await ask('/')).body).toContain('was not taken: &lt;i&gt;4 tries are left&lt;/i&gt;');
  });

  it('tells what became of a USB medium as text', async () => {
    if (progress !== undefined) {
      progress = { ...progress, medium: { state: 'refused', message: '<b>of another box</b>' } };
    }
    expect((await ask('/')).body).toContain('<dd>refused: &lt;b&gt;of another box&lt;/b&gt;</dd>');
  });

  it('reads no more than a code needs, and no other page', async () => {
    expect((await post({ code: 'A'.repeat(2_000) })).status).toBe(413);
    expect((await post({ code: 'A'.repeat(900_000) })).status).toBe(413);
    const endless = await post({ code: 'A'.repeat(20_000_000) }).catch(() => undefined);
    expect(endless?.status ?? 413).toBe(413);
    expect(offered).toEqual([]);
    expect((await ask('/x')).status).toBe(404);
    const method = await ask('/', { method: 'DELETE' });
    expect([method.status, method.headers['allow']]).toEqual([405, 'GET, HEAD']);
    expect((await ask('/activate', { method: 'PROPFIND' })).headers['allow']).toBe('GET, HEAD, POST');
    const form = await post({ code: 'ABCD' }, { 'content-type': 'text/plain' });
    expect([form.status, form.headers['accept']]).toEqual([415, 'application/x-www-form-urlencoded']);
    const silent = connect(port, OWN);
    silent.on('error', () => undefined);
    silent.write(`GET / HTTP/1.1\r\nHost: ${OWN}\r\nX: ${'a'.repeat(9000)}\r\n\r\n`);
    const said: Buffer[] = [];
    silent.on('data', (chunk) => said.push(chunk));
    await new Promise((resolve) => silent.once('close', resolve));
    expect(Buffer.concat(said).toString()).not.toContain('SN-');
  });

  it('gives one address no more than its share of connections', async () => {
    const opened = (): Promise<Socket> =>
      new Promise((resolve) => {
        const socket = connect(port, OWN, () => resolve(socket));
        socket.on('error', () => undefined);
      });
    const held = await Promise.all(Array.from({ length: 12 }, opened));
    const over = await opened();
    await new Promise((resolve) => over.once('close', resolve));
    // The others are not turned away with it.
    const said = await new Promise<string>((resolve) => {
      held[0]?.once('data', (chunk) => resolve(String(chunk))).once('close', () => resolve('closed'));
      held[0]?.write(`GET / HTTP/1.1\r\nHost: ${OWN}\r\n\r\n`);
    });
    expect(said).toMatch(/^HTTP\/1\.1 200/);
    for (const socket of held) socket.destroy();
  });

  it('logs nothing of what was sent', async () => {
    await post({ code: 'SECRETXY', link: LINK });
    await post({ code: 'SECRET' }, { origin: 'http://evil.example' });
    expect(JSON.stringify(logged)).not.toContain('SECRET');
  });
});
