/** The end of a CA rollover at the signer, over its real socket: the CA before dropped, at once and for good, whenever it is killed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { anchorsAfter } from '../../../src/bootstrap/rollover.ts';
import { openSignerKeys } from '../../../src/controller/signer/keys.ts';
import { beginRollover, signByNext } from '../../../src/controller/signer/rollover.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import type { Files } from '../../../src/system/ports.ts';
import { refusal } from '../pki/domain.ts';
import { csr, useSigner } from './signerWorld.ts';

const signer = useSigner();
const files = createFiles();
const clock = createClock();
const roll = async (directory: string): Promise<void> => {
  await beginRollover({ files, clock, directory });
  await signByNext({ files, directory });
};

it('drops the CA before at once: no anchor, no link to it, no list of it, no key', async () => {
  const old = (await signer.client().anchors()).domain;
  expect(await refusal(signer.client().drop(old.fingerprintSha256))).toBe('controller/conflict');
  await roll(signer.state);
  await signer.stop();
  await signer.start();
  const { domain: next } = await signer.client().anchors();
  await signer.client().revocationList([]);
  expect(await files.list(signer.state)).toContain('domain-previous.crl');
  for (const other of [next.fingerprintSha256, 'ab'.repeat(32)]) {
    expect(await refusal(signer.client().drop(other))).toBe('controller/conflict');
  }
  for (const turn of ['at once', 'again', 'after a restart']) {
    if (turn === 'after a restart') {
      await signer.stop();
      await signer.start();
    }
    await signer.client().drop(old.fingerprintSha256);
    const { domain, previous, offered, dropped } = await signer.client().anchors();
    expect([domain.pem, previous, dropped?.pem], turn).toEqual([next.pem, [], old.pem]);
    expect((await signer.client().revocationList([])).others, turn).toEqual([]);
    // Who knows the dropped one alone learns the next; nobody learns the dropped one any more.
    const learned = async (anchor: typeof next) =>
      (await anchorsAfter({ anchors: [anchor], offered: [domain, ...offered], atMs: Date.now() })).length;
    expect([await learned(old), await learned(next)], turn).toEqual([2, 1]);
    const { certificate, chain } = await signer.client().ldevid({ csr, gatewayId: 'branch1' });
    const shown = { leaf: certificate, intermediates: chain.slice(0, -1), atMs: Date.now() };
    for (const anchor of [next, old]) await validateChain({ ...shown, anchors: [anchor] });
  }
  expect((await files.list(signer.state)).filter((name) => /next|signing$|previous/.test(name))).toEqual([]);
  const kept = await Promise.all(
    (await files.list(signer.state)).map((name) => files.readText(join(signer.state, name))),
  );
  expect(kept.filter((text) => text?.includes(old.pem.trim()) === true)).toHaveLength(1);
});

it('lets the next rollover begin', async () => {
  const { domain: second } = await signer.client().anchors();
  await roll(signer.state);
  await signer.stop();
  await signer.start();
  const { domain: third, previous } = await signer.client().anchors();
  expect([third.pem === second.pem, previous.map(({ pem }) => pem)]).toEqual([false, [second.pem]]);
  await signer.client().drop(second.fingerprintSha256);
  expect((await signer.client().anchors()).domain.pem).toBe(third.pem);
});

describe('killed', () => {
  let directory = '';
  afterEach(() => rm(directory, { recursive: true }));

  it('at any change of a file, it has either both CAs or the next alone, and ends it when asked again', async () => {
    let survived = false;
    for (let dieAt = 0; !survived; dieAt += 1) {
      if (directory !== '') await rm(directory, { recursive: true });
      directory = await mkdtemp(join(tmpdir(), 'bbt-signer-'));
      const open = (by: Files = files) => openSignerKeys({ files: by, clock, directory });
      const old = (await open()).domainCa.certificate.fingerprintSha256;
      await roll(directory);
      const keys = await open();
      const next = keys.domainCa.certificate.fingerprintSha256;
      let changes = 0;
      const change =
        <W extends readonly unknown[]>(real: (...words: W) => Promise<void>) =>
        async (...words: W): Promise<void> => {
          if (changes >= dieAt) throw new Error('killed');
          changes += 1;
          await real(...words);
        };
      const dying = await open({
        ...files,
        writeDurable: async (path, ...rest) =>
          path.endsWith('domain-ca.crt') ? undefined : change(files.writeDurable)(path, ...rest),
        remove: change(files.remove),
      });
      survived = await dying.drop(old).then(
        () => true,
        () => false,
      );
      const again = await open();
      expect(again.domainCa.certificate.fingerprintSha256, `death ${dieAt}`).toBe(next);
      expect([old, undefined]).toContain(again.previous?.certificate.fingerprintSha256);
      await again.drop(old);
      expect(again.previous).toBeUndefined();
      expect((await open()).domainCa.certificate.fingerprintSha256, `death ${dieAt}`).toBe(next);
      expect(dieAt).toBeLessThan(20);
    }
  });
});
