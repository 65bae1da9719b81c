/** `npm run check`: the fast gates. */
import { takeNoWords } from '../image/words.ts';
import { FAST_TESTS, report, runFastHalf } from './gates.ts';

takeNoWords(`usage: npm run check
  Takes no words. One test alone, for instance: npx vitest run --project fast test/unit/update/install.test.ts
example: npm run check
`);
process.exitCode = report(await runFastHalf(FAST_TESTS));
