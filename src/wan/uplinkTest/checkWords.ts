/**
 * Owns the form of a check's result and how its numbers are written. Pure.
 */
import type { CheckResult, UplinkCheck } from '../../model/uplinkReport.ts';

export function result(
  check: UplinkCheck,
  verdict: CheckResult['verdict'],
  sentence: string,
  mend?: string,
): CheckResult {
  // An error's words may be anybody's.
  const plain = (text: string): string => text.replaceAll(/\p{C}/gu, ' ');
  const short = (text: string): string => plain(text.length <= 400 ? text : `${text.slice(0, 399)}…`);
  return { check, verdict, sentence: short(sentence), ...(mend === undefined ? {} : { mend: short(mend) }) };
}

export const ms = (value: number): string =>
  `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ms`;
