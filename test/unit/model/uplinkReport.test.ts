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
  it('of a box that means harm steers no terminal, and has moments that a date can be made of', () => {
    const good = report(GOOD);
    const [uplink] = good.uplinks;
    const said = (words: string) => ({
      ...good,
      uplinks: [{ ...uplink, checks: [{ check: 'nat', verdict: 'pass', sentence: words }] }],
    });
    expect(UplinkReport.safeParse(said('A NAT … as ever.')).success).toBe(true);
    for (const words of ['\u001b[2J', 'one\ntwo', '\u202egood'])
      expect(UplinkReport.safeParse(said(words)).success).toBe(false);
    for (const moment of [1e300, -1, 8.64e15 + 2])
      expect(UplinkReport.safeParse({ ...good, startedAtMs: moment }).success).toBe(false);
    expect(describeReport(UplinkReport.parse({ ...good, startedAtMs: 8.64e15 }))[0]).toContain('+275760');
  });
  it('of words that were not the box’s own is one the controller takes', () => {
    const why = 'the controller grants no probes (\u001b[31mred\n)';
    const { uplinks } = report({ ...GOOD, nat: undefined, probing: { kind: 'no-far-end', why } });
    const nat = uplinks[0]?.checks.find(({ check }) => check === 'nat');
    expect(nat?.sentence).toContain('grants no probes ( [31mred )');
  });
  it('is one line for an installer, with the worst of it', () => {
    expect(reportLine(report(GOOD))).toBe('internet (wan1) passes');
    expect(reportLine(report({ ...GOOD, neighbour: 'silent' }))).toBe(
      'internet (wan1) fails: The gateway 192.0.2.1 does not answer on wan1.',
    );
  });
});
