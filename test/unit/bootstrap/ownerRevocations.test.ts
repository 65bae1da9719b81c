/**
 * What a box keeps of its owner's revocation lists: of whom, until when, through a rollover and a move. Who is refused by them
 * is in the fault table (faults/revokedServers.test.ts).
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { readOwnIdentity } from '../../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import type { Answer } from '../../../src/bootstrap/https.ts';
import { createNotices } from '../../../src/bootstrap/notices.ts';
import { createOwnerRevocations } from '../../../src/bootstrap/ownerRevocations.ts';
import { ownerListsPath } from '../../../src/bootstrap/paths.ts';
import { REVOCATION_LISTS_PATH } from '../../../src/model/deviceApi.ts';
import { toPem } from '../../../src/pki/certificate.ts';
import { readRevocationLists } from '../../../src/pki/crlVerify.ts';
import { createTpmUse } from '../../../src/system/tpmUse.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { authority, createAuthorities, DAY_MS, HOUR_MS, NOW_MS } from './authorities.ts';
import { createTestClock, memoryFiles } from './box.ts';
import { createFaultBench } from './faultBench.ts';
import { agentOf, type NextOwner, offer, orderOf, useNextOwner } from './moving.ts';
import { asLists, listPem, ownerWithLists, withLists } from './revoking.ts';

const authorities = createAuthorities();
const PATH = '/identity/revocation-lists.pem';
const owner = ownerWithLists(authorities, 1);
const { revocationListsPath: _, ...silentOwner } = owner;
const identity = { key: Object('a key'), certificatePem: '' };
const credential = async () => identity;
const never = new AbortController().signal;
const list = (number: number, by = authorities.domain, change: object = {}) =>
  listPem({ by, number, ...change });

/** A server that proved itself says what is in `answers`, the last of them for ever. */
function desk(options: { readonly witness?: boolean; readonly nowMs?: number } = {}) {
  const files = memoryFiles(new Map());
  const clock = createTestClock(options.nowMs);
  const asked: string[] = [];
  const answers: (string | Partial<Answer>)[] = [];
  const notices = createNotices();
  const present = { owner };
  const revocations = createOwnerRevocations({
    files,
    path: PATH,
    async https({ path, server }) {
      asked.push(`${server.host}:${server.port}${path}`);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      const text = typeof next === 'string' ? next : '';
      const whole = { status: 200, contentType: '', body: Buffer.from(text), retryAfterMs: undefined };
      return { ...whole, asksForBasic: false, ...(typeof next === 'object' && next) };
    },
    uplinks: { all: async () => [{ ifname: 'wan1', address: '127.0.0.1', dns: [], bootstrapServers: [] }] },
    present: async () => present.owner,
    clock: {
      nowMs: clock.nowMs,
      floorMs: clock.nowMs,
      basis: () => 'system',
      latestStartMs: (startMs) => Math.min(startMs, clock.nowMs() + HOUR_MS),
      notBefore: (_momentMs, work) => work(),
      raise: async () => undefined,
      learn: async () => undefined,
    },
    monotonicMs: clock.monotonicMs,
    random: () => 0.5,
    notices,
    log,
  });
  const kept = async () =>
    readRevocationLists((await files.readText(PATH)) ?? '').map(({ number }) => number);
  return { files, clock, asked, answers, notices, present, revocations, kept };
}

describe('an owner who has no list', () => {
  it('is never asked for one, and what is due is due never', async () => {
    const { revocations, asked, kept } = desk();
    await revocations.require(silentOwner, identity, never);
    await revocations.refresh(silentOwner, credential, never);
    expect([asked, await kept(), revocations.dueInMs(silentOwner)]).toEqual([[], [], Infinity]);
  });
});

describe('the list of an owner who has one', () => {
  it('is had once for all who need it, kept for the agent to read, and had anew after a day', async () => {
    const { revocations, asked, answers, kept, clock, files } = desk();
    answers.push(list(1));
    expect(revocations.dueInMs(owner)).toBe(0);
    await Promise.all([1, 2, 3].map(() => revocations.require(owner, identity, never)));
    expect(asked).toEqual([`controller.branchbox.example:1${REVOCATION_LISTS_PATH}`]);
    expect([await kept(), (await revocations.lists()).length]).toEqual([[1], 1]);
    expect(revocations.dueInMs(owner)).toBe(DAY_MS);
    answers.push(list(2));
    answers.shift();
    await clock.sleep(DAY_MS);
    expect(revocations.dueInMs(owner)).toBe(0);
    await revocations.refresh(owner, credential, never);
    expect([await kept(), revocations.dueInMs(owner)]).toEqual([[2], DAY_MS]);
    // The same again: the disk is left alone.
    const written = files.writeDurable;
    Object.assign(files, { writeDurable: () => expect.unreachable() });
    await revocations.refresh(owner, credential, never);
    Object.assign(files, { writeDurable: written });
  });

  it('is had anew at half of its life and a tenth, where that is sooner than a day', async () => {
    const { revocations, answers, clock } = desk();
    answers.push(list(1, authorities.domain, { lifeMs: 10 * HOUR_MS }));
    await revocations.require(owner, identity, never);
    expect(revocations.dueInMs(owner)).toBe(6 * HOUR_MS);
    // One that nobody renews is not asked for without end.
    await clock.sleep(9 * HOUR_MS);
    await revocations.refresh(owner, credential, never);
    expect(revocations.dueInMs(owner)).toBe(HOUR_MS / 4);
  });

  it('that was not had is asked for again soon, and told where it is worth a look', async () => {
    const { revocations, answers, notices, clock, kept } = desk();
    answers.push(list(1));
    await revocations.require(owner, identity, never);
    answers.splice(0, 1, { status: 503 });
    await revocations.refresh(owner, credential, never);
    // The line, or the controller, is away: that is told elsewhere.
    expect([notices.all(), revocations.dueInMs(owner), await kept()]).toEqual([[], HOUR_MS / 4, [1]]);
    await clock.sleep(11 * DAY_MS);
    await revocations.refresh(owner, credential, never);
    expect(notices.all()).toEqual([expect.stringContaining('ended 2026-06-11T12:00Z and goes on to count')]);
    answers.splice(0, 1, list(2, authorities.domain, { thisUpdateMs: NOW_MS + 11 * DAY_MS }));
    await revocations.refresh(owner, credential, never);
    expect([notices.all(), await kept()]).toEqual([[], [2]]);
  });

  it('is not asked for with a key that cannot be used, and that is no end of it', async () => {
    const { revocations, asked, kept } = desk();
    const broken = async () => expect.unreachable('the key');
    await expect(revocations.refresh(owner, broken, never)).rejects.toThrow('the key');
    expect([asked, await kept()]).toEqual([[], []]);
  });

  it.each([
    ['of a lower number', list(4), [5]],
    ['of another CA', list(9, authorities.stranger), [5]],
    ['that is none', 'nothing', [5]],
    ['of the same number', list(5, authorities.domain, { revoked: ['0a'] }), [5]],
    ['of a higher number', list(6), [6]],
  ])('gives place to one %s only where that is newer', async (_what, next, numbers) => {
    const { revocations, answers, kept } = desk();
    answers.push(list(5), next);
    await revocations.require(owner, identity, never);
    await revocations.refresh(owner, credential, never);
    expect(await kept()).toEqual(numbers);
  });

  it('in a rollover there are two: those of CAs that are believed are kept, and of an owner’s CAs alone', async () => {
    const next = authority('Next CA');
    const { revocations, answers, kept, present } = desk();
    answers.push(list(3) + list(3, next));
    await revocations.require(owner, identity, never);
    expect(await kept()).toEqual([3]);
    const both = { ...owner, domainAnchorPem: toPem([authorities.domain.certificate, next.certificate]) };
    present.owner = both;
    answers.splice(0, 1, list(4) + list(4, next));
    await revocations.refresh(both, credential, never);
    expect(await kept()).toEqual([4, 4]);
    // The CA before was dropped.
    present.owner = { ...owner, domainAnchorPem: next.certificate.pem };
    answers.splice(0, 1, list(5, next));
    await revocations.refresh(present.owner, credential, never);
    expect(await kept()).toEqual([5]);
  });

  it('stays beside that of the next owner while a box moves, and goes with the owner', async () => {
    const other = createAuthorities();
    const next = ownerWithLists(other, 2);
    const { revocations, answers, kept, files } = desk();
    answers.push(list(1));
    await revocations.require(owner, identity, never);
    answers.splice(0, 1, list(8, other.domain));
    await revocations.require(next, identity, never);
    expect(await kept()).toEqual([8, 1]);
    await revocations.forgetOthers(next);
    expect(await kept()).toEqual([8]);
    await revocations.forgetOthers(owner);
    expect(await files.readText(PATH)).toBeUndefined();
  });
});

describe('a move', () => {
  const bench = createFaultBench();
  let next: NextOwner;
  beforeEach(() => withLists(bench.authorities, bench.controller));
  useNextOwner(bench, (made) => (next = made));
  const withTheirs = () => {
    next.controller.behaviour.revocationLists = () =>
      asLists(listPem({ by: next.authorities.domain, number: 30 }));
    return { ...next, owner: { ...next.owner, revocationListsPath: REVOCATION_LISTS_PATH } };
  };
  const numbers = async () =>
    readRevocationLists((await bench.box.files.readText(ownerListsPath(bench.box.paths))) ?? '').map(
      ({ number }) => number,
    );
  const asAgent = () =>
    readOwnIdentity(bench.box.files, { ...AGENT_PATHS, identity: bench.box.paths.state }, createTpmUse());
  const run = (commits: boolean) => {
    const agent = agentOf(bench.box, commits);
    return bench.box.run({
      controller: bench.controller,
      until(line) {
        agent(line);
        return line.fields['state'] === 'OPERATIONAL' && String(line.fields['because']).length > 0;
      },
    });
  };

  it.each([
    ['asks the next owner for its list before it enrols, and keeps that alone', true, [30]],
    ['that does not get there leaves the list of the owner as it was', false, [1]],
  ])('%s', async (_what, commits, left) => {
    const theirs = withTheirs();
    expect(await numbers()).toEqual([1]);
    await offer(bench.box, orderOf(bench, theirs));
    await run(commits);
    expect(theirs.controller.asked[0]).toBe(`GET ${REVOCATION_LISTS_PATH}`);
    expect(await numbers()).toEqual(left);
    expect((await asAgent())?.revocationListsPem).toContain('BEGIN X509 CRL');
  });
});
