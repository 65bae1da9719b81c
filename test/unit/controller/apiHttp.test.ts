/** The REST API as HTTP has it (RFC 9110): media types, methods, entity tags, challenges. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseEntityTags, preferred } from '../../../src/controller/api/negotiation.ts';
import { type RunningApi, useApi } from './apiWorld.ts';
import { SMALL_FLEET } from './fixtures.ts';
import { Description } from './openapi.ts';

const Method = z.enum(['GET', 'PUT', 'POST', 'PATCH', 'DELETE']);

let running: RunningApi;
useApi((fresh) => {
  running = fresh;
});

const put = (headers: Record<string, string> = {}, name = 'test') => {
  const fleet = { ...SMALL_FLEET, fleet: { ...SMALL_FLEET.fleet, name } };
  return running.call('PUT', '/api/v1/fleet', fleet, headers);
};
const get = (headers: Record<string, string>) => running.call('GET', '/api/v1/fleet', undefined, headers);

it.each([
  ['POST', '/api/v1/inventory', 'application/octet-stream', 'application/json'],
  ['PUT', '/api/v1/fleet', 'application/x-tar', 'application/json, application/toml'],
  ['POST', '/api/v1/bundles', 'application/json', 'application/x-tar, application/octet-stream'],
  ['POST', '/api/v1/firmware', 'application/toml', 'application/jose'],
  ['PATCH', '/api/v1/inventory/SN-1', 'application/toml', 'application/json'],
  ['POST', '/api/v1/inventory/SN-1/invitation', 'text/plain', 'application/json'],
  ['PUT', '/api/v1/fleet', 'nonsense', 'application/json, application/toml'],
] as const)('%s %s with a body of %s is 415, and says what it takes', async (method, url, type, takes) => {
  const answer = await running.call(method, url, Buffer.from('{}'), { 'content-type': type });
  expect([answer.status, answer.json.code, answer.headers['accept']]).toEqual([415, 'model/invalid', takes]);
});

it.each([
  ['of a foreign media type', 'text/plain', {}],
  ['of no media type', undefined, {}],
  ['that is compressed', 'application/json', { 'content-encoding': 'gzip' }],
] as const)('no route takes a body %s, and each says what it takes instead', async (_, type, headers) => {
  const { paths } = Description.parse(JSON.parse(JSON.stringify(running.api.swagger())));
  const wrong: string[] = [];
  for (const [template, operations] of Object.entries(paths)) {
    for (const name of Object.keys(operations)) {
      const method = Method.parse(name.toUpperCase());
      if (method === 'GET') continue;
      const url = template.replaceAll(/\{\w+\}/g, 'branch1');
      // A type that one route takes is foreign to the next.
      const content = type === undefined ? {} : { 'content-type': type };
      const answer = await running.call(method, url, Buffer.from('{}'), { ...content, ...headers });
      const { accept, 'accept-patch': patch } = answer.headers;
      const isSaid = answer.status === 415 && accept !== undefined && answer.json.code === 'model/invalid';
      const isOfPatch = method === 'PATCH' ? patch === accept : patch === undefined;
      if (!isSaid || !isOfPatch)
        wrong.push(`${method} ${template}: ${JSON.stringify([answer.status, accept, patch])}`);
    }
  }
  expect(wrong).toEqual([]);
});

it('a path that there is not is said to be none, whatever is sent to it', async () => {
  const answer = await running.call('POST', '/api/v1/nowhere', Buffer.from('x'), {
    'content-type': 'text/x',
  });
  expect([answer.status, answer.json.code]).toEqual([404, 'controller/not-found']);
});

it('a media type may come in any case and with parameters', async () => {
  const headers = { 'content-type': 'Application/JSON; charset=utf-8' };
  expect((await running.call('PUT', '/api/v1/fleet', JSON.stringify(SMALL_FLEET), headers)).status).toBe(200);
});

it.each([
  ['DELETE', '/api/v1/fleet', 'GET, HEAD, PUT, OPTIONS'],
  ['PUT', '/api/v1/inventory', 'GET, HEAD, POST, OPTIONS'],
  ['POST', '/api/v1/gateways/branch1', 'GET, HEAD, PUT, DELETE, OPTIONS'],
  ['GET', '/api/v1/firmware/parts', 'POST, OPTIONS'],
  ['TRACE', '/api/v1/status', 'GET, HEAD, OPTIONS'],
  ['POST', '/healthz', 'GET, HEAD, OPTIONS'],
] as const)('%s %s is 405, and says what there is', async (method, url, allowed) => {
  const answer = await running.call(method, url, method === 'POST' ? 'x' : undefined);
  expect([answer.status, answer.json.code, answer.headers['allow']]).toEqual([
    405,
    'controller/not-found',
    allowed,
  ]);
  expect(answer.headers['content-type']).toContain('application/json');
});

it('a wrong method is told to whoever may know', async () => {
  const answer = await running.call('DELETE', '/api/v1/fleet', undefined, { authorization: '' });
  expect([answer.status, answer.headers['allow']]).toEqual([401, undefined]);
});

it('what can be read answers HEAD too', async () => {
  await put();
  expect(await running.call('HEAD', '/api/v1/fleet')).toMatchObject({ status: 200, etag: '"1"', text: '' });
});

it('a client without the credential is told how one is shown', async () => {
  const challenge = async (headers: Record<string, string>) =>
    (await running.api.inject({ method: 'GET', url: '/api/v1/fleet', headers })).headers['www-authenticate'];
  expect(await challenge({})).toBe('Bearer');
  expect(await challenge({ authorization: 'Bearer wrong' })).toBe('Bearer error="invalid_token"');
});

describe('entity tags', () => {
  it('a client that has the fleet already is told that alone', async () => {
    await put();
    for (const tags of ['"1"', 'W/"1"', '"7", "1"', '*'])
      expect(await get({ 'if-none-match': tags }), tags).toMatchObject({
        status: 304,
        text: '',
        etag: '"1"',
      });
    for (const tags of ['"2"', '"1-toml"', 'junk'])
      expect((await get({ 'if-none-match': tags })).status, tags).toBe(200);
    const one = await running.call('GET', '/api/v1/gateways/branch1', undefined, { 'if-none-match': '"1"' });
    expect(one.status).toBe(304);
    await put({}, 'other');
    expect((await get({ 'if-none-match': '"1"' })).status).toBe(200);
  });

  it('a change is made to one of the fleets that were named, by whichever form they were read', async () => {
    expect((await put({ 'if-match': '*' })).status).toBe(412);
    await put();
    expect((await put({ 'if-match': '"7", "1"' }, 'second')).etag).toBe('"2"');
    expect((await put({ 'if-match': '"2-toml"' }, 'third')).etag).toBe('"3"');
    expect((await put({ 'if-match': '*' }, 'fourth')).etag).toBe('"4"');
    // A weak tag says that something like it is there: no change can stand on that.
    for (const tags of ['"1", "2"', 'W/"4"', '"of somebody else"'.replaceAll(' ', '-')])
      expect((await put({ 'if-match': tags })).status, tags).toBe(412);
  });

  it.each<[string, ReturnType<typeof parseEntityTags>]>([
    ['*', '*'],
    [
      '"a,b" ,W/"2"',
      [
        { weak: false, opaque: 'a,b' },
        { weak: true, opaque: '2' },
      ],
    ],
    ['""', [{ weak: false, opaque: '' }]],
    ['a', undefined],
    ['"1" "2"', undefined],
    ['"1', undefined],
    ['', undefined],
    ['*, "1"', undefined],
  ])('%s is read as it is meant', (header, tags) => {
    expect(parseEntityTags(header)).toEqual(tags);
  });
});

describe('what a client takes', () => {
  it.each([
    [undefined, 'json'],
    ['*/*', 'json'],
    ['application/toml', 'toml'],
    ['application/toml, */*;q=0.1', 'toml'],
    ['application/toml;q=0.5, application/json', 'json'],
    ['application/*;q=0.2, application/toml;q=0.3', 'toml'],
    ['Application/TOML', 'toml'],
    ['application/toml;q=0, */*', 'json'],
    ['text/html', undefined],
    ['application/json;q=0', undefined],
  ])('%s', (accept, expected) => {
    const chosen = preferred(accept, ['application/json', 'application/toml']);
    expect(chosen).toBe(expected === undefined ? undefined : `application/${expected}`);
  });

  it('is what it gets, each form with a tag of its own', async () => {
    await put();
    const toml = await get({ accept: 'application/toml, */*;q=0.1' });
    expect(toml.text).toContain('[[gateways]]');
    expect([toml.etag, toml.headers['vary']]).toEqual(['"1-toml"', 'Accept']);
    expect(await get({ accept: 'text/html' })).toMatchObject({ status: 200, json: SMALL_FLEET, etag: '"1"' });
  });
});
