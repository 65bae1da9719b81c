/** Segments join hosts across sites and keep tenants apart, the negative shown by first letting it. */
import { describe, expect, it } from 'vitest';
import { inNode, pings, tryIn, until } from './lab.ts';
import { editFleet, fleetGateway } from './fleet.ts';

/** An address that only branch2-red has: whoever reaches it, reached red. */
const ONLY_RED = '10.10.0.50';

describe('segments', () => {
  it('join red hosts of two branches in one subnet, by ARP', async () => {
    await inNode('branch1-red', 'ip', 'neigh', 'flush', 'all');
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
    const seen = await inNode('branch1-red', 'ip', '-o', 'neigh', 'show', '10.10.0.12');
    const remote = await inNode('branch2-red', 'cat', '/sys/class/net/eth0/address');
    expect(seen).toContain(remote.trim());
  });

  it('give blue the same addresses without ever meeting red', async () => {
    await inNode('branch1-blue', 'ip', 'neigh', 'flush', 'all');
    expect(await pings('branch1-blue', '10.10.0.12')).toBe(true);
    const seen = await inNode('branch1-blue', 'ip', '-o', 'neigh', 'show', '10.10.0.12');
    const blue = await inNode('branch2-blue', 'cat', '/sys/class/net/eth0/address');
    expect(seen).toContain(blue.trim());
  });

  it('keep blue out of red, which the same probe reaches once its port is moved into red', async () => {
    await inNode('branch2-red', 'ip', 'address', 'replace', `${ONLY_RED}/24`, 'dev', 'eth0');
    try {
      expect(await pings('branch1-red', ONLY_RED)).toBe(true);
      expect(
        (await tryIn('branch1-blue', ['ping', '-c', '5', '-i', '0.2', '-W', '1', ONLY_RED])).exitCode,
      ).not.toBe(0);

      // The negative can fail: with the port in red the very same command succeeds. Branch 1's red host
      // has the same address as its blue one, so it makes room for the while.
      await inNode('branch1-red', 'ip', 'link', 'set', 'eth0', 'down');
      await editFleet((fleet) => {
        for (const port of fleetGateway(fleet, 'branch1').ports)
          if (port.port === 'lan2') port.segment = 'red';
      });
      await until('the moved port reaches red', async () => await pings('branch1-blue', ONLY_RED, 1));
      await editFleet((fleet) => {
        for (const port of fleetGateway(fleet, 'branch1').ports)
          if (port.port === 'lan2') port.segment = 'blue';
      });
      await until('the port is back in blue', async () => !(await pings('branch1-blue', ONLY_RED, 1)));
    } finally {
      await inNode('branch2-red', 'ip', 'address', 'del', `${ONLY_RED}/24`, 'dev', 'eth0');
      await inNode('branch1-red', 'ip', 'link', 'set', 'eth0', 'up');
    }
    await until('blue is whole again', async () => await pings('branch1-blue', '10.10.0.12', 1));
    await until('red is whole again', async () => await pings('branch1-red', '10.10.0.12', 1));
  });
});
