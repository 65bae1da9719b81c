/**
 * Owns the words of `branchbox test`: on a box, testing its uplinks and reading the last report.
 * Exit code 1 where an uplink fails.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { BranchboxError } from '../model/errors.ts';
import { describeReport, LocalUplinkTest, type UplinkReport } from '../model/uplinkReport.ts';
import { askAgent } from './askAgent.ts';
import { BUDGET_FLAG, BUDGET_HELP, uplinkTestRequest } from './uplinkTestRequest.ts';
import { print } from './terminal.ts';

const PATH = '/uplink-test';
const LOOK_INTERVAL_MS = 300;

interface Flags {
  readonly uplink?: string;
  readonly budget?: string;
  readonly json?: boolean;
  readonly last?: boolean;
}

export function register(program: Command): void {
  program
    .command('test')
    .description('tests of this box that take a while, and use its lines')
    .addHelpText('after', '\nexample: branchbox test uplinks')
    .command('uplinks')
    .description(
      'address, gateway, DNS, way to the controller, NAT, path MTU, loss, delay, jitter, bandwidth of each uplink',
    )
    .option('--uplink <name>', 'this one alone')
    .option(BUDGET_FLAG, BUDGET_HELP)
    .addOption(
      new Option('--last', 'tests nothing: prints the last report, of all uplinks').conflicts([
        'uplink',
        'budget',
      ]),
    )
    .option('--json', 'for programs: the report as one JSON object')
    .addHelpText('after', '\nexample: branchbox test uplinks --uplink lte --budget 131072')
    .action(async (flags: Flags) => {
      const report = flags.last === true ? await lastReport() : await testNow(flags);
      print(flags.json === true ? JSON.stringify(report) : describeReport(report).join('\n'));
      if (report.verdict === 'fail') process.exitCode = 1;
    });
}

async function lastReport(): Promise<UplinkReport> {
  const { report, running } = await askAgent(PATH, LocalUplinkTest);
  if (running !== undefined) process.stderr.write(`a test runs: uplink ${running.uplink}, ${running.step}\n`);
  if (report !== undefined) return report;
  throw new BranchboxError('uplink-test/nothing', {
    message: 'no uplink of this box was tested yet',
    mend: 'branchbox test uplinks',
  });
}

async function testNow(flags: Flags): Promise<UplinkReport> {
  const { running } = await askAgent(PATH, LocalUplinkTest, { body: uplinkTestRequest(flags) });
  const id = running?.id;
  for (let told = ''; ; ) {
    const now = await askAgent(PATH, LocalUplinkTest);
    if (now.running?.id !== id) {
      if (now.report !== undefined && now.report.id === id) return now.report;
      throw new BranchboxError('internal', { message: 'the test ended without a report' });
    }
    const step = `${now.running?.uplink ?? ''}: ${now.running?.step ?? ''}`;
    if (step !== told) process.stderr.write(`${step}\n`);
    told = step;
    await sleep(LOOK_INTERVAL_MS);
  }
}
