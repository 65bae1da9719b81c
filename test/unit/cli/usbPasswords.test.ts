/** `branchbox fleet usb`: which password is in a file that somebody made in whatever editor, as the controller is told it. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import type { BootstrapNetwork } from '../../../src/model/medium.ts';
import { WIRE } from '../controller/apiWorld.ts';

let directory: string;
let server: Server;
let told: BootstrapNetwork[];
const put = (name: string, content: string): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-usb-'));
  told = [];
  server = createServer(WIRE.tls, (request, response) => {
    void text(request).then((body) => {
      told.push((JSON.parse(body) as { network: BootstrapNetwork }).network);
      response.writeHead(503).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

/** What the controller is told of the network; throws what the command said before it asked. */
async function networkBy(...words: readonly string[]): Promise<BootstrapNetwork> {
  const { port } = server.address() as AddressInfo;
  const access = ['--api', `https://localhost:${port}`, '--ca', put('ca.pem', WIRE.anchorPem)];
  const credential = ['--credential', put('credential', 'x')];
  const program = await createProgram((name) => name === 'fleet');
  const all = ['fleet', 'usb', 'SN-1', '--out', directory, ...words, ...access, ...credential];
  const failure: unknown = await program.parseAsync(all, { from: 'user' }).catch((thrown: unknown) => thrown);
  const [network] = told;
  if (network === undefined) throw failure;
  return network;
}

it.each([
  ['with no end of its line', 'hunter2', 'hunter2'],
  ['with LF', 'hunter2\n', 'hunter2'],
  ['with CR LF, of an editor of Windows', 'hunter2\r\n', 'hunter2'],
  ['with the mark before UTF-8, and CR LF', '\uFEFFhünter2\r\n', 'hünter2'],
  ['with lines below it', 'hunter2\r\nof line 7\r\n', 'hunter2'],
  ['with blanks that are its own', ' hunter 2 \n', ' hunter 2 '],
])('a password %s is read as it is', async (_, content, password) => {
  const file = put('password', content);
  expect(await networkBy('--pppoe-user', 'line7@isp', '--pppoe-password-file', file)).toMatchObject({
    addressing: { kind: 'pppoe', password },
  });
  told = [];
  const proxy = ['--proxy', 'proxy.example:3128', '--proxy-user', 'box', '--proxy-password-file', file];
  expect(await networkBy(...proxy)).toMatchObject({ proxy: { password } });
});

it.each([
  ['nothing', '\r\n'],
  ['a second CR', 'hunter2\r\r\n'],
  ['UTF-16', 'h\0u\0n\0'],
])('a password file that holds %s is refused before anybody is asked', async (_, content) => {
  const file = put('password', content);
  await expect(networkBy('--pppoe-user', 'line7@isp', '--pppoe-password-file', file)).rejects.toMatchObject({
    code: 'cli/usage',
    problems: expect.arrayContaining([expect.objectContaining({ path: '--pppoe-password-file' })]),
  });
});

it("a SIM's PIN is read the same way", async () => {
  const network = await networkBy('--modem', 'internet', '--modem-pin-file', put('pin', '1234\r\n'));
  expect(network).toMatchObject({ addressing: { kind: 'modem', pin: '1234' } });
});

it.each([
  [['--proxy-user', 'box'], '--proxy'],
  [['--proxy-password-file', 'FILE'], '--proxy'],
  [['--proxy', 'proxy.example:3128', '--proxy-password-file', 'FILE'], '--proxy-user'],
  [['--pppoe-password-file', 'FILE'], '--pppoe-user'],
  [['--modem', 'internet', '--modem-password-file', 'FILE'], '--modem-user'],
  [['--modem-password-file', 'FILE'], '--modem'],
])('%j belongs to nobody: it is not left out of the medium in silence', async (words, missing) => {
  const file = put('password', 'hunter2');
  const asked = networkBy(...words.map((word) => (word === 'FILE' ? file : word)));
  await expect(asked).rejects.toMatchObject({ code: 'cli/usage', mend: expect.stringContaining(missing) });
  expect(told).toEqual([]);
});

it.each([
  [['--vlan', 'abc'], '--vlan', 'wants a number from 1 to 4094'],
  [['--vlan', '5000'], '--vlan', 'wants a number from 1 to 4094'],
  [['--address', '192.0.2.5', '--gateway', '192.0.2.1'], '--address', 'such as 192.0.2.5/24'],
  [['--address', '192.0.2.5/24'], '--gateway', 'wants the gateway of --address'],
  [['--address', '2001:db8::5', '--gateway', 'fe80::1'], '--address', 'such as 2001:db8::5/64'],
  [['--address', '192.0.2.5/24', '--gateway', '198.51.100.1'], '--gateway', 'is no host of 192.0.2.0/24'],
  [['--address', '192.0.2.5/24', '--gateway', '192.0.2.1', '--dns', '192.0.2'], '--dns', 'wants addresses'],
  [['--port', 'WAN 1'], '--port', 'such as wan1'],
  [['--modem', '-'], '--modem', 'wants an APN'],
  [['--proxy', 'a_b:3128'], '--proxy', 'such as proxy.example:3128'],
])('%j says which option is wrong, and what it wants', async (words, option, wants) => {
  await expect(networkBy(...words)).rejects.toMatchObject({
    code: 'cli/usage',
    problems: [{ path: option, message: expect.stringContaining(wants) }],
  });
  expect(told).toEqual([]);
});
