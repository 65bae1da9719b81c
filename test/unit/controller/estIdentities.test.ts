/** Which factory identities an EST server knows: below CAs that come along, in each request, and which it cannot use. */
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { expect, it } from 'vitest';
import { toPem } from '../../../src/pki/certificate.ts';
import type { Credential, Profile } from '../../../src/pki/issue.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { hasOpenssl, issue, oldRootAbove } from '../pki/domain.ts';
import { base64, createEstBench, csr, CSR_TYPE, ENROL, LASTING } from './estBench.ts';

const { ask, box, domain, manufacturer, port } = createEstBench();

it('a box whose serial number no part of the product could use is told so, before anything is kept of it', async () => {
  const as = issue(manufacturer, { kind: 'idevid', serialNumber: 'PID:X SN:1/2', commonName: 'box' });
  const answer = await ask({ as, headers: CSR_TYPE, body: () => base64(csr()) });
  expect([answer.status, answer.text]).toEqual([
    403,
    expect.stringContaining('the serial number "PID:X SN:1/2" of the factory identity cannot be used: '),
  ]);
});

const below = (by: Credential, profile: Profile): Credential => issue(by, profile, LASTING);
const upper = below(manufacturer, { kind: 'ca', commonName: 'Manufacturer, plant 2' });
const lower = below(upper, { kind: 'ca', commonName: 'Manufacturer, plant 2, line 1' });
const pemOf = (...chain: readonly Credential[]): string => toPem(chain.map(({ certificate }) => certificate));
// Where OpenSSL has nothing to say against a chain, some releases of Node lose it (exchange.ts).
it.each([
  ['one CA', upper, pemOf(upper)],
  ['two CAs', lower, pemOf(lower, upper)],
  ['two CAs and the root, in another order', lower, pemOf(upper, manufacturer, lower)],
  ['two CAs that stand behind another’s', lower, pemOf(domain, lower, upper)],
])('a factory identity is known below %s that came along', async (_, by, above) => {
  const as = below(by, { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const tls = { cert: as.certificate.pem + above, minVersion: version, maxVersion: version };
    const answer = await ask({ as, tls, headers: CSR_TYPE, body: () => base64(csr()) });
    expect([version, answer.status, answer.text.slice(0, 3)]).toEqual([version, 200, 'MII']);
  }
});

it('a factory identity is known in each request of its connection', async () => {
  const as = below(upper, { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    rejectUnauthorized: false,
    key: exportPrivateKey(as.key).reveal(),
    cert: as.certificate.pem + upper.certificate.pem,
  });
  const sockets = new Set<unknown>();
  for (let time = 0; time < 3; time += 1) {
    const asking = request({
      agent,
      host: '127.0.0.1',
      port: port(),
      method: 'POST',
      path: ENROL,
      headers: CSR_TYPE,
    });
    asking.end(base64(csr()));
    const [answer] = await once(asking, 'response');
    sockets.add(answer.socket);
    answer.resume();
    await once(answer, 'end');
    expect([time, answer.statusCode]).toEqual([time, 200]);
  }
  expect(sockets.size).toBe(1);
  agent.destroy();
});

it.runIf(hasOpenssl)(
  'a factory identity that comes with a root as nothing here can use one is known',
  async () => {
    const chain = { cert: box.certificate.pem + oldRootAbove(manufacturer) };
    const answer = await ask({ as: box, tls: chain, headers: CSR_TYPE, body: () => base64(csr()) });
    expect([answer.status, answer.text.slice(0, 3)]).toEqual([200, 'MII']);
  },
);
