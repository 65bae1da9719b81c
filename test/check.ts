/** `npm run check`: the fast gates. */
import { FAST_GATES, report, runGate, type GateResult } from './gates.ts';

const [types, typesPure, lint, format, deadCode, fastTests] = FAST_GATES;
const results: GateResult[] = [];
// Two at a time at most: the machines have two cores. The long one first, the short ones beside it.
const beside = (async () => {
  for (const gate of [types, typesPure, lint, format, deadCode]) if (gate) results.push(await runGate(gate));
})();
if (fastTests) results.push(await runGate(fastTests));
await beside;
process.exitCode = report(results);
