/** What an uplink test asks of the kernel until that is sure. */
import { expect, it } from 'vitest';
import { createKernelRead } from '../../../src/wan/uplinkTest/kernelRead.ts';

const neighbour = (state: string): string =>
  JSON.stringify([{ dst: '192.0.2.1', lladdr: '02:00:00:00:00:01', state: [state] }]);
const PONG = '64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.061 ms';

/** `looks`: what `ip neigh` says, one after the other; the last stays. */
async function gateway(looks: readonly string[], pong = '') {
  let look = 0;
  let slept = 0;
  const kernel = createKernelRead(
    {
      run: (command) => {
        const stdout = command === 'ping' ? pong : (looks[Math.min(look, looks.length - 1)] ?? '');
        if (command === 'ip') look += 1;
        return Promise.resolve({ exitCode: 0, stdout, stderr: '' });
      },
    },
    { readText: () => Promise.resolve(undefined) },
    () => {
      slept += 1;
      return Promise.resolve();
    },
  );
  return { found: await kernel.neighbour('192.0.2.1', 'wan1', new AbortController().signal), slept };
}

it('a gateway that is gone is not known by the link address that it had', async () => {
  const failed = '[{"dst":"192.0.2.1","state":["FAILED"]}]';
  expect(await gateway([neighbour('DELAY'), neighbour('PROBE'), failed])).toEqual({
    found: 'silent',
    slept: 2,
  });
  expect(await gateway([neighbour('DELAY')])).toMatchObject({ found: 'silent' });
});

it('a gateway that answers no ping, and tells its link address when asked, is there', async () => {
  expect(await gateway([neighbour('DELAY'), neighbour('PROBE'), neighbour('REACHABLE')])).toMatchObject({
    found: 'answers',
  });
  expect(await gateway([neighbour('REACHABLE')])).toEqual({ found: 'answers', slept: 0 });
  expect(await gateway([neighbour('PERMANENT')])).toEqual({ found: 'answers', slept: 0 });
});

it('a gateway that answers a ping is there, and one that never had a link address is not', async () => {
  expect(await gateway([neighbour('DELAY')], PONG)).toEqual({ found: 'answers', slept: 0 });
  expect(await gateway(['[{"dst":"192.0.2.1","state":["INCOMPLETE"]}]'])).toEqual({
    found: 'silent',
    slept: 0,
  });
});
