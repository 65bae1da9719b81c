/** Owns the form of one finding of a box's health: a condition without the time since which it holds. Pure. */
import type { Condition } from '../model/status.ts';

export type Finding = Omit<Condition, 'sinceMs'>;

export const finding = (
  code: Condition['code'],
  severity: Condition['severity'],
  subject: string,
  sentence: string,
): Finding => ({ code, severity, subject, sentence });
