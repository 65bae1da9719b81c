/** Rows of the fault table: what does not move a box to another controller, and what brings it back. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { renderProblem } from '../../../../src/bootstrap/machine.ts';
import { movedCommittedPath } from '../../../../src/bootstrap/paths.ts';
import type { BootstrapState } from '../../../../src/model/bootstrap.ts';
import { asBranchboxError } from '../../../../src/model/errors.ts';
import { wrapConveyed, ownerCertificate } from '../../../../src/pki/conveyed.ts';
import { authority, issued, LASTING } from '../authorities.ts';
import { conveyedBy, createFaultBench } from '../faultBench.ts';
import {
  agentOf,
  GENERATION,
  movesOf,
  type NextOwner,
  offer,
  orderOf,
  startNextOwner,
  THERE,
  whose,
} from '../moving.ts';
import { onboarding, redirect } from '../servers.ts';
import { type FaultRow, faultTable, type Seen, stateOf } from './table.ts';

const bench = createFaultBench();
let next: NextOwner;
beforeAll(async () => {
  next = await startNextOwner(bench.authorities);
});
afterAll(() => next.controller.close());
beforeEach(async () => {
  next.mend();
  await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
});
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const withoutPorts = (text: string): string => text.replaceAll(/:\d{4,5}\b/g, ':PORT');

/** Offered to a box that is in this state: refused, and nothing of it is on disk. */
async function refusal(jws: string, state?: BootstrapState): Promise<Seen> {
  const { box } = bench;
  const told = await offer(box, jws, state).then(
    (said) => `taken: ${said}`,
    (thrown: unknown) => renderProblem(asBranchboxError(thrown)),
  );
  const moving = (await (await movesOf(box)).current()) === undefined ? 'no move' : 'a move';
  const code = told.split(':', 1)[0];
  return { outcome: `${code}, ${moving}, ${await stateOf(bench)} of ${await whose(box)}`, told };
}
const row = (
  fault: string,
  code: string,
  told: string,
  order: () => string,
  state?: BootstrapState,
): FaultRow => ({
  fault,
  must: 'refuse it, and stay where it is',
  outcome: `${code}, no move, OPERATIONAL of branch1`,
  told: `${code}: ${told}`,
  run: () => refusal(order(), state),
});

const RESET = {
  order: 'factory-reset',
  serial: undefined,
  idevidSpkiSha256: undefined,
  generation: undefined,
  notAfterMs: undefined,
  withinS: undefined,
  domainAnchorPem: undefined,
  conveyedInformation: undefined,
  ownerCertificate: undefined,
};

faultTable('order to move', [
  row(
    'of a stranger',
    'pki/untrusted',
    'The certificate of "signer" is not trusted: no path leads from it to an anchor that must be used',
    () => orderOf(bench, next, {}, bench.authorities.stranger),
  ),
  row(
    'of the next owner itself',
    'pki/untrusted',
    'The certificate of "signer" is not trusted: no path leads from it to an anchor that must be used',
    () => orderOf(bench, next, {}, next.authorities.domain),
  ),
  row(
    'for another gateway',
    'pki/mismatch',
    'The order is not for this box ($.gatewayId is branch2, this box is branch1)',
    () => orderOf(bench, next, { gatewayId: 'branch2' }),
  ),
  row(
    'for another serial',
    'pki/mismatch',
    'The order is not for this box ($.serial is BBX-0002, this box is BBX-0001)',
    () => orderOf(bench, next, { serial: 'BBX-0002' }),
  ),
  row(
    'for another factory key under this serial',
    'pki/mismatch',
    'The order is not for this box ($.idevidSpkiSha256 is of another factory key)',
    () => orderOf(bench, next, { idevidSpkiSha256: '0'.repeat(64) }),
  ),
  row('that is too old', 'pki/expired', 'The order ended 2026-06-01T11:59:59.999Z', () =>
    orderOf(bench, next, { notAfterMs: bench.box.clock.nowMs() - 1 }),
  ),
  row('that is one to reset', 'pki/mismatch', 'The order is to factory-reset, not to move', () => {
    const { domain } = bench.authorities;
    return orderOf(bench, next, RESET, domain);
  }),
  row(
    'to an owner who signed nothing',
    'pki/malformed',
    'CMS content 1.2.840.113549.1.9.16.1.43 is not signed data',
    () => orderOf(bench, next, { conveyedInformation: base64(wrapConveyed(onboarding(next.owner), 'json')) }),
  ),
  row(
    'with the word of somebody else than it pins',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () =>
      orderOf(bench, next, {
        conveyedInformation: base64(conveyedBy(bench, onboarding(next.owner))),
        ownerCertificate: base64(ownerCertificate(bench.authorities.ownerSigner)),
      }),
  ),
  row(
    'with a redirect in the place of an owner',
    'pki/mismatch',
    'The order holds a redirect, not onboarding information',
    () =>
      orderOf(bench, next, {
        conveyedInformation: base64(
          conveyedBy(bench, redirect([{ address: '192.0.2.1', port: 443 }]), next.authorities.ownerSigner),
        ),
      }),
  ),
  row(
    'while the box renews',
    'bootstrap/move-refused',
    'the box is in RENEW, and moves from OPERATIONAL alone',
    () => orderOf(bench, next),
    'RENEW',
  ),
  row(
    'while the box is quarantined',
    'bootstrap/move-refused',
    'the box is in QUARANTINED, and moves from OPERATIONAL alone',
    () => orderOf(bench, next),
    'QUARANTINED',
  ),
]);

/** Ordered, and run until the box is in service again: whose it is, and what is said of why. */
async function afterMove(commits: boolean, order = orderOf(bench, next)): Promise<Seen> {
  const { box, controller } = bench;
  await offer(box, order);
  const agent = agentOf(box, commits);
  await box.run({
    controller,
    until: (line) => {
      agent(line);
      return line.message === 'bootstrap state entered' && line.fields['state'] === 'OPERATIONAL';
    },
  });
  const end = (await (await movesOf(box)).status())?.last;
  return {
    outcome: `${end?.outcome}, ${await stateOf(bench)} of ${await whose(box)}`,
    told: withoutPorts(end?.why ?? ''),
  };
}
const BACK = 'returned, OPERATIONAL of branch1';
const back = (fault: string, told: string, arrange: () => void, commits = true): FaultRow => ({
  fault,
  must: 'stay with its owner, keep all of it, say why',
  outcome: BACK,
  told,
  async run() {
    arrange();
    return afterMove(commits);
  },
});

faultTable('move to another controller', [
  {
    fault: 'none: it takes the box, and its first desired state is committed',
    must: 'be the box of the next owner alone',
    outcome: `moved, OPERATIONAL of ${THERE}`,
    told: '',
    run: () => afterMove(true),
  },
  {
    fault: 'that cannot be reached',
    must: 'stay with its owner, keep all of it, say why',
    outcome: BACK,
    told: 'bootstrap/unreachable: controller.branchbox.example:1 over wan1: ECONNREFUSED connect ECONNREFUSED 127.0.0.1:1',
    run: async () => {
      const dark = { ...next, owner: { ...next.owner, est: { ...next.owner.est, port: 1 } } };
      return afterMove(true, orderOf(bench, dark));
    },
  },
  back(
    'that does not know the box',
    'bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box',
    () => {
      next.controller.behaviour.enrol = () => ({ status: 403 });
    },
  ),
  back(
    'that lets the box wait for an approval',
    'bootstrap/pending: The enrolment server waits for an approval of this box (an operator approves the box at the controller)',
    () => {
      next.controller.behaviour.enrol = () => ({ status: 202, headers: { 'retry-after': '3600' } });
    },
  ),
  back(
    'that issues for another gateway',
    'pki/mismatch: The issued certificate is for branch1, not for moved-branch',
    () => {
      next.controller.behaviour.issue = bench.controller.behaviour.issue;
    },
  ),
  {
    fault: 'whose server is of another CA than was pinned',
    must: 'send it neither request nor key, stay with its owner, say why',
    outcome: `${BACK}, 0 enrolments`,
    told: 'pki/untrusted: controller.branchbox.example:PORT showed a certificate that the TLS library refuses: UNABLE_TO_VERIFY_LEAF_SIGNATURE. Is TLS intercepted on the way (captive portal, inspecting firewall)?',
    async run() {
      const other = authority('Other Domain CA');
      const posing: NextOwner = {
        ...next,
        owner: { ...next.owner, domainAnchorPem: other.certificate.pem },
        authorities: {
          ...next.authorities,
          ownerSigner: issued(other, { kind: 'owner', commonName: 'other owner' }, LASTING),
        },
      };
      const seen = await afterMove(true, orderOf(bench, posing));
      return { ...seen, outcome: `${seen.outcome}, ${next.controller.enrolments.length} enrolments` };
    },
  },
  back(
    'that takes the certificate it issued for nothing',
    "bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 401: it did not see this box's certificate. Is TLS intercepted on the way (captive portal, inspecting firewall)?",
    () => {
      next.controller.behaviour.ping = () => ({ status: 401 });
    },
  ),
  back(
    'that enrols the box, and has no desired state for it',
    'controller.branchbox.example enrolled the box, and no desired state of it was committed in time',
    () => undefined,
    false,
  ),
  {
    fault: 'whose state is committed after the box went back',
    must: 'stay with its owner: what decides is one record',
    outcome: BACK,
    told: 'controller.branchbox.example enrolled the box, and no desired state of it was committed in time',
    async run() {
      const seen = await afterMove(false);
      const { box, controller } = bench;
      await box.files.writeDurable(movedCommittedPath(box.paths, GENERATION), 'late');
      await box.run({ controller, until: 'RENEW' });
      return {
        outcome: `${seen.outcome.split(',', 1)[0]}, OPERATIONAL of ${await whose(box)}`,
        told: seen.told,
      };
    },
  },
  {
    fault: 'ordered once more by the same order, after the box came back',
    must: 'take no order twice',
    outcome: `bootstrap/move-refused, no move, ${BACK.slice('returned, '.length)}`,
    told: 'bootstrap/move-refused: order 7 was taken before, or a later one was',
    async run() {
      next.controller.behaviour.enrol = () => ({ status: 403 });
      const order = orderOf(bench, next, { notAfterMs: bench.box.clock.nowMs() + 3_600_000 });
      await afterMove(true, order);
      return refusal(order);
    },
  },
  {
    fault: 'ordered while the box is on its way',
    must: 'go on with the first',
    outcome: 'bootstrap/move-refused, a move, OPERATIONAL of branch1',
    told: 'bootstrap/move-refused: the box is on its way to controller.branchbox.example already',
    async run() {
      await offer(bench.box, orderOf(bench, next));
      return refusal(orderOf(bench, next, { generation: GENERATION + 1 }));
    },
  },
  {
    fault: 'ordered anew, once the next controller is well',
    must: 'go there',
    outcome: `moved, OPERATIONAL of ${THERE}`,
    told: '',
    async run() {
      next.controller.behaviour.enrol = () => ({ status: 403 });
      await afterMove(true);
      next.mend();
      const order = orderOf(bench, next, { generation: GENERATION + 1 });
      await bench.box.files.writeDurable(movedCommittedPath(bench.box.paths, GENERATION + 1), 'next');
      await offer(bench.box, order);
      const { box, controller } = bench;
      await box.run({
        controller,
        until: (line) => {
          if (line.fields['stage'] === 'done') {
            void box.files.remove(movedCommittedPath(box.paths, GENERATION + 1));
          }
          return line.message === 'bootstrap state entered' && line.fields['state'] === 'OPERATIONAL';
        },
      });
      const end = (await (await movesOf(box)).status())?.last;
      return { outcome: `${end?.outcome}, ${await stateOf(bench)} of ${await whose(box)}`, told: '' };
    },
  },
]);
