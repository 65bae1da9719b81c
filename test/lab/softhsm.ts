/**
 * Owns a token of SoftHSM that holds the signing keys of a build: made in a directory of its own, named by the caller's
 * environment until it is closed. Does not own what is signed.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureKeys, type Keys } from '../../image/keys.ts';
import { createToolbox } from '../../image/toolbox.ts';
import type { Runner } from '../../src/system/ports.ts';

/** In the tools tree. */
const MODULE = '/usr/lib/softhsm/libsofthsm2.so';

export interface Token {
  readonly keys: Keys;
  close(): void;
}

/** Test keys, moved into a token: certificates stay in the directory, private keys leave it. */
export async function keysInToken(
  directory: string,
  pin: string,
  { runner, tools }: { readonly runner: Runner; readonly tools: string },
): Promise<Token> {
  const before = { PKCS11_MODULE: process.env['PKCS11_MODULE'], SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] };
  const config = join(directory, 'softhsm2.conf');
  mkdirSync(join(directory, 'tokens'));
  writeFileSync(config, `directories.tokendir = ${directory}/tokens\n`);
  process.env['SOFTHSM2_CONF'] = config;
  process.env['PKCS11_MODULE'] = MODULE;

  const inFiles = createToolbox(runner, tools);
  await ensureKeys(directory, { toolbox: inFiles, say: () => {} });
  const hsm = (...words: string[]) => inFiles.run([directory], ['softhsm2-util', ...words]);
  await hsm('--init-token', '--free', '--label', 'test', '--so-pin', pin, '--pin', pin);
  writeFileSync(join(directory, 'pin'), pin);
  for (const [index, name] of ['db', 'release'].entries()) {
    const file = join(directory, `${name}.key`);
    const id = ['--label', name, '--id', `0${index + 1}`];
    await hsm('--import', file, '--token', 'test', ...id, '--pin', pin);
    const uri = `pkcs11:token=test;object=${name};type=private?pin-source=file:${directory}/pin`;
    rmSync(file);
    writeFileSync(join(directory, `${name}.uri`), `${uri}\n`);
  }
  return {
    keys: await ensureKeys(directory, { toolbox: inFiles, say: () => {} }),
    close() {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}
