/**
 * Owns the supervisor's process: the first thing tini starts in a lab node. Brings up one target, answers
 * `systemctl` on a unix socket, writes unit events and keeps logs bounded.
 * Started as `node supervisor.mjs TARGET`; on the box this is systemd's job.
 */
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createManager, type Manager } from './manager.ts';
import type { ServiceStatus } from './service.ts';
import { answerSystemctl } from './systemctl.ts';
import { createUnitSet } from './unitSet.ts';

const UNIT_DIRECTORIES = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/lib/branchbox/lab-units',
  '/usr/lib/branchbox/units',
];
const LOG_DIRECTORY = '/var/log/units';
const EVENTS_FILE = join(LOG_DIRECTORY, 'events.jsonl');
const SOCKET_PATH = '/run/systemctl.sock';
/** A lab left running over a week must not fill the disk: two of these per unit are kept at most. */
const LOG_CAP_BYTES = 1024 * 1024;
const LOG_CHECK_MS = 10_000;
/** Words of one systemctl call. */
const REQUEST_CAP_BYTES = 64 * 1024;

function main(target: string): void {
  mkdirSync(LOG_DIRECTORY, { recursive: true });
  const event = (fields: Readonly<Record<string, unknown>>): void =>
    appendFileSync(EVENTS_FILE, `${JSON.stringify({ time: new Date().toISOString(), ...fields })}\n`);
  const manager = createManager({
    units: createUnitSet(UNIT_DIRECTORIES),
    logDirectory: LOG_DIRECTORY,
    onState: (unit: string, status: ServiceStatus) => event({ unit, ...status }),
    onProblem: (text) => event({ problem: text }),
  });
  setInterval(boundLogs, LOG_CHECK_MS).unref();
  serve(manager, (error) => event({ problem: `a call was not taken: ${error.message}` }));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void shutDown(manager, target));
  }
  manager.start(target).catch((error: unknown) => event({ problem: String(error) }));
}

function serve(manager: Manager, onProblem: (error: Error) => void): void {
  rmSync(SOCKET_PATH, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => answer(manager, socket));
  // One that does not listen ends the supervisor; one that could not accept a call goes on.
  server.listen(SOCKET_PATH, () => server.on('error', onProblem));
}

/** Request: the words, NUL between them, up to the end of input. Answer: `EXIT BYTES\n`, stdout, stderr. */
function answer(manager: Manager, socket: Socket): void {
  let request = '';
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    request += chunk;
    if (request.length > REQUEST_CAP_BYTES) socket.destroy();
  });
  socket.on('end', () => {
    void answerSystemctl(
      manager,
      request.split('\0').filter((word) => word !== ''),
    ).then((reply) => {
      socket.end(`${reply.exitCode} ${Buffer.byteLength(reply.stdout)}\n${reply.stdout}${reply.stderr}`);
    });
  });
}

/** Copy and truncate: daemons hold the file open for appending, so it cannot simply be renamed. */
function boundLogs(): void {
  for (const name of readdirSync(LOG_DIRECTORY).filter((each) => !each.endsWith('.1'))) {
    const path = join(LOG_DIRECTORY, name);
    if (statSync(path).size < LOG_CAP_BYTES) continue;
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
  }
}

/** In no order: everything ends with the node's PID namespace anyway, this is for what wants to say goodbye. */
async function shutDown(manager: Manager, target: string): Promise<void> {
  const running = manager
    .list()
    .filter(({ unit, status }) => unit.name !== target && status.state !== 'inactive');
  await Promise.allSettled(running.map(({ unit }) => manager.stop(unit.name)));
  process.exit(0);
}

const target = process.argv[2];
if (target === undefined) {
  process.stderr.write('usage: supervisor TARGET\n');
  process.exit(2);
}
main(target);
