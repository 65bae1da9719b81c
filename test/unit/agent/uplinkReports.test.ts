/** Reports of uplink tests, with a disk that takes nothing. */
import { expect, it } from 'vitest';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { openUplinkReports } from '../../../src/agent/uplinkReports.ts';

it('a report that a full disk does not take is known all the same', async () => {
  const reports = await openUplinkReports(
    {
      readText: () => Promise.resolve(undefined),
      writeDurable: () => Promise.reject(new Error('no space left on device')),
    },
    AGENT_PATHS,
  );
  const report = {
    schema: 1,
    id: 'r1',
    occasion: 'after-bootstrap',
    serial: 'SN-1',
    startedAtMs: 0,
    endedAtMs: 1,
    verdict: 'pass',
    uplinks: [],
  } as const;
  await expect(reports.keep({ ...report, uplinks: [] })).rejects.toThrow('no space left');
  expect(reports.has('after-bootstrap')).toBe(true);
  expect(reports.unstored()).toEqual([report]);
});
