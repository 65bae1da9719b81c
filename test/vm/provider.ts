/**
 * Owns a provider of PPPoE on a VLAN inside the machine (provider.sh), for tests: Debian's own server, put there with the
 * script that runs it. Does not own the box's end of the line.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ensureToolsTree } from '../../src/lab/rootTree.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { tryIn } from '../lab/mainjob/lab.ts';
import { BOX } from './update/box.ts';

/** All that an options file has a meaning for. */
export const LINE_USER = `line"7 #x@isp`;
export const LINE_PASSWORD = `s3cret \\ "word'`;
export const LINE_VLAN = 7;

/** As getword of pppd reads it back: a word in double quotes. */
const word = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
const SECRETS = `${word(LINE_USER)} * ${word(LINE_PASSWORD)} *\n`;

/** Runs a script in the box with `input` on its standard input. */
export async function putInBox(script: string, input: string): Promise<void> {
  const ended = await tryIn(BOX, ['sh', '-c', script], input);
  if (ended.exitCode !== 0) throw new Error(`${script}: ${ended.stderr}${ended.stdout}`);
}

/** Gone with the next start of the box, as all of /run. */
export async function placeProvider(): Promise<void> {
  const tree = await ensureToolsTree(createRunner(), (line) => process.stderr.write(`${line}\n`));
  const server = gzipSync(readFileSync(join(tree, 'usr/sbin/pppoe-server'))).toString('base64');
  await putInBox(
    'mkdir -p /run/line && base64 -d | gunzip >/run/line/pppoe-server && chmod 755 /run/line/pppoe-server',
    server,
  );
  await putInBox('cat >/run/provider.sh', readFileSync(new URL('provider.sh', import.meta.url), 'utf8'));
}

export const provider = (
  verb: 'up' | 'between' | 'pap' | 'away',
  ...words: readonly string[]
): Promise<void> => putInBox(`sh /run/provider.sh ${[verb, ...words].join(' ')}`, SECRETS);
