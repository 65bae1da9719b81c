/** Docker Engine's API over played answers: which version of it is spoken, and when that is asked anew. */
import { expect, test } from 'vitest';
import { dockerEngineOver } from '../../../src/containers/dockerEngine.ts';
import type { EngineHttp } from '../../../src/containers/engineHttp.ts';
import { BranchboxError } from '../../../src/model/errors.ts';

/** Speaks one version of the API at a time, and refuses every other. */
function playEngine() {
  const engine = { speaks: '1.45' };
  const answerTo = async (path: string): Promise<string> => {
    if (path === '/version') return JSON.stringify({ Version: '1', ApiVersion: engine.speaks });
    if (path.startsWith(`/v${engine.speaks}/`)) return path.includes('/containers/json') ? '[]' : '';
    throw new BranchboxError('engine/refused', { message: 'client version is too old' });
  };
  const http: EngineHttp = {
    async call({ path, accept }) {
      const text = await answerTo(path);
      return text === '' && accept?.includes(404) === true ? { status: 404, text } : { status: 200, text };
    },
    async lines({ path }) {
      await answerTo(path);
    },
  };
  return { engine, docker: dockerEngineOver(http) };
}

const { signal } = new AbortController();

test.each([
  ['an inspection', (docker: ReturnType<typeof dockerEngineOver>) => docker.inspectContainer('c', signal)],
  ['a pull', (docker: ReturnType<typeof dockerEngineOver>) => docker.pullImage('a:1', signal)],
  ['a list', (docker: ReturnType<typeof dockerEngineOver>) => docker.listContainers('l', signal)],
])('an engine that was upgraded under us is asked for its version again after %s', async (_, ask) => {
  const { engine, docker } = playEngine();
  await ask(docker);
  engine.speaks = '1.44';
  await expect(ask(docker)).rejects.toMatchObject({ code: 'engine/refused' });
  await expect(ask(docker)).resolves.not.toThrow();
});

test('who gives up while the version is asked takes nobody along', async () => {
  const first = new AbortController();
  const released = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const docker = dockerEngineOver({
    async call({ path, signal: limit }) {
      if (path !== '/version') return { status: 200, text: '[]' };
      asked.resolve();
      await released.promise;
      limit.throwIfAborted();
      return { status: 200, text: JSON.stringify({ Version: '1', ApiVersion: '1.41' }) };
    },
    async lines() {},
  });
  const givenUp = docker.listContainers('l', first.signal);
  await asked.promise;
  const other = docker.listContainers('l', signal);
  first.abort(new Error('given up'));
  released.resolve();
  await expect(givenUp).rejects.toThrow('given up');
  await expect(other).resolves.toEqual([]);
});
