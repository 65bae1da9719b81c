/** What the device API says of revoked servers to a box that does not say who it is, and that it says nothing else to it. */
import { afterEach, expect, it } from 'vitest';
import { createExchangeServers, head, LISTS } from './exchangeServers.ts';
import { speak } from './wire.ts';

const servers = createExchangeServers();
afterEach(() => servers.close());
const ask = async (line: string) => speak(await servers.device(), head(line));

it('hands the lists to whoever asks, and their head', async () => {
  const answer = await ask('GET /v1/revocation-lists');
  expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([
    200,
    'application/x-pem-file',
    LISTS,
  ]);
  const asked = await ask('HEAD /v1/revocation-lists');
  expect([asked.status, asked.text, asked.headers['content-length']]).toEqual([
    200,
    '',
    String(LISTS.length),
  ]);
});

it.each(['POST /v1/revocation-lists', 'GET /v1/revocation-lists/', 'GET /v1/ping', 'GET /v1/bundles/aa'])(
  '%s needs a certificate',
  async (line) => {
    const { status, headers } = await ask(line);
    expect([status, headers['www-authenticate']]).toEqual([401, 'ClientCertificate']);
  },
);
