/**
 * Owns reading from the box, and from its controller, what must survive a power cut, and writing the app's share of it
 * durably. Does not own what is expected of it (kept.ts).
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { inspectApp } from '../../lab/mainjob/engine.ts';
import { labInfo } from '../../lab/mainjob/fleet.ts';
import { inNode, tryIn } from '../../lab/mainjob/lab.ts';
import { BOX, reported } from '../update/box.ts';
import type { Committed, Kept } from './kept.ts';

const APP = 'red-app-vm';
/** Beside what other tests keep there. */
const FILES = 'power-';
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** In few processes: the box is emulated. `$1`: the volume's mount as the app itself has it. */
const READ = `set -eu
identity=/var/lib/branchbox/identity
base64() { printf '"%s"' "$(command base64 -w0 "$1")"; }
printf '{"bootstrap":'; branchbox bootstrap status --json
printf ',"status":'; branchbox status --json
printf ',"certificate":'; base64 $identity/ldevid.crt
printf ',"keySha256":"%s","files":{' "$(sha256sum <$identity/ldevid.key | cut -c1-64)"
comma=
for file in "$1"/${FILES}*; do
  [ -f "$file" ] || continue
  printf '%s"%s":' "$comma" "\${file##*/}"; base64 "$file"; comma=,
done
printf '}}'`;

const Base64 = z.string().transform((text) => Buffer.from(text, 'base64').toString());
const Answer = z.object({
  bootstrap: z.object({ serial: z.string(), gatewayId: z.string() }),
  status: z.object({ committed: z.object({ epoch: z.int(), generation: z.int() }) }),
  certificate: Base64,
  keySha256: z.string(),
  files: z.record(z.string(), Base64),
});

/** Of a box at work. */
export async function readKept(): Promise<Kept> {
  const { bootstrap, status, certificate, keySha256, files } = Answer.parse(
    JSON.parse(await inNode(BOX, 'sh', '-c', READ, 'sh', await volume())),
  );
  return {
    serial: bootstrap.serial,
    gatewayId: bootstrap.gatewayId,
    identity: { certificate, keySha256 },
    committed: { epoch: status.committed.epoch, generation: status.committed.generation },
    files,
  };
}

/** Into the app's volume, and on the medium when this returns: file and name. */
export async function keepFile(number: number, text: string): Promise<void> {
  const script = 'cat >"$1/$2" && sync "$1/$2" "$1"';
  const ended = await tryIn(BOX, ['sh', '-c', script, 'sh', await volume(), `${FILES}${number}`], text);
  if (ended.exitCode !== 0) throw new Error(`the volume of ${APP}: ${ended.stderr}`);
}

/** What the controller was told last: a box whose power is off cannot take it back. */
export async function lastAcknowledged(): Promise<Committed | undefined> {
  const { committed } = await reported();
  return committed;
}

/** Of the CA that may renew. */
export async function anchors(): Promise<readonly string[]> {
  const { anchors: files } = await labInfo();
  return readFileSync(files.domain, 'utf8').match(PEM) ?? [];
}

async function volume(): Promise<string> {
  const { State } = await inspectApp(BOX, APP);
  return `/proc/${State.Pid}/root/www/kept`;
}
