/** `npm run check`: the fast gates. One after the other: each of the long ones keeps two cores busy by itself. */
import { FAST_GATES, report, runGate, type GateResult } from './gates.ts';

const results: GateResult[] = [];
for (const gate of FAST_GATES) results.push(await runGate(gate));
process.exitCode = report(results);
