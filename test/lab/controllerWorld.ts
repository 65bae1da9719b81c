/**
 * Owns the real manufacturer, signer, controller and mosquitto on free ports of the loopback, and somebody else's
 * clients (curl, openssl) pointed at them. Broker and curl come from the lab's root tree: no machine need have them.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createKeyFiles } from '../../src/controller/keyholder/keyFiles.ts';
import { issueCertificate, NO_EXPIRY_MS } from '../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../src/pki/keys.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { createProcesses, type Running } from './processes.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

export interface CurlAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface ControllerWorld {
  readonly directory: string;
  readonly ports: Readonly<Record<'sztp' | 'est' | 'api' | 'device' | 'mqtt', number>>;
  at(name: string): string;
  branchbox(...args: readonly string[]): Promise<string>;
  fleet(...args: readonly string[]): Promise<string>;
  /** `branchbox controller`, of its API. */
  controller(...args: readonly string[]): Promise<string>;
  startController(...args: readonly string[]): Promise<Running>;
  curl(...args: readonly string[]): Promise<CurlAnswer>;
  /** The REST API's JSON. */
  api(path: string): Promise<unknown>;
  patchInventory(serial: string, change: object): Promise<void>;
  /** idevid.crt and idevid.key of a new box, in a directory of that name. */
  newIdentity(serial: string, model?: string): Promise<string>;
  /** A second identity of a serial, which the manufacturer itself would not make. */
  cloneOf(serial: string): Promise<string>;
  openssl(...args: readonly string[]): Promise<string>;
  /** A certificate request with a new key beside it: `<box>/<name>.{key,csr}`, base64 as openssl writes it. */
  newRequest(box: string, name: string, subject: string): Promise<string>;
  /** Enrols by curl and openssl; `<box>/ldevid.{key,crt}`. */
  enrol(box: string): Promise<void>;
  remove(): Promise<void>;
}

/** `listen`: what the controller listens at; `::` is both families. */
export async function createControllerWorld(
  rootTree: string,
  listen: '127.0.0.1' | '::' = '127.0.0.1',
): Promise<ControllerWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-controller-'));
  // The broker drops root and still has to reach its own directory in here.
  await chmod(directory, 0o711);
  const at = (name: string): string => join(directory, name);
  const processes = createProcesses();
  let calls = 0;
  const [sztp = 0, est = 0, api = 0, device = 0, mqtt = 0, manufacturer = 0] = await freePorts(6);
  const ports = { sztp, est, api, device, mqtt };

  const branchbox = async (...args: readonly string[]): Promise<string> =>
    (await run(join(CHECKOUT, 'branchbox'), args)).stdout;
  const start = (...args: readonly string[]): Running => processes.start(join(CHECKOUT, 'branchbox'), args);

  await branchbox('manufacturer', 'init', '--state', at('manufacturer'), '--name', 'localhost');
  const mosquitto = at('mosquitto');
  await writeFile(mosquitto, programOf(rootTree, 'usr/sbin/mosquitto'), { mode: 0o755 });
  await writeFile(at('curl'), programOf(rootTree, 'usr/bin/curl'), { mode: 0o755 });
  await writeFile(
    at('controller.toml'),
    `stateDir = "${at('controller')}"
names = ["localhost"]
addresses = ["127.0.0.1", "::1"]
bundleMaxBytes = 65536
[listen]
address = "${listen}"
${Object.entries(ports)
  .map(([name, port]) => `${name}Port = ${port}`)
  .join('\n')}
[manufacturer]
url = "https://localhost:${manufacturer}"
tlsAnchor = "${at('manufacturer/service-ca.crt')}"
clientCertificate = "${at('manufacturer/client.crt')}"
clientKey = "${at('manufacturer/client.key')}"
idevidAnchor = "${at('manufacturer/ca.crt')}"
voucherAnchor = "${at('manufacturer/voucher-ca.crt')}"
[signer]
socket = "${at('signer.sock')}"
[mosquitto]
program = "${mosquitto}"
user = "nobody"
`,
  );
  start('manufacturer', 'serve', '--state', at('manufacturer'), '--listen', `127.0.0.1:${manufacturer}`);
  start('signer', 'serve', '--state', at('signer'), '--socket', at('signer.sock'));

  const access = () => [
    '--api',
    `https://localhost:${api}`,
    '--ca',
    at('anchors/domain.pem'),
    '--credential',
    at('controller/admin.credential'),
  ];
  const curl = async (...args: readonly string[]): Promise<CurlAnswer> => {
    const headers = at(`curl-${(calls += 1)}.headers`);
    const { stdout } = await run(at('curl'), ['-sS', '--max-time', '20', '-D', headers, ...args], {
      encoding: 'buffer',
    });
    return parseCurl(await readFile(headers, 'latin1'), stdout);
  };
  const callApi = async (path: string, ...words: readonly string[]): Promise<CurlAnswer> => {
    const credential = (await readFile(at('controller/admin.credential'), 'utf8')).trim();
    const anchored = ['--cacert', at('anchors/domain.pem'), '-H', `Authorization: Bearer ${credential}`];
    return curl(...anchored, ...words, `https://localhost:${api}${path}`);
  };
  const openssl = async (...args: readonly string[]): Promise<string> =>
    (await run('openssl', args, { encoding: 'utf8' })).stdout;
  const newRequest = async (box: string, name: string, subject: string): Promise<string> => {
    const [key, der, csr] = [join(box, `${name}.key`), join(box, `${name}.der`), join(box, `${name}.csr`)];
    const making = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await openssl(...making, '-keyout', key, '-subj', subject, '-outform', 'DER', '-out', der);
    await openssl('base64', '-in', der, '-out', csr);
    return csr;
  };
  return {
    directory,
    ports,
    at,
    openssl,
    newRequest,
    async enrol(box) {
      const csr = await newRequest(box, 'ldevid', '/CN=whoever');
      const answer = await curl(
        '--cacert',
        at('anchors/domain.pem'),
        '--cert',
        join(box, 'idevid.crt'),
        '--key',
        join(box, 'idevid.key'),
        '-H',
        'Content-Type: application/pkcs10',
        '--data-binary',
        `@${csr}`,
        `https://localhost:${est}/.well-known/est/simpleenroll`,
      );
      if (answer.status !== 200) throw new Error(`EST answered ${answer.status}: ${answer.body.toString()}`);
      const p7 = join(box, 'ldevid.p7');
      await writeFile(p7, Buffer.from(answer.body.toString('latin1'), 'base64'));
      await openssl('pkcs7', '-inform', 'DER', '-in', p7, '-print_certs', '-out', join(box, 'ldevid.crt'));
    },
    branchbox,
    curl,
    fleet: (...args) => branchbox('fleet', ...args, ...access()),
    controller: (...args) => branchbox('controller', ...args, ...access()),
    async startController(...args) {
      const controller = start('controller', 'serve', '--config', at('controller.toml'), ...args);
      await controller.said(/"connected to the broker"/);
      await controller.said(/"ready"/);
      await branchbox('controller', 'anchors', '--config', at('controller.toml'), '--out', at('anchors'));
      return controller;
    },
    api: async (path) => JSON.parse((await callApi(path)).body.toString('utf8')),
    async patchInventory(serial, change) {
      const json = ['-X', 'PATCH', '-H', 'Content-Type: application/json', '-d', JSON.stringify(change)];
      const answer = await callApi(`/api/v1/inventory/${serial}`, ...json);
      if (answer.status !== 200)
        throw new Error(`the API answered ${answer.status}: ${answer.body.toString()}`);
    },
    async newIdentity(serial, model = 'lab') {
      const out = at(`box-${serial}`);
      const words = ['--serial', serial, '--model', model, '--out', out];
      await branchbox('manufacturer', 'identity', '--state', at('manufacturer'), ...words);
      return out;
    },
    cloneOf: (serial) => makeClone(at('manufacturer'), at(`clone-${serial}`), serial),
    async remove() {
      await processes.end('SIGTERM');
      await endLeftBroker(at('controller/broker'));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What somebody with the factory's key could bring along. */
export async function makeClone(manufacturer: string, box: string, serial: string): Promise<string> {
  const files = createFiles();
  const ca = await createKeyFiles({ files, directory: manufacturer }).load('ca');
  if (ca === undefined) throw new Error('the manufacturer has no CA');
  const pair = generateKeyPair();
  const certificate = issueCertificate({
    profile: { kind: 'idevid', serialNumber: serial, commonName: serial },
    publicKey: pair.publicKey,
    issuer: ca,
    validity: { notBeforeMs: Date.now() - 60_000, notAfterMs: NO_EXPIRY_MS },
  });
  await files.writeDurable(join(box, 'idevid.crt'), certificate.pem);
  await files.writeDurable(join(box, 'idevid.key'), exportPrivateKey(pair.privateKey).reveal());
  return box;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  const ports: number[] = [];
  for (const server of servers) {
    if (!server.listening) await once(server, 'listening');
    const address = server.address();
    if (address !== null && typeof address === 'object') ports.push(address.port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}

/** A script that runs a program of the tree with the tree's own libraries, outside of any namespace. */
export function programOf(rootTree: string, program: string): string {
  const loader = `${rootTree}/lib64/ld-linux-x86-64.so.2 --library-path ${rootTree}/usr/lib/x86_64-linux-gnu`;
  return `#!/bin/sh\nexec ${loader} ${rootTree}/${program} "$@"\n`;
}

function parseCurl(text: string, body: Buffer): CurlAnswer {
  // The last block: `100 Continue` comes before.
  const block = text.trim().split('\r\n\r\n').at(-1) ?? '';
  const [first = '', ...lines] = block.split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(first.split(' ')[1]), headers: new Map(headers), body };
}

/** After a controller that was killed on purpose and not started again. */
async function endLeftBroker(directory: string): Promise<void> {
  const pid = await readFile(join(directory, 'mosquitto.pid'), 'utf8').catch(() => '');
  const command = await readFile(`/proc/${pid.trim()}/cmdline`, 'utf8').catch(() => '');
  if (command.includes(directory)) process.kill(Number(pid), 'SIGTERM');
}
