/**
 * Owns what a box tells, to whose request its controller said this: the admission as the enrolment server words it on the
 * wire, to a real box that is asked over its socket. Does not own who is admitted (the rows).
 */
import type { Admission } from '../../../../src/controller/admission.ts';
import { refused } from '../../../../src/controller/est/answers.ts';
import { askSocket } from '../../../../src/system/askSocket.ts';
import { type FaultBench, failed } from '../faultBench.ts';
import type { Reply } from '../servers.ts';
import { toldBy } from './table.ts';

/** Until the box has its verdict; where that is of a code, one is typed as on the installer's page. */
export async function toldWhom(bench: FaultBench, admission: Admission): Promise<string> {
  const { box, controller, good } = bench;
  const isOfCode = admission.kind === 'wrong-code';
  let typed: Promise<unknown> | undefined;
  let isJudged = !isOfCode;
  controller.behaviour.enrol = (request, operation, authorization) => {
    if (admission.kind === 'admitted') return good.enrol(request, operation);
    if (!isOfCode || authorization !== undefined) {
      isJudged = true;
      return refusal(admission);
    }
    return refusal({ kind: 'pending', why: 'a code is wanted', byCode: true });
  };
  await box.run({
    controller,
    until: (line) => {
      if (!failed(line)) return line.fields['state'] === 'OPERATIONAL';
      if (isOfCode) typed ??= typeCode(box.paths.installerSocket);
      return isJudged;
    },
  });
  await typed;
  return toldBy(box);
}

function refusal(admission: Admission): Reply {
  const { status, headers, mediaType, body } = refused(admission);
  return {
    status,
    headers: { ...headers, ...(mediaType !== undefined && { 'content-type': mediaType }) },
    body: String(body),
  };
}

/** As a box tells that it was refused, with the controller's words. */
export const refusedFor = (why: string): string =>
  `ENROLLING, waits for its certificate; last problem: bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box (${why}); mend: an operator may have to approve this box`;
/** As a box tells that the code was not taken, with the controller's words. */
export const codeNotTaken = (why: string): string =>
  `ENROLLING, waits for the activation code, or an approval; the code was not taken: ${why}; last problem: bootstrap/pending: The enrolment server did not take the activation code (type the code again, or have an operator make a new one); mend: on a LAN port of the box open the link that was mailed, and type the code; or an operator approves this box`;

const typeCode = (socketPath: string): Promise<unknown> =>
  askSocket(
    { socketPath },
    {
      path: '/activation',
      body: JSON.stringify({ code: 'RAGHTX' }),
      timeoutMs: 10_000,
      maxAnswerBytes: 1024,
    },
  );
