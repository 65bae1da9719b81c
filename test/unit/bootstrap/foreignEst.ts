/**
 * Owns an EST server of somebody else: certificates, requests and PKCS#7 are openssl's, HTTP is written by hand, and
 * nothing of the product's own controller is in it. Its CA is RSA, below the domain's root. What it says on the wire is
 * a test's.
 */
import { constants } from 'node:crypto';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { once } from 'node:events';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { openssl } from '../pki/domain.ts';
import { type Authorities, DAY_MS, HOST, NOW_MS } from './authorities.ts';

/** What a variant of the wire answers: a whole HTTP response, to the byte. */
export type Wire = (asked: Asked) => string | Buffer;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** How often this path was asked for before. */
  readonly times: number;
  /** What the request holds, and what is base64 of this session's first handshake (RFC 7030 3.5). */
  readonly challengePassword: string;
  readonly session: string;
  /** The request in openssl's words. */
  readonly request: string;
  /** Base64 on one line: of the CA's certificates, or of what was issued for the request. */
  readonly base64: string;
}

export interface ForeignEst {
  readonly port: number;
  readonly asked: string[];
  /** Subject of the client's certificate, each time that somebody enrolled. */
  readonly enrolled: string[];
  /** The names of each renewal: those of the certificate that was shown, and those of the request. */
  readonly renewed: { readonly held: string; readonly asked: string }[];
  close(): Promise<void>;
}

const OPENSSL_CA = `
[ca]
default_ca = d
[d]
new_certs_dir = .
database = index
rand_serial = yes
default_md = sha384
policy = any
unique_subject = no
[any]
commonName = supplied
serialNumber = optional
[sub]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
subjectAltName = DNS:${HOST}
[box]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = DNS:box.branchbox.example, IP:192.0.2.7
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid, issuer
`;
const day = (days: number): string =>
  new Date(NOW_MS + days * DAY_MS).toISOString().replaceAll(/[-:T]|\.\d+/g, '');

export interface ForeignOptions {
  readonly authorities: Authorities;
  readonly wire: Wire;
  /** Which of root, sub CA and leaf go into which answer; of a next root, RFC 4210 4.4 has the names. */
  readonly cacerts?: readonly ('root' | 'sub' | 'NewWithNew' | 'NewWithOld' | 'OldWithNew')[];
  readonly issued?: readonly ('box' | 'sub' | 'root')[];
  readonly tls?: TlsOptions;
  /** Asks for the client's certificate in a second handshake, once it knows the path, as web servers do. */
  readonly renegotiates?: boolean;
  /** openssl's own server stands there, in this version of TLS, and takes certificates of its own CA alone. */
  readonly takesNobody?: '-tls1_2' | '-tls1_3';
}

export async function startForeignEst(options: ForeignOptions): Promise<ForeignEst> {
  const tool = openssl();
  const { domain, manufacturer } = options.authorities;
  tool.write('root.pem', domain.certificate.pem);
  tool.write('root.key', exportPrivateKey(domain.key).reveal());
  tool.write('c', OPENSSL_CA);
  tool.write('index', '');
  const sign = (
    csr: string,
    out: string,
    by: string,
    extensions: string,
    ...more: readonly string[]
  ): void => {
    const dates = ['-startdate', day(-1), '-enddate', day(90)];
    const issuer = more.includes('-selfsign') ? [] : ['-cert', `${by}.pem`];
    const who = [...issuer, '-keyfile', `${by}.key`];
    tool.run(
      'ca',
      '-batch',
      '-notext',
      '-config',
      'c',
      '-in',
      csr,
      '-out',
      out,
      ...who,
      ...dates,
      '-extensions',
      extensions,
      ...more,
    );
  };
  const make = (name: string, subject: string, by: string, extensions: string): void => {
    tool.run(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-subj',
      subject,
      '-out',
      `${name}.csr`,
    );
    sign(`${name}.csr`, `${name}.pem`, by, extensions);
  };
  make('sub', '/CN=Somebody else CA', 'root', 'sub');
  make('server', `/CN=${HOST}`, 'sub', 'server');
  if (options.cacerts?.includes('NewWithNew') === true) {
    const key = ['-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'NewWithNew.key'];
    tool.run('req', ...key, '-subj', '/CN=Next root', '-out', 'next.csr');
    sign('next.csr', 'NewWithNew.pem', 'NewWithNew', 'root', '-selfsign');
    sign('next.csr', 'NewWithOld.pem', 'root', 'root');
    tool.run('x509', '-x509toreq', '-in', 'root.pem', '-signkey', 'root.key', '-out', 'root.csr');
    sign('root.csr', 'OldWithNew.pem', 'NewWithNew', 'root');
  }
  const certsOnly = (names: readonly string[]): string => {
    const files = names.flatMap((name) => ['-certfile', `${name}.pem`]);
    tool.run('crl2pkcs7', '-nocrl', ...files, '-outform', 'DER', '-out', 'p7');
    return tool.read('p7').toString('base64');
  };
  if (options.takesNobody !== undefined) {
    const shown = ['-cert', 'server.pem', '-key', 'server.key', '-cert_chain', 'sub.pem'];
    const judged = ['-CAfile', 'sub.pem', '-Verify', '1', '-verify_return_error', options.takesNobody];
    const { port, end } = await tool.serve('s_server', '-accept', '127.0.0.1:0', ...shown, ...judged);
    return {
      port,
      asked: [],
      enrolled: [],
      renewed: [],
      async close() {
        await end();
        tool[Symbol.dispose]();
      },
    };
  }
  const cacerts = certsOnly(options.cacerts ?? ['root', 'sub']);
  const asked: string[] = [];
  const enrolled: string[] = [];
  const renewed: ForeignEst['renewed'] = [];
  /** Subject, with the type of each string, and alternative names. */
  const namesIn = (kind: 'req' | 'x509', file: string): string => {
    const words = ['-nameopt', 'RFC2253,show_type', '-noout', '-text'];
    const text = tool.run(kind, '-in', file, ...words);
    const subject = /Subject: *(.*)/.exec(text)?.[1] ?? '';
    return `${subject} ${/Alternative Name:.*\n *(.*)/.exec(text)?.[1] ?? 'without others'}`;
  };

  const answer = (socket: TLSSocket, session: string, head: string, body: string): Buffer | string => {
    const [line = '', ...lines] = head.split('\r\n');
    const [method = '', path = ''] = line.split(' ');
    const headers = new Map(
      lines.map((text) => {
        const [name = '', ...value] = text.split(':');
        return [name.toLowerCase(), value.join(':').trim()];
      }),
    );
    const times = asked.filter((one) => one === `${method} ${path}`).length;
    asked.push(`${method} ${path}`);
    let base64 = cacerts;
    let challengePassword = '';
    let request = '';
    if (method === 'POST') {
      const { CN } = socket.getPeerCertificate().subject ?? {};
      enrolled.push(`${String(CN ?? 'nobody')} as ${headers.get('content-type') ?? ''}`);
      tool.write('csr.der', Buffer.from(body, 'base64'));
      // Proof of possession, by openssl.
      tool.run('req', '-inform', 'DER', '-in', 'csr.der', '-verify', '-out', 'box.csr');
      if (path.endsWith('/simplereenroll')) {
        renewed.push({ held: namesIn('x509', 'box.pem'), asked: namesIn('req', 'box.csr') });
      }
      request = tool.run('req', '-in', 'box.csr', '-noout', '-text');
      challengePassword = /challengePassword *:(\S*)/.exec(request)?.[1] ?? '';
      sign('box.csr', 'box.pem', 'sub', 'box');
      base64 = certsOnly(options.issued ?? ['box']);
    }
    const said = { challengePassword, session, request, base64 };
    return options.wire({ method, path, headers, body, times, ...said });
  };
  const server = createServer(
    {
      key: tool.read('server.key'),
      cert: Buffer.concat([tool.read('server.pem'), tool.read('sub.pem')]),
      ca: [manufacturer.certificate.pem, domain.certificate.pem],
      requestCert: options.renegotiates !== true,
      rejectUnauthorized: options.renegotiates !== true,
      // A short second handshake would be about the first one's peer, who showed nothing.
      secureOptions: constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION,
      ...options.tls,
    },
    (socket) => {
      let text = '';
      const binding =
        socket.getProtocol() === 'TLSv1.3'
          ? socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
          : socket.getPeerFinished();
      const session = binding?.toString('base64') ?? '';
      socket.setEncoding('latin1');
      socket.on('error', () => undefined);
      socket.on('data', (chunk: string) => {
        text += chunk;
        const [head, body] = text.split(/\r\n\r\n(.*)/s);
        const length = Number(/^content-length: *(\d+)/im.exec(head ?? '')?.[1] ?? 0);
        if (body === undefined || body.length < length) return;
        text = '';
        const reply = (): void => void socket.end(answer(socket, session, head ?? '', body));
        if (options.renegotiates !== true || body === '') return reply();
        // Node says so of its own half of each handshake, too.
        socket.on('secure', () => socket.getPeerX509Certificate() && reply());
        socket.renegotiate({ requestCert: true, rejectUnauthorized: true }, () => undefined);
      });
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    asked,
    enrolled,
    renewed,
    async close() {
      server.close();
      await once(server, 'close');
      tool[Symbol.dispose]();
    },
  };
}
