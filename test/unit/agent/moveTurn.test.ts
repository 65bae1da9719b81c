/** The agent's part of a move: for whom it speaks, what it keeps of whom, and that a kill changes neither. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { beginTurn, handOnMove, onTrial } from '../../../src/agent/moveTurn.ts';
import {
  type AgentPaths,
  AGENT_PATHS,
  committedBeforePath,
  committedPath,
  uplinkReportPath,
} from '../../../src/agent/paths.ts';
import { openUplinkReports } from '../../../src/agent/uplinkReports.ts';
import { createTrialStore, decodeHeld } from '../../../src/agent/trialStore.ts';
import type { Move } from '../../../src/model/move.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import type { Files } from '../../../src/system/ports.ts';
import { desired, signed } from './signedState.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const files = createFiles();
const OWN = signed(desired(3));
const NEXT = signed(desired(1, { gatewayId: 'moved' }));

let directory: string;
let paths: AgentPaths;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-turn-'));
  const at = (name: string): string => join(directory, name);
  paths = { ...AGENT_PATHS, identity: at('identity'), state: at('agent'), firmware: at('firmware') };
  await files.writeDurable(committedPath(paths), OWN);
  for (const name of ['rolled-back.json', 'outbox.sqlite', 'wireguard.key']) {
    await files.writeDurable(`${paths.state}/${name}`, name);
  }
  await files.writeDurable(committedBeforePath(paths), OWN);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const here = { host: 'next.example', port: 8443 };
const moving = (stage: Move['stage'], generation = 7): Promise<void> => {
  const owner = {
    schema: 1,
    gatewayId: 'moved',
    est: here,
    mqtt: here,
    device: here,
    domainAnchorPem: '-----BEGIN CERTIFICATE-----',
  };
  const move = { stage, generation, orderedAtMs: 1, deadlineAtMs: 2, owner };
  return files.writeDurable(
    `${paths.identity}/move.json`,
    JSON.stringify({ schema: 1, generations: {}, move }),
  );
};
const over = (): Promise<void> =>
  files.writeDurable(`${paths.identity}/move.json`, JSON.stringify({ schema: 1, generations: {} }));
const reportOf = (id: string) => ({
  schema: 1,
  id,
  occasion: 'after-bootstrap',
  serial: 'SN-1',
  startedAtMs: 0,
  endedAtMs: 1,
  verdict: 'pass',
  uplinks: [],
});
const begin = (by: Files = files, end = () => {}) => beginTurn({ files: by, paths, log, end });
const committed = () => files.readText(committedPath(paths));
const moveRecords = (): Promise<readonly string[]> => files.list(`${paths.state}/move-7`);
const commitNext = () =>
  createTrialStore(files, { ...paths, state: `${paths.state}/move-7` }, log).commit(decodeHeld(NEXT, 'next'));

describe('a run of the agent', () => {
  it.each([
    ['there is no move', async () => {}],
    ['the certificate is still being had', () => moving('enrolling')],
    ['its record cannot be read', () => files.writeDurable(`${paths.identity}/move.json`, '{')],
  ])('is the present owner’s while %s, and drops what is left of a move', async (_what, arrange) => {
    await arrange();
    await commitNext();
    const turn = await begin();
    expect([turn.paths, turn.before]).toEqual([paths, undefined]);
    expect(await moveRecords()).toEqual([]);
    expect(await committed()).toBe(OWN);
  });

  it('that tries the next owner holds to what is committed, and records beside it', async () => {
    await moving('trying');
    const turn = await begin();
    expect(turn.before?.state.gatewayId).toBe('branch1');
    const store = createTrialStore(files, turn.paths, log);
    expect(await store.readCommitted()).toBeUndefined();
    await store.commit(decodeHeld(NEXT, 'next'));
    expect(await committed()).toBe(OWN);
    // Killed and begun anew: as it was.
    const again = await begin();
    expect((await createTrialStore(files, again.paths, log).readCommitted())?.jws).toBe(NEXT);
    expect(again.before?.jws).toBe(OWN);
  });

  it('takes what was committed of the next owner for its own once that is decided, and nothing else is left', async () => {
    await commitNext();
    await moving('done');
    const turn = await begin();
    expect([turn.paths, turn.before]).toEqual([paths, undefined]);
    expect(await committed()).toBe(NEXT);
    expect((await readdir(paths.state)).toSorted()).toEqual(['committed.jws', 'move-7', 'wireguard.key']);
    expect(await moveRecords()).toEqual([]);
    expect(await files.readText(committedBeforePath(paths))).toBeUndefined();
  });

  it('owes the next owner a report of its uplinks as after a bootstrap, and the present one none again', async () => {
    const put = (which: 'before-bootstrap' | 'after-bootstrap' | 'latest') =>
      files.writeDurable(uplinkReportPath(paths, which), JSON.stringify(reportOf(which)));
    await Promise.all([put('before-bootstrap'), put('after-bootstrap'), put('latest')]);
    await commitNext();
    await moving('trying');
    await begin();
    expect((await openUplinkReports(files, paths)).has('after-bootstrap')).toBe(true);
    await moving('done');
    await begin();
    const reports = await openUplinkReports(files, paths);
    expect([reports.has('after-bootstrap'), reports.has('latest')]).toEqual([false, false]);
    // Of the box as it came, and of nobody's doing.
    expect(reports.has('before-bootstrap')).toBe(true);
    // The record of the move outlives its end: what the next owner got stays.
    await put('after-bootstrap');
    await begin();
    expect((await openUplinkReports(files, paths)).has('after-bootstrap')).toBe(true);
  });

  it('killed at any change of a file while it takes it, has it in the end', async () => {
    for (let dieAt = 0; ; dieAt += 1) {
      await files.writeDurable(committedPath(paths), OWN);
      await files.writeDurable(`${paths.state}/rolled-back.json`, 'of the owner before');
      await commitNext();
      await moving('done');
      const survived = await begin(mortal(dieAt)).then(
        () => true,
        () => false,
      );
      await begin();
      expect(await committed(), `death ${dieAt}`).toBe(NEXT);
      expect(await moveRecords(), `death ${dieAt}`).toEqual([]);
      expect(await files.readText(`${paths.state}/rolled-back.json`)).toBeUndefined();
      if (survived) break;
      expect(dieAt).toBeLessThan(20);
    }
  });

  it('ends where it is another one’s turn, and there alone', async () => {
    let ends = 0;
    const turn = await begin(files, () => (ends += 1));
    const look = async (): Promise<number> => {
      await turn.look();
      return ends;
    };
    expect(await look()).toBe(0);
    await moving('enrolling');
    expect(await look()).toBe(0);
    await moving('trying');
    expect(await look()).toBe(1);
    const tried = await begin(files, () => (ends += 1));
    ends = 0;
    await tried.look();
    expect(ends).toBe(0);
    await moving('trying', 8);
    await tried.look();
    expect(ends).toBe(1);
    await over();
    await tried.look();
    expect(ends).toBe(2);
  });
});

describe('an order that is handed on', () => {
  const answering = async (status: number, body: string): Promise<string> => {
    const socketPath = join(directory, `identity-${status}-${body.length}.sock`);
    const server = createServer((asked, response) => {
      asked.resume();
      response.writeHead(status).end(body);
    });
    server.listen(socketPath);
    await once(server, 'listening');
    try {
      return await handOnMove(socketPath, 'x.y.z');
    } finally {
      server.close();
    }
  };
  it('is answered in the words of the identity process', async () => {
    expect(await answering(202, '{"ok":true,"message":"moving"}')).toBe('moving');
    await expect(answering(409, '{"ok":false,"message":"pki/mismatch: no"}')).rejects.toThrow(
      'pki/mismatch: no',
    );
  });
  it('is refused where that is away, or says what is no answer', async () => {
    await expect(handOnMove(join(directory, 'none'), 'x')).rejects.toThrow(/does not answer/);
    await expect(answering(200, 'x'.repeat(20_000))).rejects.toThrow(/does not answer/);
    await expect(answering(200, '<html>')).rejects.toThrow(/JSON/);
  });
});

it('what has not ended yet is named', () => {
  const trial = { epoch: 1, generation: 1, digest: 'd', endsAtMs: 1 };
  expect(onTrial({ trial }, { state: 'idle' })).toBe('a desired state');
  expect(onTrial({}, { state: 'trial' })).toBe('a firmware version');
  expect(onTrial({}, { state: 'idle' })).toBeUndefined();
});

/** Dies in place of the n-th change. */
function mortal(dieAt: number): Files {
  let changes = 0;
  const guard = async (change: () => Promise<void>): Promise<void> => {
    changes += 1;
    if (changes > dieAt) throw new Error('killed');
    await change();
  };
  return {
    ...files,
    writeDurable: (path, content, mode) => guard(() => files.writeDurable(path, content, mode)),
    remove: (path) => guard(() => files.remove(path)),
  };
}
