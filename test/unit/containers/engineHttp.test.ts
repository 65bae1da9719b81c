/** The wire to an engine, over a real socket: an engine that speaks nonsense, or goes away, ends a call and no more. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDockerEngine } from '../../../src/containers/dockerEngine.ts';

describe('an engine', () => {
  let directory: string;
  let socketPath: string;
  let server: Server;
  const { signal } = new AbortController();
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'branchbox-engine-'));
    socketPath = join(directory, 'docker.sock');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  async function serve(answer: (path: string, response: ServerResponse) => void) {
    server = createServer((request, response) => {
      if (request.url === '/version') response.end('{"Version": "26.1", "ApiVersion": "1.45"}');
      else answer(request.url ?? '', response);
    });
    await new Promise<void>((resolve) => {
      server.listen(socketPath, resolve);
    });
    return createDockerEngine({ socketPath });
  }

  it('that dies within the line of an event ends the watch over it', async () => {
    const engine = await serve((_, response) => {
      const event = '{"Type": "image", "Action": "pull", "Actor": {"ID": "busybox"}}\n';
      response.write(event);
      response.end(event.slice(0, 20));
    });
    const seen: string[] = [];
    await expect(engine.follow('l', ({ subject }) => seen.push(subject), signal)).rejects.toMatchObject({
      code: 'engine/refused',
    });
    expect(seen).toEqual(['busybox']);
  });

  it('that never ends a line is cut off', async () => {
    const ended = Promise.withResolvers<number>();
    const part = Buffer.alloc(64 * 1024, 'x');
    const engine = await serve((_, response) => {
      const more = (sentBytes: number): void => {
        if (response.destroyed) ended.resolve(sentBytes);
        else response.write(part, () => setImmediate(() => more(sentBytes + part.length)));
      };
      more(0);
    });
    await expect(engine.pullImage('busybox', signal)).rejects.toMatchObject({ code: 'engine/unreachable' });
    expect(await ended.promise).toBeLessThan(16 * 1024 * 1024);
  });

  it('that goes away while it loads an archive leaves no open file behind', async () => {
    const archive = join(directory, 'archive.tar');
    writeFileSync(archive, Buffer.alloc(8 * 1024 * 1024));
    const engine = await serve((_, response) => response.socket?.destroy());
    await expect(engine.loadImage(archive, signal)).rejects.toMatchObject({ code: 'engine/unreachable' });
    await expect.poll(openFiles).not.toContain(archive);
  });
});

/** Of this process. */
function openFiles(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`);
    } catch {
      return [];
    }
  });
}
