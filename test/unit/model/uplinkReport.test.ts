/** The report of an uplink test as a person reads it. */
import { describe, expect, it } from 'vitest';
import { describeReport, reportLine, UplinkReport } from '../../../src/model/uplinkReport.ts';
import type { Findings } from '../../../src/wan/uplinkTest/findings.ts';
import { judgeUplink } from '../../../src/wan/uplinkTest/judge.ts';
import { GOOD, SUBJECT } from '../wan/uplinkFindings.ts';

describe('a report', () => {
  const report = (findings: Findings, subject = SUBJECT): UplinkReport => {
    const result = judgeUplink(subject, findings);
    return UplinkReport.parse({
      schema: 1,
      id: 'r1',
      occasion: 'asked-here',
      serial: 'SN-1',
      startedAtMs: 0,
      endedAtMs: 4_200,
      verdict: result.verdict,
      uplinks: [result],
    });
  };
  it('reads as sentences, a check a line, with what to do', () => {
    const lines = describeReport(report({ ...GOOD, neighbour: 'silent' }));
    expect(lines[0]).toBe('uplink test on demand, 1970-01-01T00:00:00.000Z, 4.2 s: FAIL');
    expect(lines).toContain('uplink internet on wan1: FAIL, 879 KiB of 977 KiB used');
    expect(lines).toContain('  FAIL gateway    The gateway 192.0.2.1 does not answer on wan1.');
    expect(lines.join('\n')).toMatch(/do: restart the provider's device/);
  });
  it('is one line for an installer, with the worst of it', () => {
    expect(reportLine(report(GOOD))).toBe('internet (wan1) passes');
    expect(reportLine(report({ ...GOOD, neighbour: 'silent' }))).toBe(
      'internet (wan1) fails: The gateway 192.0.2.1 does not answer on wan1.',
    );
  });
});
