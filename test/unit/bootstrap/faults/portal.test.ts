/** Rows of the fault table: somebody on the line who wants a browser first, and what of its own word is told. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach } from 'vitest';
import { judgeAnswer } from '../../../../src/bootstrap/captivePortal.ts';
import { askPortalApi } from '../../../../src/bootstrap/portalApi.ts';
import { renderProblem } from '../../../../src/bootstrap/renderStatus.ts';
import { moreTelling } from '../../../../src/bootstrap/telling.ts';
import { BranchboxError } from '../../../../src/model/errors.ts';
import { issueCertificate, selfSignedCa } from '../../../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../../../src/pki/keys.ts';
import { serverNamed } from '../../pki/domain.ts';
import { DAY_MS, HOST } from '../authorities.ts';
import { type FaultRow, faultTable, type Seen } from './table.ts';

const NAME = 'portal.hotel.example';
const uplink = { ifname: 'wan1', address: '127.0.0.1', dns: [], bootstrapServers: [] };
/** The TLS library knows the system's clock alone. */
const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };
const authorityKey = generateKeyPair().privateKey;
const authority = selfSignedCa({ commonName: 'Web authority', key: authorityKey, validity });

let server: Server;
let reply: { status: number; type: string; body: string; location?: string };
let asked = 0;
beforeEach(async () => {
  const { privateKey, publicKey } = generateKeyPair();
  const leaf = issueCertificate({
    profile: serverNamed(NAME),
    publicKey,
    issuer: { key: authorityKey, certificate: authority },
    validity,
  });
  asked = 0;
  server = createServer({ key: exportPrivateKey(privateKey).reveal(), cert: leaf.pem }, (_, response) => {
    asked += 1;
    const { status, type, location, body } = reply;
    response.writeHead(status, { 'content-type': type, ...(location !== undefined && { location }) });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => server.close());

/** What made the box look for a portal. */
const SILENCE = new BranchboxError('bootstrap/unreachable', {
  message: `${HOST}:8443 over wan1: no answer in time`,
});
const SILENT = renderProblem(SILENCE);
/** As the states choose of both what they tell: the silence stays told where no portal is why. */
const seenAs = (portal: BranchboxError | undefined, more = ''): Seen => ({
  outcome: `${portal?.code ?? 'no portal'}${more}`,
  told: renderProblem(portal === undefined ? SILENCE : moreTelling(SILENCE, portal)),
});
const SIGN_IN = '(sign in with a computer on that line, or have its provider let this box through)';

const says = (
  fault: string,
  must: string,
  outcome: string,
  told: string | undefined,
  said: unknown,
  bent: Partial<typeof reply & { name: string }> = {},
): FaultRow => ({
  fault,
  must,
  outcome,
  told:
    told === undefined
      ? SILENT
      : `bootstrap/captive-portal: A captive portal on wan1 says so itself${told} ${SIGN_IN}`,
  run: async () => {
    const { name = NAME, ...answer } = bent;
    reply = { status: 200, type: 'application/captive+json', body: JSON.stringify(said), ...answer };
    const { port } = server.address() as AddressInfo;
    const portalApi = `https://${name}:${port}/api`;
    const portal = await askPortalApi(
      { resolve: async () => ['127.0.0.1'] },
      { ...uplink, portalApi },
      new AbortController().signal,
      authority.pem,
    );
    return seenAs(portal, `, asked ${asked} times`);
  },
});
const answersPlainly = (
  fault: string,
  must: string,
  told: string,
  ...lines: readonly string[]
): FaultRow => ({
  fault,
  must,
  outcome: told === '' ? 'no portal' : 'bootstrap/captive-portal',
  told:
    told === ''
      ? SILENT
      : `bootstrap/captive-portal: A captive portal on wan1 answers for ${HOST}:8443 with ${told} ${SIGN_IN}`,
  run: async () => seenAs(judgeAnswer(lines.join('\r\n'), { host: HOST, port: 8443 }, uplink)),
});
const TELL = 'tell the installer, and where it sends browsers';
const IGNORE = 'take it for none: HTTPS runs dry for another reason';
const ONCE = 'no portal, asked 1 times';

faultTable('captive portal', [
  says(
    'its API says captive',
    TELL,
    'bootstrap/captive-portal, asked 1 times',
    `; it sends browsers to https://${NAME}/login`,
    {
      captive: true,
      'user-portal-url': `https://${NAME}/login`,
    },
  ),
  says(
    'its API sends browsers to a script',
    'tell that it is one, and not where',
    'bootstrap/captive-portal, asked 1 times',
    '',
    {
      captive: true,
      'user-portal-url': 'javascript:alert(1)',
    },
  ),
  says('its API says that it is none', IGNORE, ONCE, undefined, { captive: false }),
  says('its API says captive in a page', IGNORE, ONCE, undefined, { captive: true }, { type: 'text/html' }),
  says(
    'its API says captive by a redirect',
    'not follow it',
    ONCE,
    undefined,
    { captive: true },
    {
      status: 302,
      location: `https://${NAME}/login`,
    },
  ),
  says(
    'its API has a certificate for another name',
    'ask it nothing',
    'no portal, asked 0 times',
    undefined,
    { captive: true },
    { name: 'other.example' },
  ),
  answersPlainly(
    '511 (RFC 6585) in plain HTTP',
    TELL,
    '511, Network Authentication Required',
    'HTTP/1.1 511 x',
  ),
  answersPlainly(
    'a redirect in plain HTTP, with control characters',
    'show of it what can be printed',
    '302; it sends browsers to http://login.example/?[2J',
    'HTTP/1.1 302 Found',
    'Location: http://login.example/\u001b[2J',
  ),
  answersPlainly(
    'none: the server itself sends plain HTTP to its HTTPS',
    IGNORE,
    '',
    'HTTP/1.1 301 Moved',
    `Location: https://${HOST}/`,
  ),
]);
