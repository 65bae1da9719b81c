/** What is said of the controller's peers, held against peers that answer, refuse, are away and say nothing. */
import { expect, it } from 'vitest';
import { createPeersAway } from '../../../src/controller/peersAway.ts';
import { BranchboxError } from '../../../src/model/errors.ts';

const never = () => new Promise<never>(() => {});

it('names each peer that is away or silent, and asks once however many want to know', async () => {
  let nowMs = 0;
  let asked = 0;
  let signerIsAway = true;
  const away = createPeersAway({
    // Whoever has not answered once all that was due has run is silent.
    clock: { monotonicMs: () => nowMs, sleep: () => new Promise((resolve) => setImmediate(resolve)) },
    peers: {
      'the signer': async () => {
        asked += 1;
        if (signerIsAway) throw new BranchboxError('controller/unreachable', { message: 'no' });
      },
      'the manufacturer': async () => {
        throw new BranchboxError('controller/not-found', { message: 'there is no such endpoint here' });
      },
      'a silent one': never,
    },
  });
  const all = await Promise.all([away(), away(), away()]);
  expect(all).toEqual(Array.from({ length: 3 }, () => ['the signer is away', 'a silent one is away']));
  expect(asked).toBe(1);
  signerIsAway = false;
  expect(await away()).toContain('the signer is away');
  nowMs += 2_000;
  expect(await away()).toEqual(['a silent one is away']);
});
