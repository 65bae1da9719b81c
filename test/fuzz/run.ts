/**
 * `npm run fuzz`: mutants of real samples for every parser of outside input.
 * Owns the words of the command and its report. Does not own parsers (parsers.ts) nor running them (campaign.ts).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wordsOf } from '../../image/words.ts';
import { runCampaign } from './campaign.ts';
import { createJudge } from './judge.ts';
import { makeSamples } from './makeSamples.ts';
import { createParsers } from './parsers.ts';
import { SAMPLES_FILE } from './samples.ts';
import type { Finding } from './slice.ts';

const USAGE = `usage: npm run fuzz [-- --inputs N | --each N] [--seed S] [--parser NAME] [--processes P]
       npm run fuzz -- --parser NAME [--seed S] --at INDEX     one input of a run again
       npm run fuzz -- --parser NAME --input BASE64            any input
       npm run fuzz -- --make-samples                          signed samples anew (then no seed means the same)

  --inputs     for all parsers together (default 1000000), by their shares; a script of the box, which costs processes
               for each, has some hundred of them
  --each       instead: for each parser, and a thousandth of that for each script
  --seed       the same seed, the same inputs (default 1)
  --processes  parsers at a time (default 2)

A finding is an error that is not ours, more than 0.2 s of the processor, a hang, memory that grows or runs out, an
overlong error, a written prototype, or something taken that nobody signed. Exits with 1 where there is one. The result
is in out/fuzz/seed-S.json.

example: npm run fuzz -- --inputs 20000 --parser voucher --seed 7
`;
/** Longer ones stand in the result's file alone. */
const SHOWN_BASE64 = 2_000;

const values = wordsOf(process.argv.slice(2), {
  inputs: { type: 'string', default: '1000000' },
  each: { type: 'string' },
  seed: { type: 'string', default: '1' },
  processes: { type: 'string', default: '2' },
  parser: { type: 'string' },
  at: { type: 'string' },
  input: { type: 'string' },
  'make-samples': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
});
if (values === undefined) {
  process.stderr.write(USAGE);
  process.exit(2);
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const [inputs, seed, processes] = [values.each ?? values.inputs, values.seed, values.processes].map(Number);
const isCount = (value: number | undefined): value is number => Number.isInteger(value) && Number(value) > 0;

if (values['make-samples']) {
  writeFileSync(SAMPLES_FILE, `${JSON.stringify(makeSamples(), undefined, 2)}\n`);
  say(`written: ${SAMPLES_FILE}`);
} else if (values.help || !isCount(inputs) || !isCount(seed) || !isCount(processes)) {
  process.stderr.write(USAGE);
  process.exitCode = values.help ? 0 : 2;
} else {
  const all = createParsers();
  const parsers = all.filter(({ name }) => values.parser === undefined || name === values.parser);
  const [only] = parsers;
  if (only === undefined) {
    process.stderr.write(`no parser ${values.parser}; there are ${all.map(({ name }) => name).join(', ')}\n`);
    process.exitCode = 2;
  } else if (values.at !== undefined || values.input !== undefined) {
    const judge = await createJudge(only);
    const input =
      values.input === undefined ? judge.input(seed, Number(values.at)) : Buffer.from(values.input, 'base64');
    const verdict = await judge.judge(input);
    say(`${only.name}, ${input.length} bytes: ${JSON.stringify(verdict)}`);
    process.exitCode = verdict.kind === 'finding' ? 1 : 0;
  } else {
    const evenly = parsers.map((parser) => ({ ...parser, share: parser.share < 1 ? 1 / 1000 : 1 }));
    const shares = evenly.reduce((sum, { share }) => sum + share, 0);
    if (values.each === undefined) await campaign(inputs, seed, processes, parsers);
    else await campaign(inputs * shares, seed, processes, evenly);
  }
}

async function campaign(
  count: number,
  withSeed: number,
  atATime: number,
  parsers: ReturnType<typeof createParsers>,
): Promise<void> {
  say(`${parsers.length} parsers, ${Math.ceil(count)} inputs, seed ${withSeed}`);
  const startedAtMs = performance.now();
  let toldAtMs = startedAtMs;
  const reports = await runCampaign({
    parsers,
    inputs: count,
    seed: withSeed,
    processes: atATime,
    onPlace(parser, done, of) {
      if (performance.now() - toldAtMs < 10_000) return;
      toldAtMs = performance.now();
      say(`  …  ${parser}: ${done} of ${of}`);
    },
    onReport({ parser, inputs: ran, taken, refused, findings, durationMs }) {
      const codes = Object.entries(refused).map(([code, times]) => `${code} ${times}`);
      const mark = findings.length === 0 ? 'ok  ' : 'FAIL';
      const seconds = (durationMs / 1000).toFixed(1);
      say(`${mark} ${parser.padEnd(22)} ${ran} inputs, ${seconds} s: taken ${taken}, ${codes.join(', ')}`);
      for (const finding of findings) say(renderFinding(finding));
    },
  });
  const file = fileURLToPath(new URL(`../../out/fuzz/seed-${withSeed}.json`, import.meta.url));
  mkdirSync(dirname(file), { recursive: true });
  const durationMs = Math.round(performance.now() - startedAtMs);
  writeFileSync(file, `${JSON.stringify({ seed: withSeed, durationMs, reports }, undefined, 2)}\n`);
  const ran = reports.reduce((sum, report) => sum + report.inputs, 0);
  const findings = reports.reduce((sum, report) => sum + report.findings.length, 0);
  say(`${ran} inputs in ${Math.round(durationMs / 1000)} s, ${findings} findings; ${file}`);
  process.exitCode = findings === 0 ? 0 : 1;
}

function renderFinding({ parser, seed: of, index, what, inputBase64 }: Finding): string {
  if (index === undefined) return `  ${what}`;
  const shown =
    inputBase64.length <= SHOWN_BASE64
      ? inputBase64
      : `${inputBase64.slice(0, SHOWN_BASE64)}… (whole in the result)`;
  return [
    `  ${what}`,
    `    input: ${shown}`,
    `    again: npm run fuzz -- --parser ${parser} --seed ${of} --at ${index}`,
  ].join('\n');
}
