/** Owns the form of one finding of a box's health: a condition that does not know yet since when it is. Pure. */
import type { Condition } from '../model/status.ts';

export type Finding = Omit<Condition, 'sinceMs'>;

export const finding = (
  code: Condition['code'],
  severity: Condition['severity'],
  subject: string,
  sentence: string,
): Finding => ({ code, severity, subject, sentence });
