/** Signing keys that are of no use are refused before a build, each with the file that it is in. By openssl's own. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureKeys, readKeys } from '../../../image/keys.ts';
import type { Toolbox } from '../../../image/toolbox.ts';
import { asBranchboxError } from '../../../src/model/errors.ts';

const openssl = (cwd: string, ...lines: readonly string[]): void => {
  for (const line of lines) execFileSync('openssl', line.split(' '), { cwd, stdio: 'ignore' });
};
const P256 = 'ec -pkeyopt ec_paramgen_curve:P-256';

describe('signing keys', () => {
  let good: string;
  let place: string;
  beforeAll(() => {
    good = mkdtempSync(join(tmpdir(), 'bbt-keys-'));
    const self = (kind: string, name: string): string =>
      `req -x509 -newkey ${kind} -noenc -subj /CN=${name} -keyout ${name}.key -out ${name}.crt`;
    openssl(good, self('rsa:2048', 'db'), self(P256, 'release'));
    copyFileSync(join(good, 'release.crt'), join(good, 'release-anchors.pem'));
    place = join(good, 'changed');
  });
  afterAll(() => rmSync(good, { recursive: true }));

  const changed = (...lines: readonly string[]): string => {
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place);
    for (const name of readdirSync(good).filter((each) => each !== 'changed'))
      copyFileSync(join(good, name), join(place, name));
    openssl(place, ...lines);
    return place;
  };
  const problems = (): readonly string[] => {
    try {
      readKeys(place);
      return [];
    } catch (thrown) {
      const error = asBranchboxError(thrown);
      expect(error.code).toBe('system/file');
      return error.problems.map(({ path, message }) => `${path} ${message}`);
    }
  };
  const uri = (text: string): string => {
    writeFileSync(join(changed(), 'release.uri'), text);
    rmSync(join(place, 'release.key'));
    return asBranchboxError(attempt(() => readKeys(place))).message;
  };
  const attempt = (read: () => unknown): unknown => {
    try {
      read();
      return undefined;
    } catch (thrown) {
      return thrown;
    }
  };

  it('of the kinds that are verified are taken, as files and as a URI', () => {
    changed();
    expect(problems()).toEqual([]);
    writeFileSync(join(place, 'release.uri'), 'pkcs11:token=t;object=release?pin-source=file:/k/pin\n');
    rmSync(join(place, 'release.key'));
    expect(readKeys(place)?.release.key).toMatch(/^pkcs11:.*pin$/);
  });

  it.each<[string, string, readonly string[]]>([
    [
      'RSA',
      'release.crt is not of a key that is elliptic curve P-256',
      ['req -x509 -newkey rsa:2048 -noenc -subj /CN=r -keyout release.key -out release.crt'],
    ],
    [
      'P-384',
      'release.crt is not of a key that is elliptic curve P-256',
      [
        'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -noenc -subj /CN=r -keyout release.key -out release.crt',
      ],
    ],
    [
      'Ed25519',
      'release.crt is not of a key that is elliptic curve P-256',
      ['req -x509 -newkey ed25519 -noenc -subj /CN=r -keyout release.key -out release.crt'],
    ],
    [
      'RSA-1024 for the firmware',
      'db.crt is not of a key that is RSA of 2048 bits or more',
      ['req -x509 -newkey rsa:1024 -noenc -subj /CN=d -keyout db.key -out db.crt'],
    ],
    [
      'elliptic for the firmware',
      'db.crt is not of a key that is RSA of 2048 bits or more',
      [`req -x509 -newkey ${P256} -noenc -subj /CN=d -keyout db.key -out db.crt`],
    ],
    [
      'another certificate\u2019s',
      'release.key is not the key of its certificate',
      ['ecparam -genkey -noout -name prime256v1 -out release.key'],
    ],
    [
      'of another kind than the certificate\u2019s',
      'db.key is not the key of its certificate',
      ['ecparam -genkey -noout -name prime256v1 -out db.key'],
    ],
    [
      'under a passphrase',
      'release.key is under a passphrase',
      ['ec -in release.key -aes256 -passout pass:abcd -out release.key'],
    ],
    [
      'under a passphrase, in PKCS#8',
      'db.key is under a passphrase',
      ['genpkey -algorithm RSA -aes256 -pass pass:abcd -out db.key'],
    ],
  ])('that are %s are refused at their file', (_what, said, lines) => {
    changed(...lines);
    expect(problems()).toEqual([expect.stringContaining(said)]);
  });

  it.each(['db.crt', 'db.key', 'release.crt', 'release.key', 'release-anchors.pem'])(
    'that are an empty %s are refused',
    (name) => {
      writeFileSync(join(changed(), name), '');
      expect(problems()).toEqual([expect.stringMatching(new RegExp(`^${name} holds no `))]);
    },
  );

  it('give no PIN to the words of a command, wherever in a URI it stands', () => {
    for (const text of [
      'pkcs11:token=t;object=release?pin-value=7359',
      'pkcs11:token=t?module-name=p&pin-value=7359',
      'pkcs11:token=t;pin-value=7359',
      'pkcs11:pin-value=7359;token=t',
    ]) {
      expect(uri(text), text).toMatch(/holds a PIN/);
      expect(uri(text), text).not.toContain('7359');
    }
  });

  it('are named by one URI alone', () => {
    expect(uri('pkcs11:token=t;object=release\n# the token in the safe\n')).toMatch(/more than one URI/);
    expect(readFileSync(join(place, 'release.uri'), 'utf8')).toContain('safe');
  });
});

describe('test keys', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-keys-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** On the host, which has the same openssl; `words` may be cut short, as by somebody who stops the build. */
  const toolbox = (isStopped: boolean): Toolbox => ({
    tree: '/',
    run: async (_visible, words) => {
      if (isStopped) {
        const [kept] = words.filter((word) => word.endsWith('.key'));
        writeFileSync(kept ?? '', 'half a key');
        throw new Error('stopped');
      }
      return execFileSync('openssl', words.slice(1), { stdio: 'pipe' }).toString();
    },
  });
  const make = (isStopped: boolean) => ensureKeys(directory, { toolbox: toolbox(isStopped), say: () => {} });

  it('are made by the next build where one was stopped while it made them', async () => {
    await expect(make(true)).rejects.toThrow('stopped');
    expect(readdirSync(directory)).toEqual([]);
    // By a signal, it cleans nothing up.
    mkdirSync(join(directory, 'test-keys.part'));
    writeFileSync(join(directory, 'test-keys.part/db.key'), 'half a key');
    writeFileSync(join(directory, 'test-keys.part/release.key'), 'of nobody');
    const made = await make(false);
    expect(readdirSync(directory).toSorted()).toEqual([
      'db.crt',
      'db.key',
      'release-anchors.pem',
      'release.crt',
      'release.key',
    ]);
    expect(await make(true)).toEqual(made);
  });
});
