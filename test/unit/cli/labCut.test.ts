/** What `lab cut` takes for a share, held against what nft can count. */
import { expect, it } from 'vitest';
import { renderFault } from '../../../src/lab/faults.ts';
import { loadCommandLine, nameOf, withSubcommands } from './commandLine.ts';

const root = await loadCommandLine();
const command = withSubcommands(root).find((one) => nameOf(one) === 'branchbox lab cut');
const option = command?.options.find(({ long }) => long === '--loss');
const parse = (text: string): unknown => option?.parseArg?.(text, undefined);

it.each(['0.01', '2.5', '99.99', '100'])('%s percent are lost as told', (text) => {
  const lossPercent = Number(text);
  expect(parse(text)).toBe(lossPercent);
  const drops = renderFault('port4', { lossPercent, carrier: false });
  const shares = [...drops.matchAll(/numgen random mod 10000 < (\d+) drop/g)].map(([, share]) =>
    Number(share),
  );
  expect(new Set(shares)).toEqual(new Set(lossPercent === 100 ? [] : [Math.round(lossPercent * 100)]));
});

it.each(['0', '0.00', '0.004', '99.999', '101', '-1', '1e1', '', 'x'])('"%s" is refused', (text) => {
  expect(() => parse(text)).toThrow('in hundredths at the finest');
});
