/**
 * Owns the words of `branchbox fleet report`: a gateway's last uplink test as the controller has it, or a new one.
 * Exit code 1 where an uplink fails.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { describeReport, UplinkReport } from '../model/uplinkReport.ts';
import { BUDGET_FLAG, BUDGET_HELP, uplinkTestRequest } from './uplinkTestRequest.ts';
import { ACCESS_EXAMPLE, type Access, callApi, gatewayPath, jsonCall, withAccess } from './controllerApi.ts';
import { print } from './terminal.ts';

const Reports = z.array(z.object({ receivedAtMs: z.number(), report: UplinkReport }));
const LOOK_INTERVAL_MS = 1_000;
/** The newest ones, as many as a box may have to send at once. */
const REPORTS_LOOKED_AT = 3;
/** 15 uplinks of a minute each would take longer; who has so many looks again later. */
const PATIENCE_MS = 180_000;

interface Flags extends Access {
  readonly test?: boolean;
  readonly uplink?: string;
  readonly budget?: string;
  readonly json?: boolean;
}

export function registerReport(fleet: Command): void {
  withAccess(fleet.command('report <gateway>'))
    .description('prints the last test of a gateway’s uplinks, as an installer reads it')
    .option('--test', 'has the gateway test now, and waits for the report')
    .option('--uplink <name>', 'with --test: this one alone')
    .option(BUDGET_FLAG, `with --test: ${BUDGET_HELP}`)
    .option('--json', 'for programs: the report as one JSON object')
    .addHelpText('after', `\nexample: branchbox fleet report branch1 --test ${ACCESS_EXAMPLE}`)
    .action(async (gateway: string, flags: Flags) => {
      if (flags.test !== true && (flags.uplink ?? flags.budget) !== undefined) {
        throw new BranchboxError('cli/usage', {
          message: `${flags.uplink === undefined ? '--budget' : '--uplink'} says how to test, and without --test nothing is tested`,
          mend: 'add --test, or leave it out: the last report is of all uplinks that were tested',
        });
      }
      const before = await reportsOf(flags, gateway);
      const report = flags.test === true ? await testNow(flags, gateway, before) : before[0];
      if (report === undefined) {
        throw new BranchboxError('controller/not-found', {
          message: `${gateway} has sent no report yet`,
          mend: 'ask for a test: --test',
        });
      }
      const text = flags.json === true ? JSON.stringify(report) : describeReport(report).join('\n');
      print(text);
      if (report.verdict === 'fail') process.exitCode = 1;
    });
}

/** Newest first. */
async function reportsOf(access: Access, gateway: string): Promise<readonly UplinkReport[]> {
  const path = gatewayPath(gateway, `/uplink-reports?limit=${REPORTS_LOOKED_AT}`);
  const text = await callApi(access, { method: 'GET', path });
  return decodeJson(Reports, text, "the controller's answer").map(({ report }) => report);
}

/** The report that was ordered: a box also sends others, such as one that it made before it was connected. */
export const orderedSince = (
  now: readonly UplinkReport[],
  before: readonly UplinkReport[],
): UplinkReport | undefined =>
  now.find(({ id, occasion }) => occasion === 'ordered' && before.every((one) => one.id !== id));

async function testNow(
  flags: Flags,
  gateway: string,
  before: readonly UplinkReport[],
): Promise<UplinkReport> {
  await callApi(flags, jsonCall('POST', gatewayPath(gateway, '/uplink-tests'), uplinkTestRequest(flags)));
  process.stderr.write(`${gateway} tests its uplinks\n`);
  const endsAtMs = performance.now() + PATIENCE_MS;
  while (performance.now() < endsAtMs) {
    const report = orderedSince(await reportsOf(flags, gateway), before);
    if (report !== undefined) return report;
    await sleep(LOOK_INTERVAL_MS);
  }
  throw new BranchboxError('controller/unreachable', {
    message: `${gateway} began a test and has not reported in ${PATIENCE_MS / 1000} s`,
    mend: 'ask for the report again later, without --test',
  });
}
