/** Readiness of daemons that tell nobody: somebody listens, and a file that a killed one left is nobody. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../../firmware/wait-for-socket');
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-socket-'));
  path = join(directory, 'daemon.sock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function waits(limitS: number, more: NodeJS.ProcessEnv = {}) {
  const env = { ...process.env, ...more };
  const child = spawn(SCRIPT, [path, String(limitS)], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const [code] = await once(child, 'close');
  return { code, said };
}
const listens = async () => {
  const server = createServer((socket) => socket.destroy()).listen(path);
  await once(server, 'listening');
  return server;
};

it('goes on when somebody listens', async () => {
  const waiting = waits(20);
  const server = await listens();
  expect((await waiting).code).toBe(0);
  server.close();
});

it('goes on waiting when the clock is set by years meanwhile, as it is in a start without a battery', async () => {
  // Each time that it is asked another year; what waits looked once before anybody listens.
  const looked = join(directory, 'looked');
  writeFileSync(
    join(directory, 'Jump.pm'),
    `package Jump;
    my $year = 0;
    BEGIN {
      *CORE::GLOBAL::time = sub { return 31_536_000 * ++$year };
      *CORE::GLOBAL::select = sub {
        open(my $file, '>', $ENV{LOOKED}) if @_ == 4;
        return @_ == 4 ? CORE::select($_[0], $_[1], $_[2], $_[3]) : CORE::select($_[0]);
      };
    }
    1;`,
  );
  const waiting = waits(20, { PERL5LIB: directory, PERL5OPT: '-MJump', LOOKED: looked });
  let isOver = false;
  const ended = waiting.then(() => {
    isOver = true;
  });
  await expect.poll(() => existsSync(looked) || isOver).toBe(true);
  const server = await listens();
  await ended;
  expect(await waiting).toEqual({ code: 0, said: '' });
  server.close();
});

it('says which socket nobody opened', async () => {
  expect(await waits(0)).toEqual({
    code: expect.any(Number),
    said: `wait-for-socket: nobody listened on ${path} within 0 s\n`,
  });
  expect((await waits(0)).code).not.toBe(0);
});

it('does not take what a killed daemon left for a daemon', async () => {
  const server = await listens();
  // Closing would remove it by its name.
  renameSync(path, `${path}.kept`);
  server.close();
  await once(server, 'close');
  renameSync(`${path}.kept`, path);
  expect((await waits(0)).code).not.toBe(0);
});
