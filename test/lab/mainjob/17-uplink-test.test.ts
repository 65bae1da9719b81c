/** The birth certificate of a line, from the box to its owner: what came by itself, what is ordered, what fails. */
import { afterAll, describe, expect, it } from 'vitest';
import type { UplinkReport } from '../../../src/model/uplinkReport.ts';
import { api } from './fleet.ts';
import { lab, tryIn, until } from './lab.ts';

const BOX = 'branch1';

/** What the controller keeps, newest first. */
async function reports(): Promise<readonly UplinkReport[]> {
  const { status, body } = await api('GET', `/api/v1/gateways/${BOX}/uplink-reports?limit=20`);
  expect(status).toBe(200);
  return (body as { report: UplinkReport }[]).map(({ report }) => report);
}

const uplinkIn = (report: UplinkReport, name: string): UplinkReport['uplinks'][number] | undefined =>
  report.uplinks.find((uplink) => uplink.name === name);

describe('uplink tests', () => {
  afterAll(() => lab('heal', BOX, 'lte'));

  it('were made and reported by a box that nobody asked, once it was in service', async () => {
    const birth = await until('the controller has the report', async () =>
      (await reports()).find(({ occasion }) => occasion === 'after-bootstrap'),
    );
    expect(birth.gatewayId).toBe(BOX);
    expect(birth.uplinks.map(({ name }) => name).sort()).toEqual(['internet', 'lte']);
  });

  it('are ordered by the controller, and measured against it over each line', async () => {
    const before = (await reports()).map(({ id }) => id);
    expect((await api('POST', `/api/v1/gateways/${BOX}/uplink-tests`, {})).status).toBe(200);
    const ordered = await until(
      'the report came',
      async () => (await reports()).find(({ id }) => !before.includes(id)),
      150_000,
    );
    expect(ordered).toMatchObject({ occasion: 'ordered', verdict: 'pass' });
    for (const name of ['internet', 'lte']) {
      const found = uplinkIn(ordered, name);
      expect(found?.figures.roundTrip, name).toMatchObject({ by: 'probe', lossPercent: 0 });
      expect(found?.figures.mtu?.toController, name).toBe(found?.figures.mtu?.link);
      expect(found?.figures.download?.kbps, name).toBeGreaterThan(0);
    }
    // Provider B translates, provider A does not: the far end is what tells them apart.
    expect(uplinkIn(ordered, 'internet')?.figures.nat?.kind).toBe('none');
    expect(uplinkIn(ordered, 'lte')?.figures.nat?.kind).not.toBe('none');
  });

  it('fail on the line that is dark, and say so in the exit code', async () => {
    await lab('cut', BOX, 'lte');
    const ended = await tryIn(BOX, ['branchbox', 'test', 'uplinks', '--json', '--budget', '65536']);
    await lab('heal', BOX, 'lte');
    expect(ended.exitCode).toBe(1);
    const report = JSON.parse(ended.stdout) as UplinkReport;
    expect(uplinkIn(report, 'internet')?.verdict).toBe('pass');
    const dark = uplinkIn(report, 'lte');
    expect(dark?.verdict).toBe('fail');
    expect(dark?.checks.find(({ check }) => check === 'controller')?.verdict).toBe('fail');
  });
});
