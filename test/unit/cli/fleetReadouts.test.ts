/** Every read-out of `branchbox fleet` and `branchbox controller`, and what a change ended with, as a script gets it: by the real API over TLS, with --json. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify as stringifyToml } from 'smol-toml';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { FleetOverview } from '../../../src/controller/overview.ts';
import type { PendingBox } from '../../../src/controller/store/entities.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import { accessTo, type RunningApi, SERVICE_CERTIFICATES, useApi } from '../controller/apiWorld.ts';
import { SMALL_FLEET } from '../controller/fixtures.ts';
import { loadCommandLine, nameOf, withSubcommands } from './commandLine.ts';

let running: RunningApi;
let access: readonly string[];
useApi((fresh) => {
  running = fresh;
});
beforeEach(async () => {
  access = await accessTo(running);
  await running.call('PUT', '/api/v1/fleet', SMALL_FLEET);
});
afterEach(() => vi.restoreAllMocks());

const WAITING: PendingBox = {
  serial: 'SN-7',
  spkiSha256: 'ab'.repeat(32),
  issuerKeyId: '01',
  claimCode: 'ABCD-EFGH-JKLM',
  state: 'waiting',
  unproven: { 'mac-address': [] },
  rule: 'ours',
  firstSeenMs: 1,
  lastSeenMs: 1,
};

const printed = (...words: readonly string[]): Promise<string> => printedBy('fleet', ...words);
async function printedBy(group: 'fleet' | 'controller', ...words: readonly string[]): Promise<string> {
  const texts: string[] = [];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => texts.push(String(text)) > 0);
  const program = await createProgram((name) => name === group);
  try {
    await program.parseAsync([group, ...words, ...access], { from: 'user' });
  } finally {
    out.mockRestore();
  }
  return texts.join('');
}

it.each(['status', 'show', 'pending', 'domain-cas', 'firmware list'])('%s --json is JSON', async (words) => {
  expect(JSON.parse(await printed(...words.split(' '), '--json'))).toEqual(expect.anything());
});

it.each([
  ['apply FLEET', { gateways: expect.any(Array) }],
  ['gateway GATEWAY', { id: 'branch1' }],
  ['inventory SN-5 SN-1 --pending --change', [{ serial: 'SN-5', approved: false }, { approved: false }]],
  ['approve SN-1', { serial: 'SN-1', approved: true }],
  ['deny SN-1', { serial: 'SN-1', state: 'revoked' }],
  // An entry of the list of those that wait, and the controller answers nothing.
  ['deny SN-7', {}],
  ['release SN-1', { serial: 'SN-1', approved: true }],
  ['disown SN-sold --yes', { serial: 'SN-sold' }],
  ['reset branch1 --yes', { message: 'resetting to factory state' }],
])('%s --json is JSON, of what was done', async (line, told) => {
  const toml = join(running.directory, 'fleet.toml');
  const gateway = join(running.directory, 'branch1.toml');
  await writeFile(toml, await printed('show'));
  const { gateways } = Fleet.parse(JSON.parse(await printed('show', '--json')));
  await writeFile(gateway, stringifyToml(JSON.parse(JSON.stringify(gateways[1]))));
  await running.call('POST', '/api/v1/inventory', { serial: 'SN-1' });
  await running.store.pending.see(WAITING);
  const words = line.replace('FLEET', toml).replace('GATEWAY', gateway).split(' ');
  expect(JSON.parse(await printed(...words, '--json'))).toMatchObject(told);
});

it('no command of fleet is without --json', async () => {
  const fleet = (await loadCommandLine()).commands.find((command) => command.name() === 'fleet');
  const leaves = (fleet === undefined ? [] : withSubcommands(fleet)).filter(
    (one) => one.commands.length === 0,
  );
  expect(leaves.length).toBeGreaterThan(20);
  const without = leaves.filter(({ options }) => options.every(({ long }) => long !== '--json'));
  expect(without.map(nameOf)).toEqual([]);
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

it("the controller's own certificates, before and after one is revoked, in words and as JSON", async () => {
  const { server, client, next } = SERVICE_CERTIFICATES;
  const { number } = server.certificate;
  const line = ({ certificate }: Credential, words: string) =>
    `in use   ${certificate.number} ${words}, until 2026-08-30T00:00Z\n`;
  const ofClient = line(client, 'client controller.service');
  expect(await printedBy('controller', 'certificates')).toBe(
    line(server, 'server controller.example') + ofClient,
  );
  const file = join(running.directory, 'server.crt');
  await writeFile(file, server.certificate.pem);
  expect(await printedBy('controller', 'revoke', '--certificate', file)).toBe(
    `${number} was in use: the controller has another key and certificate, and this one is revoked for good\n` +
      line(next, 'server controller.example') +
      ofClient +
      `revoked  ${number} since 1970-01-01T00:00Z, keyCompromise\n`,
  );
  expect(JSON.parse(await printedBy('controller', 'certificates', '--json')).revoked).toHaveLength(1);
  // As openssl x509 -serial prints it.
  const again = await printedBy('controller', 'revoke', 'serial=0A0B', '--superseded', '--json');
  expect(JSON.parse(again)).toMatchObject({ number: '0a0b', replaced: false });
});

it.each([[[]], [['0a', '--certificate', 'x']], [['xyz']], [['abc']]])(
  'controller revoke %j names no one certificate',
  async (words) => {
    await expect(printedBy('controller', 'revoke', ...words)).rejects.toMatchObject({
      code: 'cli/usage',
      mend: expect.stringContaining('branchbox controller certificates'),
    });
  },
);

it('controller revoke --certificate takes no file that holds none', async () => {
  const file = join(running.directory, 'server.crt');
  await writeFile(file, 'no certificate');
  await expect(printedBy('controller', 'revoke', '--certificate', file)).rejects.toMatchObject({
    code: 'pki/malformed',
    message: `${file} holds no certificate`,
  });
});
