/** Every read-out of `branchbox fleet` as a script gets it: by the real API over TLS, with --json. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { FleetOverview } from '../../../src/controller/overview.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import { type RunningApi, useApi, WIRE } from '../controller/apiWorld.ts';
import { SMALL_FLEET } from '../controller/fixtures.ts';

let running: RunningApi;
let access: readonly string[];
useApi((fresh) => {
  running = fresh;
});
beforeEach(async () => {
  const { server } = running.api;
  const listening = once(server, 'listening');
  server.listen(0, '127.0.0.1');
  await listening;
  const { port } = server.address() as AddressInfo;
  const put = async (name: string, text: string): Promise<string> => {
    const path = join(running.directory, name);
    await writeFile(path, text);
    return path;
  };
  const ca = await put('ca.pem', WIRE.anchorPem);
  const credential = await put('credential', running.token);
  access = ['--api', `https://localhost:${port}`, '--ca', ca, '--credential', credential];
  await running.call('PUT', '/api/v1/fleet', SMALL_FLEET);
});
afterEach(() => vi.restoreAllMocks());

async function printed(...words: readonly string[]): Promise<string> {
  const texts: string[] = [];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => texts.push(String(text)) > 0);
  const program = await createProgram((name) => name === 'fleet');
  try {
    await program.parseAsync(['fleet', ...words, ...access], { from: 'user' });
  } finally {
    out.mockRestore();
  }
  return texts.join('');
}

it.each(['status', 'show', 'pending', 'domain-cas', 'firmware list'])('%s --json is JSON', async (words) => {
  expect(JSON.parse(await printed(...words.split(' '), '--json'))).toEqual(expect.anything());
});

it('the state of the fleet is of its committed schema, and needs no word for it', async () => {
  const { gateways } = FleetOverview.parse(JSON.parse(await printed('status', '--json')));
  expect(gateways.map(({ id }) => id)).toEqual(['hub', 'branch1', 'branch2']);
  expect(await printed('status')).toBe(await printed('status', '--json'));
});

it('the fleet is one in JSON as it is in TOML', async () => {
  const fleet = Fleet.parse(JSON.parse(await printed('show', '--json')));
  expect(fleet.gateways.map(({ id }) => id)).toEqual(['hub', 'branch1', 'branch2']);
  expect(await printed('show')).toContain('[[gateways]]\nid = "branch1"\n');
});
