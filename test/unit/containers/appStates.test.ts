/** What a status says of apps whose engine does not tell them: its own words, on one line, cut, and without a password. */
import { expect, test } from 'vitest';
import { readAppStates } from '../../../src/containers/appStates.ts';
import type { EngineContainer, EngineContainerDetails } from '../../../src/containers/engine.ts';
import { LABEL_APP, LABEL_ROLE } from '../../../src/containers/items.ts';
import { BranchboxError } from '../../../src/model/errors.ts';

const { signal } = new AbortController();
const container: EngineContainer = {
  id: 'c1',
  labels: { [LABEL_APP]: 'red-app', [LABEL_ROLE]: 'app' },
  state: 'exited',
  networkMode: 'none',
};
const details: EngineContainerDetails = {
  id: 'c1',
  running: false,
  namespacePath: undefined,
  restarts: 2,
  exitCode: 127,
  outOfMemory: false,
  error: '',
};
const listed = async () => [container];
const refused = (message: string) => new BranchboxError('engine/refused', { message });

test('an engine that refuses to list is told in its words', async () => {
  const listContainers = () =>
    Promise.reject(
      refused('the container engine refused GET /v1.45/containers/json: no space left on device'),
    );
  expect(await readAppStates({ listContainers, inspectContainer: async () => details }, signal)).toEqual({
    untold: 'the container engine refused GET /v1.45/containers/json: no space left on device',
  });
});

test('so is one that lists, and fails over one app, whatever it throws', async () => {
  const inspectContainer = () => Promise.reject(new Error('layer db: input/output error'));
  expect(await readAppStates({ listContainers: listed, inspectContainer }, signal)).toEqual({
    untold: 'layer db: input/output error',
  });
});

test.each([
  [
    'a password of a proxy stays untold',
    'proxyconnect tcp: dial "http://branch:s3cret@proxy.example:3128": refused, then //10.0.0.1/x@y.',
    'proxyconnect tcp: dial "http://proxy.example:3128": refused, then //10.0.0.1/x@y',
  ],
  [
    'nor does a part of one that has an @ in it',
    'Get "https://me:s3c@ret@registry.example/v2/": EOF, as was https://registry.example/app@sha256:00',
    'Get "https://registry.example/v2/": EOF, as was https://registry.example/app@sha256:00',
  ],
  [
    'lines become one',
    'OCI runtime create failed:\r\n\tno such\u001b[31m file\n',
    'OCI runtime create failed: no such [31m file',
  ],
  ['what is long is cut', 'x'.repeat(5000), 'x'.repeat(300)],
])('%s', async (_, error, told) => {
  const untold = { untold: told };
  const listContainers = () => Promise.reject(refused(error));
  expect(await readAppStates({ listContainers, inspectContainer: async () => details }, signal)).toEqual(
    untold,
  );
  const inspectContainer = async () => ({ ...details, error });
  expect(await readAppStates({ listContainers: listed, inspectContainer }, signal)).toEqual({
    apps: [{ app: 'red-app', state: 'failed', restarts: 2, reason: told }],
  });
});
