/** `branchbox fleet usb`: what a phone reads off the label, and where the files of a medium may go. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import readLabel from 'qr/decode.js';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import type { MadeMedium } from '../../../src/model/medium.ts';
import { WIRE } from '../controller/apiWorld.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-usb-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

/** The command against a controller that answers `path` with one file. */
async function usb(path: string): Promise<void> {
  const made: MadeMedium = {
    serial: 'SN-1',
    gatewayId: 'branch1',
    expiresOnMs: 0,
    files: [{ path, content: 'eA==' }],
  };
  const server = createServer(WIRE.tls, (_, response) => response.end(JSON.stringify(made)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const { port } = server.address() as AddressInfo;
  for (const [name, content] of [
    ['ca.pem', WIRE.anchorPem],
    ['credential', 'x'],
  ] as const)
    writeFileSync(join(directory, name), content);
  const access = ['--api', `https://localhost:${port}`, '--ca', join(directory, 'ca.pem')];
  const credential = ['--credential', join(directory, 'credential')];
  const out = ['--out', join(directory, 'stick')];
  const program = await createProgram((name) => name === 'fleet');
  try {
    await program.parseAsync(['fleet', 'usb', 'SN-1', ...out, ...access, ...credential], { from: 'user' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** As a camera has it: each module of the picture four points wide, black on white. */
function photoOf(svg: string): { height: number; width: number; data: Uint8Array } {
  const modules = Number(/viewBox="0 0 (\d+) /.exec(svg)?.[1]);
  const side = modules * 4;
  const data = new Uint8Array(side * side * 4).fill(255);
  let x = 0;
  let y = 0;
  for (const [, move, right, down] of svg.matchAll(/([Mm])(-?\d+)[ ,]?(-?\d+)h1v1/g)) {
    x = Number(right) + (move === 'm' ? x : 0);
    y = Number(down) + (move === 'm' ? y : 0);
    for (let row = y * 4; row < y * 4 + 4; row += 1)
      for (let column = x * 4; column < x * 4 + 4; column += 1)
        data.fill(0, (row * side + column) * 4, (row * side + column) * 4 + 3);
  }
  return { height: side, width: side, data };
}

it('the label is the address of the installer’s page, with the serial', async () => {
  await usb('branchbox/bootstrap/SN-1/ownership-voucher.vcj');
  const made = join(directory, 'stick/branchbox/bootstrap/SN-1');
  expect(readdirSync(made).toSorted()).toEqual(['label.svg', 'ownership-voucher.vcj']);
  const svg = readFileSync(join(made, 'label.svg'), 'utf8');
  expect(readLabel(photoOf(svg))).toBe('http://branchbox.internal/#SN-1');
});

it.each([
  'branchbox/bootstrap/SN-2/ownership-voucher.vcj',
  'branchbox/bootstrap/SN-1/../../evil.sh',
  '/etc/passwd',
  'branchbox/bootstrap/SN-1/.hidden',
])('a controller that names %s writes nothing', async (path) => {
  await expect(usb(path)).rejects.toMatchObject({ code: 'controller/refused' });
  expect(readdirSync(directory).toSorted()).toEqual(['ca.pem', 'credential']);
});
