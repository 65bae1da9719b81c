/** `npm run bench -- NAME [N]`: one bench, its table on the screen and its figures in out/bench/NAME.json. */
const BENCHES = ['failover', 'throughput', 'apply', 'footprint', 'status', 'boot'] as const;
const USAGE = `usage: npm run bench -- ${BENCHES.join(' | ')} [N]
  N   how often each case is measured (default: failover 10, throughput 3, apply 5, footprint 1, status 10,
      boot 5)
  The benches of the lab use the lab named by BRANCHBOX_TEST_LAB (default: bench), which they bring up and take down;
  BRANCHBOX_TEST_KEEP=1 leaves it up.
example: npm run bench -- failover 20`;

process.env['BRANCHBOX_TEST_LAB'] ??= 'bench';
const [name, count] = process.argv.slice(2);
const times = count === undefined ? undefined : Number(count);
if (
  !BENCHES.some((bench) => bench === name) ||
  (times !== undefined && !(Number.isInteger(times) && times > 0))
) {
  console.error(USAGE);
  process.exit(name === '--help' ? 0 : 2);
}

const { publish } = await import('./result.ts');
if (name === 'boot') publish(name, await (await import('./boot.ts')).measureBoot(times ?? 5));
else await inLab();

async function inLab(): Promise<void> {
  const { setup, teardown } = await import('../lab/mainjob/setup.ts');
  setup();
  try {
    if (name === 'failover')
      publish(name, await (await import('./failover.ts')).measureFailover(times ?? 10));
    if (name === 'throughput')
      publish(name, await (await import('./throughput.ts')).measureThroughput(times ?? 3));
    if (name === 'apply') publish(name, await (await import('./apply.ts')).measureApply(times ?? 5));
    if (name === 'status') publish(name, await (await import('./status.ts')).measureStatus(times ?? 10));
    if (name === 'footprint') publish(name, await (await import('./footprint.ts')).measureFootprint());
  } finally {
    teardown();
  }
}
