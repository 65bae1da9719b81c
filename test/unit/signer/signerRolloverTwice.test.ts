/** The beginning of a CA rollover by two processes at once, and what --sign makes of a directory that two of before left. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSignerKeys } from '../../../src/controller/signer/keys.ts';
import { beginRollover, NEXT_CA, OFFERED_FILE, signByNext } from '../../../src/controller/signer/rollover.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import type { FirstFiles } from '../../../src/system/ports.ts';
import { refusal } from '../pki/domain.ts';

const files = createFiles();
const clock = createClock();
let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-twice-'));
  await openSignerKeys({ files, clock, directory });
});
afterEach(() => rm(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const begin = (by: FirstFiles = files) => beginRollover({ files: by, clock, directory });
const sign = () => signByNext({ files, directory });

type Turn = PromiseWithResolvers<void>;
/** Who has looked for the next CA's certificate with these waits there until the other has its turn. */
const heldAfterLook = (looked: Turn, other: Turn): typeof files => ({
  ...files,
  async readText(path, maxBytes) {
    const text = await files.readText(path, maxBytes);
    if (path === at(`${NEXT_CA}.pem`)) {
      looked.resolve();
      await other.promise;
    }
    return text;
  },
});

it('two at once end with one CA, the same for both, by which the signer starts', async () => {
  const otherLooked = Promise.withResolvers<void>();
  const oneMadeKey = Promise.withResolvers<void>();
  const otherEnded = Promise.withResolvers<void>();
  // Neither finds a key; then one makes its own, which the other finds in the way and offers, and the one offers it again.
  const one = begin({
    ...files,
    async writeFirst(path, content, mode) {
      await otherLooked.promise;
      const isFirst = await files.writeFirst(path, content, mode);
      oneMadeKey.resolve();
      return isFirst;
    },
    async writeDurable(path, content, mode) {
      await otherEnded.promise;
      await files.writeDurable(path, content, mode);
    },
  });
  const other = begin(heldAfterLook(otherLooked, oneMadeKey));
  const made = await other;
  otherEnded.resolve();
  expect((await one).map(({ pem }) => pem)[0]).toBe(made[0]?.pem);
  expect((await sign()).pem).toBe(made[0]?.pem);
  const { domainCa } = await openSignerKeys({ files, clock, directory });
  expect(domainCa.certificate.pem).toBe(made[0]?.pem);
});

it('what one of two said of the next CA holds, whenever the other looked', async () => {
  const looked = Promise.withResolvers<void>();
  const said = Promise.withResolvers<void>();
  const late = begin(heldAfterLook(looked, said));
  await looked.promise;
  const [printed] = await begin();
  said.resolve();
  expect((await late)[0]?.pem).toBe(printed?.pem);
  expect((await begin())[0]?.pem).toBe(printed?.pem);
});

it('what is offered without its key is not let sign, and another beginning offers the one whose key is there', async () => {
  await begin();
  const offered = await readFile(at(OFFERED_FILE));
  await rm(at(OFFERED_FILE));
  await rm(at(`${NEXT_CA}.pem`));
  const [next] = await begin();
  await writeFile(at(OFFERED_FILE), offered);
  expect(await refusal(sign())).toBe('system/file');
  // The signer goes on by the present one.
  expect((await openSignerKeys({ files, clock, directory })).previous).toBeUndefined();
  expect((await begin())[0]?.pem).toBe(next?.pem);
  expect((await sign()).pem).toBe(next?.pem);
  const { domainCa, previous } = await openSignerKeys({ files, clock, directory });
  expect([domainCa.certificate.pem, previous === undefined]).toEqual([next?.pem, false]);
});

it('one that is to sign and whose key is lost is not made anew', async () => {
  await begin();
  await sign();
  await rm(at(`${NEXT_CA}.pem`));
  expect(await refusal(begin())).toBe('system/file');
  expect(await refusal(sign())).toBe('system/file');
});
