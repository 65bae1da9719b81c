/** `npm run check`: the fast gates. */
import { FAST_TESTS, report, runFastHalf } from './gates.ts';

process.exitCode = report(await runFastHalf(FAST_TESTS));
