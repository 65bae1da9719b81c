/** What a box says of itself beside its certificate: to whom. */
import { describe, expect, it } from 'vitest';
import type { LogLine } from './box.ts';
import { createFaultBench } from './faultBench.ts';
import { json } from './servers.ts';

const bench = createFaultBench();

describe('claims of a box', () => {
  it('are told to a server that asks for them, once, and to nobody else', async () => {
    const { controller, box } = bench;
    const error = { 'error-type': 'application', 'error-tag': 'invalid-value' };
    const asking = { ...error, 'error-app-tag': 'branchbox-sztp:claims-wanted' };
    await box.files.writeDurable('/sys/class/net/wan1/address', '02:00:00:00:00:01\n');
    await box.files.writeDurable('/sys/class/net/lo/address', '00:00:00:00:00:00\n');
    await box.files.writeDurable('/sys/class/dmi/id/product_uuid', '4C4C4544-0000-2010-8020-80C04F202020\n');
    await box.files.writeDurable('/proc/sys/kernel/hostname', 'not a name!\n');
    controller.inputs.length = 0;
    let answers = 0;
    controller.behaviour.sztp = () => {
      answers += 1;
      return json({ 'ietf-restconf:errors': { error: [asking] } }, 404);
    };
    const failed = (line: LogLine): boolean => line.message === 'bootstrap step failed, trying again';
    await box.run({ controller, until: failed });
    expect(box.log.findLast(failed)?.fields['code']).toBe('bootstrap/refused');
    bench.mend();
    await box.run({ controller, until: 'LDEVID' });
    // Once more with it, and not without end.
    expect(answers).toBe(2);
    const claims = controller.inputs.map((body) => {
      const input: unknown = JSON.parse(body)['ietf-sztp-bootstrap-server:input']['branchbox-sztp:claims'];
      return input;
    });
    // The third is of the good server that follows.
    expect(claims).toEqual([
      undefined,
      { 'mac-address': ['02:00:00:00:00:01'], uuid: '4c4c4544-0000-2010-8020-80c04f202020' },
      undefined,
    ]);
  });
});
