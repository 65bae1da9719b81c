/** How `fleet drop-ca` takes the fingerprint of a domain CA, before it calls anybody. */
import { expect, it } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';

const ACCESS = ['--api', 'https://127.0.0.1:1', '--ca', '/no-such-file', '--credential', '/no-such-file'];
const drop = async (sha256: string): Promise<unknown> => {
  const program = await createProgram((name) => name === 'fleet');
  return program.parseAsync(['fleet', 'drop-ca', sha256, ...ACCESS], { from: 'user' });
};

it.each(['abc', '', 'f'.repeat(63), 'g'.repeat(64), `${'f'.repeat(64)}/..`])(
  '"%s" is none: said are what one is, and where to see it',
  async (word) => {
    await expect(drop(word)).rejects.toMatchObject({
      code: 'cli/usage',
      message: `"${word}" is no fingerprint of a domain CA: that is a SHA-256, 64 hexadecimal digits`,
      mend: expect.stringContaining('branchbox fleet domain-cas'),
    });
  },
);

it.each(['0a'.repeat(32), Array.from({ length: 32 }, () => '0A').join(':')])(
  '%s is one, as the command line or OpenSSL prints it',
  async (word) => {
    await expect(drop(word)).rejects.toMatchObject({ code: 'system/file' });
  },
);
