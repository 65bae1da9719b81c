/** What the command line says of mistakes in how the controller is named, against a real TLS server. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { callApi, tellSent } from '../../../src/cli/controllerApi.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { WIRE } from '../controller/apiWorld.ts';
import { issue, makeCa } from '../pki/domain.ts';

const call = { method: 'GET', path: '/api/v1/status' } as const;
let directory: string;
const put = (name: string, text: string): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
/** To a server of the test's, once it listens; without an anchor. */
async function accessTo(server: Server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { api: `https://localhost:${port}`, credential: put('credential', 'x') };
}
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-cli-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it.each(['http://127.0.0.1:8445', 'controller:8445', 'controller', ''])(
  'an address that is %s is a word that is off',
  async (api) => {
    const access = { api, ca: put('ca', 'x'), credential: put('credential', 'x') };
    await expect(callApi(access, call)).rejects.toMatchObject({ code: 'cli/usage' });
  },
);

it.each(['', '-----BEGIN CERTIFICATE-----\nMIIB\n', 'wörd'])(
  'a credential that is none is said to be: %j',
  async (text) => {
    const access = { api: 'https://127.0.0.1:1', ca: put('ca', 'x'), credential: put('credential', text) };
    await expect(callApi(access, call)).rejects.toMatchObject({
      code: 'cli/usage',
      message: `--credential ${access.credential} is no admin credential, which is one word`,
    });
  },
);

it('a file that is not there is named, with why', async () => {
  const access = { api: 'https://127.0.0.1:1', ca: put('ca', 'x'), credential: put('credential', 'x') };
  const missing = join(directory, 'missing');
  const found = { code: 'system/file', message: `${missing} cannot be read: ENOENT` };
  await expect(callApi({ ...access, ca: missing }, call)).rejects.toMatchObject(found);
  await expect(callApi(access, { ...call, file: missing })).rejects.toMatchObject(found);
});

it('a file that is there and cannot be read while it is sent is named too, with why', async () => {
  // Takes the connection and says nothing: whatever ends the call is the file.
  const silent = createTcpServer((socket) => socket.on('error', () => undefined));
  const access = { ...(await accessTo(silent)), ca: put('ca', '') };
  try {
    await expect(callApi(access, { ...call, method: 'PUT', file: directory })).rejects.toMatchObject({
      code: 'system/file',
      message: `${directory} cannot be read: EISDIR`,
    });
  } finally {
    silent.close();
  }
});

it('another controller than the anchor vouches for is not one that does not answer', async () => {
  const now = Date.now();
  const validity = { notBeforeMs: now - 60_000, notAfterMs: now + 600_000 };
  const [own, other] = [makeCa('own', validity), makeCa('other', validity)];
  const names = { commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: [] };
  const { key, certificate } = issue(own, { kind: 'server', ...names }, validity);
  const server = createServer({ key: exportPrivateKey(key).reveal(), cert: certificate.pem }, (_, response) =>
    response.end('fine'),
  );
  const access = await accessTo(server);
  try {
    const ca = (pem: string) => ({ ...access, ca: put('ca', pem) });
    expect(await callApi(ca(own.certificate.pem), call)).toBe('fine');
    await expect(callApi(ca(other.certificate.pem), call)).rejects.toMatchObject({
      code: 'pki/untrusted',
      mend: expect.stringContaining('domain.pem'),
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
  await expect(callApi({ ...access, ca: put('ca', own.certificate.pem) }, call)).rejects.toMatchObject({
    code: 'controller/unreachable',
  });
});

it('an answer that is cut off in its middle is a controller that does not answer', async () => {
  const now = Date.now();
  const validity = { notBeforeMs: now - 60_000, notAfterMs: now + 600_000 };
  const ca = makeCa('own', validity);
  const names = { commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: [] };
  const { key, certificate } = issue(ca, { kind: 'server', ...names }, validity);
  const server = createServer(
    { key: exportPrivateKey(key).reveal(), cert: certificate.pem },
    (request, response) => {
      response.writeHead(200, { 'Content-Length': 1000 });
      response.write('{ "revision": ', () => request.socket.destroy());
    },
  );
  const access = { ...(await accessTo(server)), ca: put('ca', ca.certificate.pem) };
  try {
    await expect(callApi(access, call)).rejects.toMatchObject({ code: 'controller/unreachable' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it('a file arrives as it is, and who waits is told of each tenth', async () => {
  const content = Buffer.alloc(1024 * 1024, 'branchbox');
  let got = Buffer.alloc(0);
  const server = createServer(WIRE.tls, (request, response) => {
    void buffer(request).then((body) => {
      got = body;
      response.end('done');
    });
  });
  const access = { ...(await accessTo(server)), ca: put('ca', WIRE.anchorPem) };
  const file = join(directory, 'app.tar');
  writeFileSync(file, content);
  const told: number[] = [];
  try {
    const upload = { ...call, method: 'POST', mediaType: 'application/x-tar', file } as const;
    const onTenth = (sentBytes: number, ofBytes: number) =>
      void told.push(Math.floor((10 * sentBytes) / ofBytes));
    expect(await callApi(access, { ...upload, onTenth })).toBe('done');
    expect(got.equals(content)).toBe(true);
    expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it('what is small, and gone at once, is told of to nobody', () => {
  const said: string[] = [];
  const out = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  try {
    const tell = tellSent('branchbox-0.2.0.root');
    tell(1024 * 1024, 1024 * 1024);
    tell(22 * 1024 * 1024, 216 * 1024 * 1024);
  } finally {
    out.mockRestore();
  }
  expect(said).toEqual(['branchbox-0.2.0.root: 22 of 216 MiB\n']);
});
