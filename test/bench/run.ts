/** `npm run bench -- NAME [N]`: one bench, its table on the screen and its figures in out/bench/NAME.json. */
const BENCHES = [
  'failover',
  'throughput',
  'apply',
  'footprint',
  'status',
  'boot',
  'bootstrap',
  'flood',
] as const;
const USAGE = `usage: npm run bench -- ${BENCHES.join(' | ')} [CASE] [N]
  N     how often each case is measured (default: failover 10, throughput 3, apply 5, footprint 1, status 10,
        boot 5, bootstrap 5, flood 3)
  CASE  of bootstrap alone: one-box, or storm-COUNT (1 to 1,000 boxes at once); without it one-box and storm-1000
  The benches of the lab use the lab named by BRANCHBOX_TEST_LAB (default: bench), which they bring up and take down;
  BRANCHBOX_TEST_KEEP=1 leaves it up. boot, storm-COUNT and flood need none.
examples: npm run bench -- failover 20
          npm run bench -- bootstrap storm-200`;
const MAX_STORM = 1_000;

process.env['BRANCHBOX_TEST_LAB'] ??= 'bench';
const [name, ...words] = process.argv.slice(2);
const kase = name === 'bootstrap' ? words.find((word) => !/^\d+$/.test(word)) : undefined;
const count = words.find((word) => word !== kase);
const times = count === undefined ? undefined : Number(count);
const stormOf = (text: string): number => Number(/^storm-(\d+)$/.exec(text)?.[1] ?? Number.NaN);
const boxes = kase === undefined ? MAX_STORM : stormOf(kase);
if (
  !BENCHES.some((bench) => bench === name) ||
  words.length > (kase === undefined ? 1 : 2) ||
  (kase !== undefined && kase !== 'one-box' && !(boxes > 0 && boxes <= MAX_STORM)) ||
  (times !== undefined && !(Number.isInteger(times) && times > 0))
) {
  console.error(USAGE);
  process.exit(name === '--help' ? 0 : 2);
}

const { publish } = await import('./result.ts');
if (name === 'boot') publish(name, await (await import('./boot.ts')).measureBoot(times ?? 5));
else if (name === 'flood') publish(name, await (await import('./flood.ts')).measureFlood(times ?? 3));
else if (name === 'bootstrap') {
  const storm = async () => (await import('./storm.ts')).measureStorm(boxes);
  const stormRows = kase === 'one-box' ? [] : await storm();
  if (kase !== undefined && kase !== 'one-box') publish(name, stormRows);
  else {
    await inLab(async () => {
      const { measureOneBox } = await import('./oneBox.ts');
      publish(name, [...(await measureOneBox(times ?? 5)), ...stormRows]);
    });
  }
} else {
  await inLab(async () => {
    if (name === 'failover')
      publish(name, await (await import('./failover.ts')).measureFailover(times ?? 10));
    if (name === 'throughput')
      publish(name, await (await import('./throughput.ts')).measureThroughput(times ?? 3));
    if (name === 'apply') publish(name, await (await import('./apply.ts')).measureApply(times ?? 5));
    if (name === 'status') publish(name, await (await import('./status.ts')).measureStatus(times ?? 10));
    if (name === 'footprint') publish(name, await (await import('./footprint.ts')).measureFootprint());
  });
}

async function inLab(measure: () => Promise<void>): Promise<void> {
  const { setup, teardown } = await import('../lab/mainjob/setup.ts');
  setup();
  try {
    await measure();
  } finally {
    teardown();
  }
}
