/** Rows of the fault table: moves to another controller that do not end there, and what brings the box back. */
import { movedCommittedPath } from '../../../../src/bootstrap/paths.ts';
import { authority, issued, LASTING } from '../authorities.ts';
import { createFaultBench } from '../faultBench.ts';
import type { TestController } from '../servers.ts';
import {
  agentOf,
  refusal,
  useNextOwner,
  GENERATION,
  movesOf,
  type NextOwner,
  offer,
  orderOf,
  THERE,
  whose,
} from '../moving.ts';
import { type FaultRow, faultTable, type Seen, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
let next: NextOwner;
useNextOwner(bench, (made) => (next = made));
const withoutPorts = (text: string): string => text.replaceAll(/:\d{4,5}\b/g, ':PORT');

/** Ordered, and run until the box is in service again: whose it is, and what is said of why. */
async function afterMove(
  commits: boolean,
  order = orderOf(bench, next),
  controller = bench.controller,
): Promise<Seen> {
  const { box } = bench;
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
    told: end?.why === undefined ? toldBy(box) : withoutPorts(end.why),
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

/** The move itself is through; what the owner before was told, and that nothing of its answer counts. */
async function leaving(arrange: () => void, controller = bench.controller): Promise<Seen> {
  bench.controller.words.length = 0;
  next.controller.words.length = 0;
  arrange();
  const { outcome } = await afterMove(true, orderOf(bench, next), controller);
  const journal = (await bench.box.files.readText(`${bench.box.paths.state}/journal.json`)) ?? '';
  const note: unknown = JSON.parse(journal).entries.at(-1).note.before;
  const mark = (await bench.box.files.list(bench.box.paths.state)).includes('quarantine.json');
  const words = [bench.controller, next.controller].map((one) => one.words.join() || 'nothing');
  return {
    outcome: `${outcome}; heard ${words[0]} before and ${words[1]} next${mark ? ', quarantined' : ''}`,
    told: withoutPorts(String(note)),
  };
}
const left = (fault: string, heard: string, told: string, arrange: () => void): FaultRow => ({
  fault,
  must: 'be the box of the next owner all the same, say in its journal who does not know it',
  outcome: `moved, OPERATIONAL of ${THERE}; heard ${heard} before and nothing next`,
  told,
  run: () => leaving(arrange),
});

faultTable('move, and the controller before', [
  left('that is well', '{"generation":7}', 'told', () => undefined),
  left(
    'that refuses to hear of it',
    '{"generation":7}',
    'not told: bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 409',
    () => {
      bench.controller.behaviour.moved = () => ({ status: 409 });
    },
  ),
  left(
    'that answers by taking its trust away',
    '{"generation":7}',
    'not told: bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box',
    () => {
      bench.controller.behaviour.moved = () => ({
        status: 403,
        headers: { 'content-type': 'application/json' },
        body: '{"standing":"quarantined","message":"come back"}',
      });
    },
  ),
  {
    fault: 'that is away by then',
    must: 'try a few times, and be the box of the next owner all the same',
    outcome: `moved, OPERATIONAL of ${THERE}; heard nothing before and nothing next, tried 3 times`,
    told: 'not told: bootstrap/unreachable: controller.branchbox.example:PORT over wan1: ECONNREFUSED it is away',
    async run() {
      const { connect } = bench.controller;
      let tries = 0;
      const away: TestController = {
        ...bench.controller,
        connect: async (options) => {
          if (options.server.port !== bench.controller.port) return connect(options);
          tries += 1;
          throw Object.assign(new Error('it is away'), { code: 'ECONNREFUSED' });
        },
      };
      const seen = await leaving(() => undefined, away);
      return { ...seen, outcome: `${seen.outcome}, tried ${tries} times` };
    },
  },
]);

faultTable('move to another controller', [
  {
    fault: 'none: it takes the box, and its first desired state is committed',
    must: 'be the box of the next owner alone',
    outcome: `moved, OPERATIONAL of ${THERE}`,
    told: 'OPERATIONAL, waits for nothing; last move, to controller.branchbox.example: moved; mend: nothing to do',
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
    told: 'bootstrap/move-refused: order 7 was taken before, or a later one was (order the move anew: branchbox fleet move)',
    async run() {
      next.controller.behaviour.enrol = () => ({ status: 403 });
      const order = orderOf(bench, next, { notAfterMs: bench.box.clock.nowMs() + 3_600_000 });
      await afterMove(true, order);
      return refusal(bench, order);
    },
  },
  {
    fault: 'ordered while the box is on its way',
    must: 'go on with the first',
    outcome: 'bootstrap/move-refused, a move, OPERATIONAL of branch1',
    told: 'bootstrap/move-refused: the box is on its way to controller.branchbox.example already (order it again once that is over, by 2026-06-01T12:15:00.000Z at the latest)',
    async run() {
      await offer(bench.box, orderOf(bench, next));
      return refusal(bench, orderOf(bench, next, { generation: GENERATION + 1 }));
    },
  },
  {
    fault: 'ordered anew, once the next controller is well',
    must: 'go there',
    outcome: `moved, OPERATIONAL of ${THERE}`,
    told: 'OPERATIONAL, waits for nothing; last move, to controller.branchbox.example: moved; mend: nothing to do',
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
      return {
        outcome: `${end?.outcome}, ${await stateOf(bench)} of ${await whose(box)}`,
        told: toldBy(box),
      };
    },
  },
]);
