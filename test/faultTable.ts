/**
 * A reporter of vitest: prints the fault table of bootstrap (test/unit/bootstrap/faults) at the end of a run: each row,
 * what the box must do, what was seen, what the installer is told. Does not own any row.
 */
import type { Reporter, TestModule } from 'vitest/node';

// oxlint-disable-next-line import/no-default-export -- vitest takes a reporter by its default export
export default class FaultTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = modules.flatMap((module) =>
      [...module.children.allTests()].flatMap((test) => {
        const line = test.meta().faultLine;
        return line === undefined ? [] : [{ line, ok: test.result().state === 'passed' }];
      }),
    );
    if (rows.length === 0) return;
    const good = rows.filter(({ ok }) => ok).length;
    console.log(`\nFault table of bootstrap: ${rows.length} rows, ${good} ok\n`);
    for (const { line, ok } of rows) {
      console.log(`${ok ? 'ok  ' : 'FAIL'} ${line.area}: ${line.fault}`);
      console.log(`       must  ${line.must}`);
      console.log(`       seen  ${line.outcome}`);
      if (line.told !== '') console.log(`       told  ${line.told}`);
    }
  }
}
