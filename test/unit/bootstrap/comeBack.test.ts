/** "Come back later" of servers behind a redirect and of the enrolment server, and what a box does not let it cost. */
import { expect, it } from 'vitest';
import { certsOnly } from '../../../src/pki/cms.ts';
import { DAY_MS, HOST, NOW_MS } from './authorities.ts';
import { conveyedBy, createFaultBench, failed } from './faultBench.ts';
import { issueAtTheTimeOf, redirect, sztpReply } from './servers.ts';

const bench = createFaultBench();
const HOUR_MS = 3_600_000;
const A_DAY = { status: 503, headers: { 'retry-after': '86400' } } as const;

it('of one server that a redirect names holds back who redirected for an hour, not for a day', async () => {
  const { controller, box } = bench;
  const anchor = Buffer.from(certsOnly([bench.authorities.domain.certificate])).toString('base64');
  let asked = 0;
  controller.behaviour.sztp = (nonce) => {
    asked += 1;
    if (asked === 2) return A_DAY;
    if (asked > 2) return bench.good.sztp(nonce);
    const servers = [controller.port, 1].map((port) => ({ address: HOST, port, 'trust-anchor': anchor }));
    return sztpReply({ ...bench.good.artefacts(nonce), conveyed: conveyedBy(bench, redirect(servers)) });
  };
  await box.run({ controller, until: ({ fields }) => fields['state'] === 'OWNED' });
  const [delayMs] = box.log.filter(failed).map(({ fields }) => Number(fields['delayMs']));
  expect(delayMs).toBeGreaterThanOrEqual(HOUR_MS);
  expect(delayMs).toBeLessThanOrEqual(1.1 * HOUR_MS);
});

it('leaves ten tries of a renewal in what is left of the certificate', async () => {
  const { box, controller, authorities } = bench;
  await box.run({ controller, until: 'OPERATIONAL' });
  box.clock.setMs(NOW_MS + 90 * DAY_MS - 6 * HOUR_MS);
  issueAtTheTimeOf(box, authorities, controller);
  let asked = 0;
  controller.behaviour.enrol = (...words) => {
    asked += 1;
    return asked === 1 ? A_DAY : bench.good.enrol(...words);
  };
  const states: string[] = [];
  await box.run({
    controller,
    until: ({ message, fields }) => {
      if (message === 'bootstrap state entered') states.push(String(fields['state']));
      return asked > 1 && message === 'bootstrap state entered' && fields['state'] === 'OPERATIONAL';
    },
  });
  // Never by way of RECOVER, which is where a box without a valid certificate is.
  expect(states).toEqual(['RENEW', 'OPERATIONAL']);
  expect(NOW_MS + 90 * DAY_MS - box.clock.nowMs()).toBeGreaterThan(5 * HOUR_MS);
});

it('does not sleep through the last tries of a renewal that fails', async () => {
  const { box, controller, authorities } = bench;
  await box.run({ controller, until: 'OPERATIONAL' });
  const endsAtMs = NOW_MS + 90 * DAY_MS;
  box.clock.setMs(endsAtMs - HOUR_MS);
  issueAtTheTimeOf(box, authorities, controller);
  controller.behaviour.enrol = () => ({ status: 500 });
  const tries: { readonly leftMs: number; readonly delayMs: number }[] = [];
  await box.run({
    controller,
    until: (line) => {
      if (failed(line))
        tries.push({ leftMs: endsAtMs - box.clock.nowMs(), delayMs: Number(line.fields['delayMs']) });
      return line.message === 'bootstrap state entered' && line.fields['state'] === 'RECOVER';
    },
  });
  expect(tries.filter(({ leftMs, delayMs }) => delayMs > Math.max(1_000, leftMs / 10))).toEqual([]);
  // Begun an hour before the end, and gone on with until the last second.
  expect(tries.at(0)?.leftMs).toBeGreaterThan(HOUR_MS / 2);
  expect(tries.at(-1)?.leftMs).toBeLessThanOrEqual(1_000);
});

it('hurries no more once the certificate has ended, and the next one is there and only not proved', async () => {
  const { box, controller, authorities } = bench;
  await box.run({ controller, until: 'OPERATIONAL' });
  const endsAtMs = NOW_MS + 90 * DAY_MS;
  box.clock.setMs(endsAtMs - HOUR_MS / 60);
  issueAtTheTimeOf(box, authorities, controller);
  controller.behaviour.ping = () => ({ status: 503 });
  const delaysMs: number[] = [];
  await box.run({
    controller,
    until: (line) => {
      if (!failed(line)) return false;
      if (box.clock.nowMs() < endsAtMs) box.clock.setMs(endsAtMs);
      else delaysMs.push(Number(line.fields['delayMs']));
      return delaysMs.length === 2;
    },
  });
  // As after any failure of a renewal: a minute at first, and no less.
  expect(Math.min(...delaysMs)).toBeGreaterThanOrEqual(HOUR_MS / 120);
  expect(controller.enrolments.filter((one) => one.startsWith('simplereenroll'))).toHaveLength(1);
});
