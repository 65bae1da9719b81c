/** Names of versions, held to the order by which boxes and boot loader know older from newer. */
import { expect, it } from 'vitest';
import { versionProblem } from '../../../image/version.ts';
import { compareFirmwareVersions } from '../../../src/update/version.ts';

it.each(['0.2.0', '0.2.0~rc.1', '0.2.0~rc1', '0.2.0-1', '0.2.0^git1', '2026.11.29'])(
  '%s is one',
  (version) => {
    expect(versionProblem(version)).toBeUndefined();
  },
);

it.each(['0.2.0-', '0.2.0 beta', 'V1', '0.2.0+1', ''])('%s is none', (version) => {
  expect(versionProblem(version)).toMatch(/at most/);
});

it.each(['0.2.0-rc.1', '0.2.0-beta', '1-alpha.0'])(
  '%s, as npm writes it, is none, and what is meant is told',
  (version) => {
    const problem = versionProblem(version);
    const [release = '', meant = ''] = /newer than (\S+) .* is (\S+)$/.exec(problem ?? '')?.slice(1) ?? [];
    expect(versionProblem(meant)).toBeUndefined();
    expect(compareFirmwareVersions(version, release)).toBeGreaterThan(0);
    expect(compareFirmwareVersions(meant, release)).toBeLessThan(0);
  },
);
