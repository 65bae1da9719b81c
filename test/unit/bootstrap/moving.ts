/**
 * Owns what the tests of a move to another controller stand on: a second owner with servers of its own, orders to move to
 * it, and in the agent's place a hand that commits when a test says so. Does not own any move.
 */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { renderProblem } from '../../../src/bootstrap/renderStatus.ts';
import { asBranchboxError } from '../../../src/model/errors.ts';
import { serverNamed } from '../pki/domain.ts';
import { type Seen, stateOf } from './faults/table.ts';
import { createEnrolment } from '../../../src/bootstrap/enrol.ts';
import { openTrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { readFactory } from '../../../src/bootstrap/factory.ts';
import { createMoves, type Moves } from '../../../src/bootstrap/moves.ts';
import { createOwnerStore } from '../../../src/bootstrap/ownerStore.ts';
import {
  clockFloorPath,
  ldevidPaths,
  movedCommittedPath,
  movedLdevidPaths,
  moveRecordPath,
} from '../../../src/bootstrap/paths.ts';
import type { BootstrapState, Owner } from '../../../src/model/bootstrap.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import { ownerCertificate } from '../../../src/pki/conveyed.ts';
import { type Credential, issueCertificate } from '../../../src/pki/issue.ts';
import { signJws } from '../../../src/pki/jws.ts';
import {
  type Authorities,
  authority,
  DAY_MS,
  GATEWAY,
  HOST,
  issued,
  LASTING,
  NOW_MS,
  SERIAL,
} from './authorities.ts';
import type { Box, LogLine } from './box.ts';
import { conveyedBy, type FaultBench } from './faultBench.ts';
import { onboarding, startController, type TestController } from './servers.ts';
import { createDeviceKeys } from '../../../src/bootstrap/deviceKeys.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { silentLog as silent } from '../../fakes/silentLog.ts';

export const THERE = 'moved-branch';
export const GENERATION = 7;
const WIREGUARD_KEY = `${'A'.repeat(42)}A=`;

export interface NextOwner {
  readonly authorities: Authorities;
  readonly controller: TestController;
  readonly owner: Owner;
  /** Good answers again, and none asked for yet. */
  mend(): void;
  /** Certificates are valid from this box's own time on. */
  issueFor(box: Box): void;
}

/** Of the same manufacturer's boxes, and of another domain. */
async function startNextOwner(first: Authorities): Promise<NextOwner> {
  const domain = authority('Next Domain CA');
  const authorities: Authorities = {
    ...first,
    domain,
    ownerSigner: issued(domain, { kind: 'owner', commonName: 'next owner' }, LASTING),
    server: issued(domain, serverNamed(HOST), LASTING),
  };
  const controller = await startController(authorities);
  const here = { host: HOST, port: controller.port };
  const owner: Owner = {
    schema: 1,
    gatewayId: THERE,
    est: { ...here, label: 'lab' },
    mqtt: here,
    device: here,
    domainAnchorPem: domain.certificate.pem,
  };
  const issueAt = (momentMs: () => number): TestController['behaviour']['issue'] => {
    return (request) =>
      issueCertificate({
        profile: { kind: 'ldevid', gatewayId: THERE },
        publicKey: request.publicKey,
        issuer: domain,
        validity: { notBeforeMs: momentMs() - 60_000, notAfterMs: momentMs() + 90 * DAY_MS },
      });
  };
  const good = {
    ...controller.behaviour,
    ping: (peer: Certificate | undefined) => ({ status: peer?.subject.commonName === THERE ? 204 : 401 }),
    issue: issueAt(() => NOW_MS),
  };
  const mend = (): void => {
    Object.assign(controller.behaviour, good);
    controller.enrolments.length = 0;
    controller.asked.length = 0;
  };
  mend();
  return {
    authorities,
    controller,
    owner,
    mend,
    issueFor(box) {
      controller.behaviour.issue = issueAt(() => box.clock.nowMs());
    },
  };
}

/** A good order of the present owner, but for what a test bends of it, or who signs. */
export function orderOf(
  bench: FaultBench,
  next: NextOwner,
  bent: Readonly<Record<string, unknown>> = {},
  by: Credential = bench.authorities.domain,
): string {
  const signer = issued(by, { kind: 'configuration-signing', commonName: 'signer' }, LASTING);
  const order = {
    schema: 1,
    order: 'move',
    gatewayId: GATEWAY,
    wireguardPublicKey: WIREGUARD_KEY,
    serial: SERIAL,
    idevidSpkiSha256: bench.authorities.idevid.certificate.spkiSha256,
    generation: GENERATION,
    notAfterMs: bench.box.clock.nowMs() + 60_000,
    withinS: 900,
    domainAnchorPem: next.owner.domainAnchorPem,
    conveyedInformation: Buffer.from(
      conveyedBy(bench, onboarding(next.owner), next.authorities.ownerSigner),
    ).toString('base64'),
    ownerCertificate: Buffer.from(ownerCertificate(next.authorities.ownerSigner)).toString('base64'),
    ...bent,
  };
  return signJws(Buffer.from(JSON.stringify(order)), signer);
}
const softwareKeys = createDeviceKeys({
  readiness: readTpmReadiness('no-chip'),
  tpm: undefined,
  log: silent,
});

/** The desk of the box's identity process, past its socket. */
export async function movesOf(box: Box): Promise<Moves> {
  const { files, paths } = box;
  return createMoves({
    files,
    path: moveRecordPath(paths),
    moved: movedLdevidPaths(paths),
    factory: await readFactory(files, paths.factory, softwareKeys),
    os: { name: 'branchbox', version: '0.0.0-test' },
    owners: createOwnerStore(files, paths),
    clock: await openTrustedClock({ files, clock: box.clock, path: clockFloorPath(paths), builtAtMs: 0 }),
    log: silent,
    onTaken: () => undefined,
  });
}
export const offer = async (box: Box, jws: string, state: BootstrapState = 'OPERATIONAL'): Promise<string> =>
  (await movesOf(box)).offer(jws, state);

/** In the agent's place: it commits the first desired state of the next owner, and takes it for its own once that is decided. */
export function agentOf(box: Box, commits = true): (line: LogLine) => void {
  const committed = movedCommittedPath(box.paths, GENERATION);
  return ({ message, fields }) => {
    if (message !== 'bootstrap state entered' || fields['state'] !== 'MIGRATE') return;
    if (fields['stage'] === 'trying' && commits) void box.files.writeDurable(committed, 'next');
    if (fields['stage'] === 'done') void box.files.remove(committed);
  };
}

/** As the box's files say: for whom it has which certificate. */
export async function whose(box: Box): Promise<string> {
  const owner = await createOwnerStore(box.files, box.paths).read();
  if (owner === undefined) return 'nobody';
  const clock = await openTrustedClock({
    files: box.files,
    clock: box.clock,
    path: clockFloorPath(box.paths),
    builtAtMs: 0,
  });
  const identity = await createEnrolment({
    files: box.files,
    keys: softwareKeys,
    clock,
    serial: SERIAL,
    log: silent,
  }).read(owner, ldevidPaths(box.paths));
  const anchor = (await box.files.readText(`${box.paths.state}/domain-anchor.pem`)) === owner.domainAnchorPem;
  const left = (await box.files.list(box.paths.state)).filter((name) => name.startsWith('move-'));
  return `${owner.gatewayId}${identity === undefined ? ' without certificate' : ''}${anchor ? '' : ' without anchor'}${left.length === 0 ? '' : ` with ${left.join()}`}`;
}

/** Before each test the bench's box is in service, and the next owner well. Called at the top of a file. */
export function useNextOwner(bench: FaultBench, onStarted: (next: NextOwner) => void): void {
  let next: NextOwner | undefined;
  beforeAll(async () => {
    next = await startNextOwner(bench.authorities);
    onStarted(next);
  });
  afterAll(() => next?.controller.close());
  beforeEach(async () => {
    next?.mend();
    await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  });
}

/** Offered to a box that is in this state: refused, and nothing of it is on disk. */
export async function refusal(bench: FaultBench, jws: string, state?: BootstrapState): Promise<Seen> {
  const { box } = bench;
  const told = await offer(box, jws, state).then(
    (said) => `taken: ${said}`,
    (thrown: unknown) => renderProblem(asBranchboxError(thrown)),
  );
  const moving = (await (await movesOf(box)).current()) === undefined ? 'no move' : 'a move';
  const code = told.split(':', 1)[0];
  return { outcome: `${code}, ${moving}, ${await stateOf(bench)} of ${await whose(box)}`, told };
}
