/** The agent's own server, asked over its real socket by whoever may open it: nothing that is sent ends the agent. */
import { access, mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveLocalApi } from '../../../src/agent/localApi.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { silentLog } from '../../fakes/silentLog.ts';

describe('the local API of the agent', () => {
  let directory: string;
  let socket: string;
  let ending: AbortController;
  let counted = 0;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bb-api-'));
    socket = join(directory, 'api/agent.sock');
    ending = new AbortController();
    await serveLocalApi(
      {
        socket,
        mode: 0o666,
        log: silentLog,
        readOuts: {
          '/counted': async () => void (counted += 1),
          '/good': async (query) => ({ item: query.get('item') }),
          '/throws': () => {
            throw new BranchboxError('system/file', { message: 'the file is away' });
          },
          '/rejects': async () => {
            throw new BranchboxError('system/file', { message: 'the file is away' });
          },
          '/no-json': async () => ({ big: 1n }),
        },
        actions: { '/echo': async (body) => body },
      },
      ending.signal,
    );
  });

  afterEach(async () => {
    ending.abort();
    await rm(directory, { recursive: true });
  });

  const ask = (path: string, body?: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const method = body === undefined ? 'GET' : 'POST';
      const asked = request({ socketPath: socket, path, method }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += String(chunk)));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  /** What Node's client would not send. */
  const sendRaw = (target: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      const connection = connect(socket, () =>
        connection.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`),
      );
      connection.on('data', (chunk) => (text += String(chunk)));
      connection.on('end', () => resolve(text));
      connection.on('error', reject);
    });

  it('answers what it has, and says so of what it does not have', async () => {
    expect(await ask('/good?item=link%3Aa')).toEqual({ status: 200, text: '{"item":"link:a"}\n' });
    expect(await ask('/echo', '{"a":1}')).toEqual({ status: 200, text: '{"a":1}\n' });
    for (const [path, body] of [['/none'], ['/echo'], ['/good', '{}'], ['/constructor']] as const) {
      expect((await ask(path, body)).status, path).toBe(404);
    }
  });

  it.each(['//', 'http://[', 'http://[/', '///', '/\\', '*'])(
    'answers %s, which is no path, and goes on',
    async (target) => {
      expect(await sendRaw(target)).toMatch(/^HTTP\/1\.1 40[04] /);
      expect((await ask('/good')).status).toBe(200);
    },
  );

  it.each(['/throws', '/rejects', '/no-json'])('tells what went wrong in %s, and goes on', async (path) => {
    const { status, text } = await ask(path);
    expect(status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({
      error: { code: path === '/no-json' ? 'internal' : 'system/file' },
    });
    expect((await ask('/good')).status).toBe(200);
  });

  it.each(['{', '', 'x'.repeat(65 * 1024)])('refuses a body that is no JSON or too large', async (body) => {
    expect(JSON.parse((await ask('/echo', body)).text)).toMatchObject({ error: { code: 'model/invalid' } });
  });

  it('answers one question a connection, whatever is sent behind it', async () => {
    const before = counted;
    const behind = 'GET /counted HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'.repeat(20);
    const text = await new Promise<string>((resolve) => {
      let heard = '';
      const connection = connect(socket, () => connection.write(behind));
      connection.on('data', (chunk) => (heard += String(chunk)));
      connection.on('error', () => {});
      connection.on('close', () => resolve(heard));
    });
    expect(counted - before).toBe(1);
    expect(text.match(/^HTTP/gm)?.length ?? 0).toBeLessThanOrEqual(1);
    expect((await ask('/good')).status).toBe(200);
  });

  it('is open as wide as it was told, and gone when it is over', async () => {
    expect((await stat(socket)).mode & 0o777).toBe(0o666);
    ending.abort();
    await expect
      .poll(() =>
        access(socket).then(
          () => 'there',
          () => 'gone',
        ),
      )
      .toBe('gone');
    await expect(ask('/good')).rejects.toThrow(/ENOENT/);
  });

  it('does not stay where the agent is to end while it begins', async () => {
    const late = join(directory, 'late.sock');
    await serveLocalApi({ socket: late, log: silentLog, readOuts: {}, actions: {} }, AbortSignal.abort());
    const answers = await new Promise((resolve) => {
      const asked = connect(late, () => resolve(true));
      asked.on('error', () => resolve(false));
    });
    expect(answers).toBe(false);
  });
});
