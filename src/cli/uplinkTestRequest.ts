/**
 * Owns what the command line asks for in a test of uplinks, on the box or from its controller: which one, and what it may cost.
 * Does not own who is asked (test.ts, fleetReport.ts), nor the last word on a budget's bounds, which the box that tests has.
 */
import { BranchboxError } from '../model/errors.ts';
import { BUDGET_BYTES, type UplinkTestRequest } from '../model/uplinkReport.ts';

export const BUDGET_FLAG = '--budget <bytes>';
export const BUDGET_HELP = `bytes that one uplink may cost, ${BUDGET_BYTES.min} to ${BUDGET_BYTES.max} (default ${BUDGET_BYTES.usual}, metered ${BUDGET_BYTES.metered})`;

/** Throws cli/usage. */
export function uplinkTestRequest({
  uplink,
  budget,
}: {
  readonly uplink?: string;
  readonly budget?: string;
}): UplinkTestRequest {
  const { min, max } = BUDGET_BYTES;
  const budgetBytes = budget === undefined ? undefined : /^\d+$/.test(budget) ? Number(budget) : Number.NaN;
  if (budgetBytes !== undefined && !(budgetBytes >= min && budgetBytes <= max)) {
    throw new BranchboxError('cli/usage', {
      message: `--budget wants a number of bytes from ${min} to ${max}, not ${budget ?? ''}`,
      mend: 'write it in digits alone: --budget 131072 is 128 KiB',
    });
  }
  return {
    ...(uplink === undefined ? {} : { uplink }),
    ...(budgetBytes === undefined ? {} : { budgetBytes }),
  };
}
