/** What a server hears of what was refused; which demands are refused is in demands.test.ts. */
import { expect, it } from 'vitest';
import { createRefusalReports } from '../../../src/bootstrap/refusalReports.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { NOW_MS } from './authorities.ts';
import { conveyedBy, createFaultBench, failed, ownerOf } from './faultBench.ts';
import { onboarding, sztpReply } from './servers.ts';

const bench = createFaultBench();
/** One answer that was refused, and of whom it was. */
const refused = () => ({
  kind: 'refused' as const,
  why: new BranchboxError('pki/mismatch', { message: 'no such image' }),
  progress: ['boot-image-error' as const],
  anchors: [bench.authorities.domain.certificate],
});
const ASKED = {
  server: { host: 'controller.example', port: 8443 },
  uplink: { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] },
  reporting: 'minimal' as const,
};

it('is each problem, also where two are of one sentence', async () => {
  const { controller, box } = bench;
  let asked = 0;
  controller.behaviour.sztp = (nonce) => {
    asked += 1;
    const wrong = asked === 1 ? { 'configuration-handling': undefined } : { 'boot-image': { 'os-name': 5 } };
    const conveyed = conveyedBy(bench, onboarding(ownerOf(bench), wrong));
    return sztpReply({ ...bench.good.artefacts(nonce), conveyed });
  };
  let failures = 0;
  await box.run({ controller, until: (line) => failed(line) && (failures += 1) === 3 });
  const told = controller.reports.filter((report) => report.includes('parsing-error'));
  expect(told).toEqual([expect.stringContaining('go together'), expect.stringContaining('os-name')]);
});

it('is sent again where it was lost on its way, and not where the server takes none', async () => {
  let code: 'bootstrap/unreachable' | 'bootstrap/refused' = 'bootstrap/unreachable';
  const sent: string[] = [];
  const tell = createRefusalReports({ nowMs: () => NOW_MS });
  const once = () =>
    tell(refused(), {
      ...ASKED,
      async report({ progress }) {
        sent.push(progress);
        throw new BranchboxError(code, { message: 'nothing came back' });
      },
      signal: new AbortController().signal,
    });
  await once();
  code = 'bootstrap/refused';
  await once();
  await once();
  expect(sent).toEqual(['bootstrap-initiated', 'bootstrap-initiated']);
});

it('is sent again where the time of a server ended in the middle of it', async () => {
  const limit = new AbortController();
  let sent = 0;
  const tell = createRefusalReports({ nowMs: () => NOW_MS });
  const once = (report: () => Promise<void>) =>
    tell(refused(), {
      ...ASKED,
      report,
      signal: limit.signal,
    });
  const cutOff = once(async () => {
    limit.abort();
    limit.signal.throwIfAborted();
  });
  await expect(cutOff).rejects.toBe(limit.signal.reason);
  await once(async () => void (sent += 1));
  expect(sent).toBe(2);
});
