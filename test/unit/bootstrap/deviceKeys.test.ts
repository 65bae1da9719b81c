/** What holds the keys of a box: in the TPM where that works, in software where not, and never without a word. */
import { verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createDeviceKeys, type TpmKeys } from '../../../src/bootstrap/deviceKeys.ts';
import { createTpmKeys } from '../../../src/bootstrap/tpmKeys.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { readTpmReadiness, renderKeyHolding } from '../../../src/model/keyHolder.ts';
import { Secret } from '../../../src/model/secret.ts';
import { createRequestBy, parseRequest } from '../../../src/pki/request.ts';
import type { CommandResult, Runner } from '../../../src/system/ports.ts';
import { createSecondLook } from '../../../src/system/secondLook.ts';
import { createTpmUse } from '../../../src/system/tpmUse.ts';
import { createFakeTpm } from './fakeTpm.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const keysOf = (told: string | undefined, tpm: TpmKeys | undefined) =>
  createDeviceKeys({ readiness: readTpmReadiness(told), tpm, log: silent });
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'fine',
    (thrown: unknown) => (thrown instanceof BranchboxError ? thrown.code : String(thrown)),
  );

describe('what tpm-ready said', () => {
  it.each([
    ['ready 1.3.0', 'tpm', false, 'provider tpm2 1.3.0 serves'],
    ['no-chip', 'software', false, 'has no TPM, or it is switched off'],
    ['no-driver', 'software', true, 'its driver is missing'],
    ['no-openssl', 'software', true, 'the program openssl is missing'],
    ['no-provider', 'software', true, "Debian's package tpm2-openssl, 1.3 or later"],
    ['old-provider 1.1.1', 'software', true, 'is 1.1.1: 1.3 or later'],
    ['failed tcti:IO failure', 'software', true, 'cannot be used: tcti:IO failure'],
    ['failed', 'software', true, 'no reason was given'],
    [undefined, 'software', false, 'Nobody looked'],
    ['\u001b[2Jnonsense', 'software', false, 'Nobody looked'],
  ] as const)('%j: new keys in %s', (told, next, unusedTpm, words) => {
    const { holding: found, mayPass } = readTpmReadiness(told);
    expect(mayPass).toBe(told?.startsWith('failed') === true);
    expect(found).toMatchObject({ next, unusedTpm, why: expect.stringContaining(words) });
    expect(renderKeyHolding({ ...found, idevid: 'software', ldevid: 'tpm' }).join()).toMatch(
      /^keys: factory key in a file, own key in the TPM, new keys in (a file|the TPM)\. /,
    );
  });
});

describe('a key', () => {
  it.each(['software', 'tpm'] as const)(
    'in %s signs a request, and is read back from its PEM',
    async (holder) => {
      const keys = keysOf(
        holder === 'tpm' ? 'ready 1.3.0' : 'no-chip',
        holder === 'tpm' ? createFakeTpm() : undefined,
      );
      const key = await keys.make();
      expect(key.holder).toBe(holder);
      const request = parseRequest(await createRequestBy(key, { serialNumber: 'SN-1' }));
      const again = keys.open(key.pem);
      await keys.prove(again);
      expect(again.holder).toBe(holder);
      const bytes = Buffer.from('something');
      expect(verify('sha256', bytes, request.publicKey, await again.sign(bytes))).toBe(true);
    },
  );

  it('is made in software where the TPM makes none, and that is said', async () => {
    const tpm = createFakeTpm();
    tpm.broken = true;
    const keys = keysOf('ready 1.3.0', tpm);
    expect((await keys.make()).holder).toBe('software');
    expect(keys.readiness()).toEqual({
      next: 'software',
      unusedTpm: true,
      why: 'The TPM made no key: the fake TPM does not answer',
    });
  });

  it('of another TPM is lost; of one that is busy, not; of one that is gone, lost with the reason', async () => {
    const [tpm, other] = [createFakeTpm(), createFakeTpm()];
    const key = await keysOf('ready 1.3.0', tpm).make();
    expect(await codeOf(keysOf('ready 1.3.0', other).prove(key))).toBe('bootstrap/key-lost');
    const keys = keysOf('ready 1.3.0', tpm);
    await keys.prove(key);
    tpm.broken = true;
    // Asked once of each key, until there is doubt.
    await keys.prove(key);
    keys.doubt();
    expect(await codeOf(keys.prove(key))).toBe('system/key-unusable');
    const gone = keysOf('no-chip', undefined);
    expect(await codeOf(gone.prove(gone.open(key.pem)))).toBe('bootstrap/key-lost');
    await expect(gone.open(key.pem).sign(Buffer.from('x'))).rejects.toThrow(
      'switched off in the firmware setup',
    );
  });
});

describe('a process that was started while its TPM did not answer', () => {
  it('takes no key for lost, and ends itself to look again, but not at once', async () => {
    const key = await keysOf('ready 1.3.0', createFakeTpm()).make();
    let nowMs = 1_000;
    let ended = 0;
    const { mayPass, ...rest } = readTpmReadiness('failed tcti:IO failure');
    const look = createSecondLook({
      clock: { monotonicMs: () => nowMs },
      mayPass,
      end: () => void (ended += 1),
    });
    const keys = createDeviceKeys({
      readiness: { mayPass, ...rest },
      tpm: undefined,
      onMissed: () => look.needed(),
      log: silent,
    });
    expect(await codeOf(keys.prove(keys.open(key.pem)))).toBe('system/key-unusable');
    expect(ended).toBe(0);
    nowMs += 300_000;
    expect(await codeOf(keys.open(key.pem).sign(Buffer.from('x')))).toBe('system/key-unusable');
    expect(ended).toBe(1);
  });

  it('stays where there is no TPM to wait for', () => {
    let nowMs = 0;
    const clock = { monotonicMs: () => nowMs };
    const end = (): void => expect.unreachable();
    const look = createSecondLook({ clock, mayPass: readTpmReadiness('no-chip').mayPass, end });
    nowMs = 1e9;
    look.needed();
  });
});

describe('keys in a TPM by openssl', () => {
  const answering = (result: Partial<CommandResult>): { runner: Runner; asked: string[] } => {
    const asked: string[] = [];
    const run: Runner['run'] = async (command, args) => {
      asked.push([command, ...args].join(' '));
      return { exitCode: 0, stdout: '', stderr: '', ...result };
    };
    return { asked, runner: { run, runChecked: async () => '', follow: async () => run('', []) } };
  };
  const use = createTpmUse(() => {});
  const pem = new Secret('-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n');

  it('says in its own words that none was made, with no key among them', async () => {
    const { runner, asked } = answering({ exitCode: 1, stderr: 'a\ntpm2_create is missing\n\n' });
    await expect(createTpmKeys({ runner, use }).make()).rejects.toThrow('tpm2_create is missing');
    expect(asked).toEqual(['tpm-make-key']);
  });

  it('tells a key of another TPM from a TPM that does not answer', async () => {
    const load =
      'ERROR:esys:src/tss2-esys/api/Esys_Load.c:112:Esys_Load() Esys Finish ErrorCode (0x000001df)';
    const lost = answering({ exitCode: 1, stderr: load });
    expect(await codeOf(createTpmKeys({ runner: lost.runner, use }).prove(pem))).toBe('bootstrap/key-lost');
    expect(lost.asked).toEqual(['openssl pkey -provider tpm2 -provider default -noout']);
    const busy = answering({ exitCode: 1, stderr: load.replace('1df', '922') });
    expect(await codeOf(createTpmKeys({ runner: busy.runner, use }).prove(pem))).toBe('system/key-unusable');
  });
});
