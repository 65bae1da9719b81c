/** `branchbox bootstrap status --follow` at the identity process's own socket, which may go and come back. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveLocalApi } from '../../../src/bootstrap/localApi.ts';
import { renderStatus } from '../../../src/bootstrap/renderStatus.ts';
import { BOOTSTRAP_PATHS, journalPath } from '../../../src/bootstrap/paths.ts';
import { readStatus } from '../../../src/bootstrap/statusByFiles.ts';
import { tellBootstrap } from '../../../src/cli/bootstrap.ts';
import { type BootstrapState, BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

let directory: string;
let paths: typeof BOOTSTRAP_PATHS;
let state: BootstrapState;
let canSay: boolean;
let running: { readonly server: Server; readonly ending: AbortController } | undefined;
const files = createFiles();
const journal = () => [{ state, enteredAtMs: Date.UTC(2026, 10, 1), note: {} }];

async function startProcess(): Promise<void> {
  const ending = new AbortController();
  const server = await serveLocalApi({
    files,
    socketPath: paths.socket,
    log: silentLog,
    status: async () => {
      if (!canSay) throw new Error('the disk does not answer');
      return renderStatus({
        history: journal(),
        serial: 'SN-1',
        gatewayId: undefined,
        lastProblem: undefined,
      });
    },
    signal: ending.signal,
  });
  running = { server, ending };
}
async function endProcess(): Promise<void> {
  if (running === undefined) return;
  const closed = once(running.server, 'close');
  running.ending.abort();
  await closed;
  running = undefined;
}
/** As the process keeps it: what it says, and what its files say without it. */
function enter(next: BootstrapState): void {
  state = next;
  mkdirSync(paths.state, { recursive: true });
  writeFileSync(journalPath(paths), JSON.stringify({ schema: 1, entries: journal() }));
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-follow-'));
  paths = {
    ...BOOTSTRAP_PATHS,
    factory: join(directory, 'factory'),
    state: join(directory, 'state'),
    socket: join(directory, 'run/identity.sock'),
    resetMarks: [],
  };
  for (const path of [paths.factory, dirname(paths.socket)]) mkdirSync(path);
  writeFileSync(join(paths.factory, 'serial'), 'SN-1\n');
  canSay = true;
  enter('DISCOVER');
  await startProcess();
});
afterEach(async () => {
  await endProcess();
  rmSync(directory, { recursive: true });
});

/** Between two looks happens what `events` say, one each; it must end by itself behind the last. */
async function follow(
  flags: { readonly json?: boolean },
  events: readonly (() => unknown)[],
): Promise<string> {
  const left = [...events];
  let said = '';
  await tellBootstrap(
    { ...flags, follow: true },
    {
      socketPath: paths.socket,
      byFiles: () => readStatus(files, paths),
      write: (text) => (said += text),
      pause: async () => {
        const event = left.shift();
        if (event === undefined) throw new Error(`goes on behind the end:\n${said}`);
        await event();
      },
    },
  );
  expect(left).toEqual([]);
  return said;
}
const statesIn = (said: string): readonly string[] => said.match(/^[A-Z_]+(?= since)/gm) ?? [];

describe('--follow', () => {
  it('tells each state once as the box enters it, and ends when it is in service', async () => {
    const same = () => {};
    const said = await follow({}, [
      same,
      () => enter('PROVISIONAL'),
      same,
      () => enter('OWNED'),
      () => enter('OPERATIONAL'),
    ]);
    expect(statesIn(said)).toEqual(['DISCOVER', 'PROVISIONAL', 'OWNED', 'OPERATIONAL']);
    expect(said).toMatch(/\n {2}mend: .*\n$/);
  });

  it('goes on by the journal while the identity process is away, and by the process when it is back', async () => {
    const said = await follow({}, [
      endProcess,
      () => enter('ENROLLING'),
      startProcess,
      () => enter('OPERATIONAL'),
    ]);
    expect(statesIn(said)).toEqual(['DISCOVER', 'DISCOVER', 'ENROLLING', 'ENROLLING', 'OPERATIONAL']);
    expect(said.match(/the identity process does not run/g)).toHaveLength(2);
  });

  it('does not end by what the journal says of a box that was in service before its process went', async () => {
    const said = await follow({}, [
      endProcess,
      () => enter('OPERATIONAL'),
      () => enter('RECOVER'),
      startProcess,
      () => enter('OPERATIONAL'),
    ]);
    expect(statesIn(said)).toEqual([
      'DISCOVER',
      'DISCOVER',
      'OPERATIONAL',
      'RECOVER',
      'RECOVER',
      'OPERATIONAL',
    ]);
  });

  it('goes on where the journal is damaged, which the process puts aside as it starts', async () => {
    const damage = () => writeFileSync(journalPath(paths), '{"schema":1,');
    await endProcess();
    damage();
    const said = await follow({}, [
      () => enter('OWNED'),
      damage,
      async () => {
        enter('OWNED');
        await startProcess();
      },
      () => enter('OPERATIONAL'),
    ]);
    expect(statesIn(said)).toEqual(['OWNED', 'OWNED', 'OPERATIONAL']);
    expect(said.match(/^bootstrap\/journal: .*\n {2}mend: .*/gm)).toHaveLength(2);
  });

  it('with --json says nothing of a damaged journal, which is no document', async () => {
    const said = await follow({ json: true }, [
      endProcess,
      () => writeFileSync(journalPath(paths), '{"schema":1,'),
      async () => {
        enter('OPERATIONAL');
        await startProcess();
      },
    ]);
    const told = said.trimEnd().split('\n');
    expect(told.map((line) => BootstrapStatus.parse(JSON.parse(line)).state)).toEqual([
      'DISCOVER',
      'DISCOVER',
      'OPERATIONAL',
    ]);
  });

  it('ends at once on a machine that is no gateway', async () => {
    await endProcess();
    rmSync(paths.factory, { recursive: true });
    await expect(follow({}, [])).rejects.toThrow('This machine has no factory identity');
  });

  it('goes on where the process is there and cannot say', async () => {
    const said = await follow({}, [
      () => (canSay = false),
      () => (canSay = true),
      () => enter('OPERATIONAL'),
    ]);
    expect(statesIn(said).at(-1)).toBe('OPERATIONAL');
  });

  it('with --json is one document a line, each as the process says it', async () => {
    const said = await follow({ json: true }, [
      () => enter('OWNED'),
      endProcess,
      startProcess,
      () => enter('OPERATIONAL'),
    ]);
    const lines = said.split('\n');
    expect(lines.pop()).toBe('');
    const told = lines.map((line) => BootstrapStatus.parse(JSON.parse(line)).state);
    expect(told).toEqual(['DISCOVER', 'OWNED', 'OWNED', 'OWNED', 'OPERATIONAL']);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('is ended by %s, behind a whole line', async (signal) => {
    const at = (path: string) => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).href);
    const entry = `
      import { tellBootstrap } from ${at('cli/bootstrap.ts')};
      await tellBootstrap({ json: true, follow: true }, {
        socketPath: ${JSON.stringify(paths.socket)},
        byFiles: () => Promise.reject(new Error('the process is there')),
        write: (text) => void process.stdout.write(text),
        pause: () => new Promise((done) => setTimeout(done, 10)),
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', entry], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.endsWith('\n')) child.kill(signal);
    });
    expect(await once(child, 'close')).toEqual([null, signal]);
    const [document = '', ...rest] = said.split('\n');
    expect(BootstrapStatus.parse(JSON.parse(document)).state).toBe('DISCOVER');
    expect(rest).toEqual(['']);
  });
});
