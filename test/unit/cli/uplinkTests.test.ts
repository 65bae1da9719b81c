/** What the command line asks for in a test of uplinks, and which report it takes for the answer. */
import { expect, it } from 'vitest';
import { orderedSince } from '../../../src/cli/fleetReport.ts';
import { uplinkTestRequest } from '../../../src/cli/uplinkTestRequest.ts';
import type { UplinkReport } from '../../../src/model/uplinkReport.ts';
import { helpOf, loadCommandLine, nameOf, withSubcommands } from './commandLine.ts';

it('has a budget and an uplink, on the box and from the controller', async () => {
  expect(uplinkTestRequest({ uplink: 'lte', budget: '131072' })).toEqual({
    uplink: 'lte',
    budgetBytes: 131_072,
  });
  expect(uplinkTestRequest({})).toEqual({});
  for (const budget of ['much', '', '1e6', '1', '99999999999'])
    expect(() => uplinkTestRequest({ budget })).toThrow(`--budget wants a number of bytes from 65536 to`);
  const all = withSubcommands(await loadCommandLine());
  for (const name of ['branchbox test uplinks', 'branchbox fleet report']) {
    const command = all.find((one) => nameOf(one) === name);
    expect(command === undefined ? '' : helpOf(command), name).toContain('--budget');
  }
});

it('takes no report that the box only had not sent yet for the one that was ordered', () => {
  const report = (id: string, occasion: UplinkReport['occasion']): UplinkReport => ({
    schema: 1,
    id,
    occasion,
    serial: 'SN-1',
    startedAtMs: 1,
    endedAtMs: 2,
    verdict: 'pass',
    uplinks: [],
  });
  const before = [report('old', 'ordered')];
  const late = [report('late', 'after-bootstrap'), ...before];
  expect(orderedSince(late, before)).toBeUndefined();
  expect(orderedSince([report('later', 'asked-here'), report('new', 'ordered'), ...late], before)?.id).toBe(
    'new',
  );
});
