/** The agent's side of a quarantine: the mark it reads, whom it tells of a doubt, and what the box says of itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderBox } from '../../../src/agent/items.ts';
import { AGENT_PATHS, quarantinePath } from '../../../src/agent/paths.ts';
import { createIdentityTelling } from '../../../src/agent/identityTelling.ts';
import { readQuarantine } from '../../../src/agent/quarantine.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-agent-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('the mark', () => {
  const files = createFiles();
  const paths = () => ({ ...AGENT_PATHS, identity: directory });
  it('is none where there is no file', async () => {
    expect(await readQuarantine(files, paths())).toBeUndefined();
  });
  it.each([
    ['whole', '{"schema":1,"sinceMs":5,"why":"this box was revoked"}', 'this box was revoked'],
    ['cut short', '{"schema":1,"sin', 'cannot be read'],
    ['empty', '', 'cannot be read'],
    ['huge', 'x'.repeat(100_000), 'cannot be read'],
  ])('counts that is %s', async (_what, text, words) => {
    await files.writeDurable(quarantinePath(paths()), text);
    expect((await readQuarantine(files, paths()))?.why).toContain(words);
  });
});

describe('a doubt', () => {
  const log = createLogger({ name: 'test', write: () => undefined });
  it('is told to the identity process', async () => {
    const socketPath = join(directory, 'identity.sock');
    const server = createServer((_request, response) => response.writeHead(202).end('{}'));
    server.listen(socketPath);
    await once(server, 'listening');
    const asked = once(server, 'request');
    createIdentityTelling({ socketPath, log }).doubt();
    const [request] = await asked;
    expect([request.method, request.url]).toEqual(['POST', '/doubt']);
    server.close();
  });
  it('costs nothing while that process is away', () => {
    expect(() => createIdentityTelling({ socketPath: join(directory, 'none'), log }).doubt()).not.toThrow();
  });
});

it('a box that starts in quarantine makes no link of a segment before the chains that close it', () => {
  const wanted = renderBox(appSpec(), appFacts(), 'branch1', { quarantined: true });
  const links = wanted.filter(({ kind, id }) => kind === 'link' && /:(br|vx)-/.test(id));
  expect(links).not.toEqual([]);
  for (const { needs } of links) {
    expect(needs).toEqual(
      expect.arrayContaining(['nft-chain:bridge/quarantine_in', 'nft-chain:bridge/quarantine_out']),
    );
  }
  // Nothing is lost by it: what is wanted without it is wanted with it.
  const ids = wanted.map(({ id }) => id);
  expect(ids).toEqual(
    expect.arrayContaining(renderBox(appSpec(), appFacts(), 'branch1').map(({ id }) => id)),
  );
});
