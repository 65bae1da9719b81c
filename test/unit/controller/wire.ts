/**
 * Owns clients of the controller's servers as they are on the wire: one that speaks bytes over TLS and reads only when all
 * of its own are sent, and Node's fetch in a process of its own. And the credential by which a test's server is believed.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { DAY_MS, issue, makeCa } from '../pki/domain.ts';

/** Of now, unlike what tests of certificates stand on: other people's clients have no clock but the machine's. */
const VALIDITY = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };

export function makeServerCredential() {
  const ca = makeCa('Wire CA', VALIDITY);
  const server = issue(
    ca,
    { kind: 'server', commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] },
    VALIDITY,
  );
  return {
    anchorPem: ca.certificate.pem,
    tls: { key: exportPrivateKey(server.key).reveal(), cert: server.certificate.pem },
  };
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Sends all of `parts`, then reads until the server ends the connection. Rejects where it is reset before. */
export async function speak(port: number, ...parts: readonly (string | Uint8Array)[]): Promise<WireAnswer> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    socket.once('end', resolve).once('error', reject);
    socket.once('close', () => reject(new Error('the connection was cut')));
  });
  ended.catch(() => undefined);
  for (const part of parts) {
    if (!socket.write(part)) await Promise.race([once(socket, 'drain'), ended]);
  }
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await ended;
  socket.destroy();
  return readAnswer(Buffer.concat(chunks).toString('utf8'));
}

export interface ExpectedAnswer extends WireAnswer {
  /** Whether it was told to send its body. */
  readonly isTold: boolean;
}

/**
 * Sends what must end in `Expect: 100-continue`'s empty line, and the body only when it is told to (RFC 9110 10.1.1), as
 * curl does for what is large. Resolves with the whole final answer, whatever the server does with the connection then.
 */
export async function speakExpecting(
  port: number,
  head: string,
  body: string | Uint8Array,
): Promise<ExpectedAnswer> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.write(head);
  let text = '';
  let isTold = false;
  try {
    return await new Promise((resolve, reject) => {
      socket.once('error', reject).once('close', () => reject(new Error('the connection was cut')));
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (!isTold && text.startsWith(CONTINUE)) {
          isTold = true;
          text = text.slice(CONTINUE.length);
          socket.write(body);
        }
        const answer = readAnswer(text);
        const isWhole = Buffer.byteLength(answer.text) === Number(answer.headers['content-length']);
        if (text.includes('\r\n\r\n') && isWhole) resolve({ ...answer, isTold });
      });
    });
  } finally {
    socket.destroy();
  }
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** Without an interim one before it. */
function readAnswer(received: string): WireAnswer {
  const [head = '', text = ''] = received.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(first.split(' ')[1]), headers: Object.fromEntries(headers), text };
}

/** Status and body of a request by Node's fetch; or why it failed. */
export async function fetched(
  url: string,
  anchorFile: string,
  request: { readonly method: string; readonly headers: object; readonly bodyBytes: number },
): Promise<{ readonly status?: number; readonly text?: string; readonly failed?: string }> {
  const script = `
    const { url, method, headers, bodyBytes } = JSON.parse(process.argv[1]);
    fetch(url, { method, headers, body: Buffer.alloc(bodyBytes, 0x20) })
      .then(async (answer) => ({ status: answer.status, text: await answer.text() }))
      .catch((error) => ({ failed: String(error.cause ?? error) }))
      .then((found) => console.log(JSON.stringify(found)));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', script, JSON.stringify({ url, ...request })],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: anchorFile } },
  );
  return JSON.parse(stdout);
}
