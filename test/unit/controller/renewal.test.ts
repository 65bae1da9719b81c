/** New certificates of the controller's servers: handed on when there are some, and again where that failed. */
import { expect, it } from 'vitest';
import { createRenewal } from '../../../src/controller/renewal.ts';
import type { ServiceCredentials } from '../../../src/controller/serviceCredentials.ts';
import { Secret } from '../../../src/model/secret.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';

const log = createLogger({ name: 'test', write: () => undefined });
const credential = (certificatePem: string) => ({ key: new Secret('k'), certificatePem, notAfterMs: 1 });
const credentials = (name: string): ServiceCredentials => ({
  server: credential(name),
  client: credential('client'),
});

/** As many looks as `made` has entries; each throws or answers. */
async function look(
  made: readonly (string | Error)[],
  hand: (server: string) => Promise<void>,
): Promise<void> {
  const ending = new AbortController();
  const left = [...made];
  const renewal = createRenewal({
    ensure: async () => {
      const next = left.shift() ?? '';
      if (next instanceof Error) throw next;
      return credentials(next);
    },
    first: credentials('first'),
    hand: ({ server }) => hand(server.certificatePem),
    clock: { sleep: async () => (left.length === 0 ? ending.abort() : undefined) },
    log,
  });
  await renewal.untilEnd(ending.signal);
}

it('reach the servers once, and a look that fails is not the last', async () => {
  const handed: string[] = [];
  await look(['first', new Error('the signer is away'), 'second', 'second'], async (server) => {
    handed.push(server);
  });
  expect(handed).toEqual(['second']);
});

it('are handed on again where one of the servers did not take them', async () => {
  const handed: string[] = [];
  await look(['second', 'second', 'second'], async (server) => {
    handed.push(server);
    if (handed.length === 1) throw new Error('the broker did not take it');
  });
  expect(handed).toEqual(['second', 'second']);
});
