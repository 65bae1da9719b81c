/** The controller away, and every process of a gateway killed: docs/failures.md row by row. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectApp } from './engine.ts';
import { askWhile, inNode, jsonIn, lab, pidOf, pings, streamWhile, tryIn, until } from './lab.ts';

const CONTROLLER_UNITS = [
  'branchbox-controller.service',
  'branchbox-signer.service',
  'branchbox-manufacturer.service',
];

interface Status {
  readonly paths: readonly { readonly state: string; readonly active: boolean; readonly uplink: string }[];
  readonly apps: readonly { readonly name: string; readonly state: string }[];
  readonly health: { readonly state: string; readonly conditions: readonly { readonly code: string }[] };
  readonly controller: { readonly connected: boolean };
}
const statusOf = (node: string) => jsonIn<Status>(node, 'branchbox', 'status', '--json');

const appAnswers = (from: string) =>
  until('the app answers', async () =>
    (await tryIn(from, ['curl', '-sf', '--max-time', '2', 'http://10.10.0.100/'])).stdout.includes('red-app'),
  );
const pathsUp = () =>
  until('every path is up', async () =>
    (await statusOf('branch1')).paths.every((path) => path.state === 'up'),
  );
const redReaches = () => until('red reaches red', () => pings('branch1-red', '10.10.0.12', 1));

describe('the controller away', () => {
  let whileItWent: { readonly received: number; readonly lost: number };
  beforeAll(async () => {
    await redReaches();
    whileItWent = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', 5, async () => {
      await inNode('controller', 'systemctl', 'stop', ...CONTROLLER_UNITS);
      await until('no controller answers', async () => {
        const listening = await inNode('controller', 'ss', '-Hltn');
        return !/:(8443|8444|8445|8446|8883) /.test(listening);
      });
      await until('branch1 knows that it is away', async () =>
        (await statusOf('branch1')).health.conditions.some(({ code }) => code === 'controller-unreachable'),
      );
    });
  });

  afterAll(async () => {
    await inNode('controller', 'systemctl', 'start', ...CONTROLLER_UNITS.toReversed());
    await until('branch1 has its controller again', async () => {
      const { conditions } = (await statusOf('branch1')).health;
      return !conditions.some((condition) => condition.code === 'controller-unreachable');
    });
  });

  it('costs not one tenant packet, and leaves segments and app as they are', async () => {
    expect(whileItWent.received).toBeGreaterThan(50);
    expect(whileItWent.lost).toBe(0);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
    await appAnswers('branch2-red');
  });

  it('still fails over', async () => {
    await lab('cut', 'branch1', 'internet');
    await until('traffic goes on by lte', () => pings('branch1-red', '10.10.0.12', 1));
    await lab('heal', 'branch1', 'internet');
  });

  it('lets an agent restart without touching traffic', async () => {
    const report = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', 5, async () => {
      await inNode('branch1', 'systemctl', 'restart', 'branchbox-agent.service');
      await until('the agent answers', async () => (await statusOf('branch1')).paths.length === 4);
    });
    expect(report.received).toBeGreaterThan(50);
    expect(report.lost).toBe(0);
    await appAnswers('branch1-red');
  });

  it('lets a whole gateway come up again from what it committed', async () => {
    await lab('restart', 'branch1');
    await redReaches();
    await appAnswers('branch2-red');
    const status = await until('its status knows that the controller is away', async () => {
      const now = await statusOf('branch1');
      return now.health.conditions.some((condition) => condition.code === 'controller-unreachable')
        ? now
        : undefined;
    });
    expect(status.apps).toMatchObject([{ name: 'red-app', state: 'running' }]);
  });
});

describe('a gateway restarted with its controller there', () => {
  it('comes up again with its tenants, and is known to be well', async () => {
    await lab('restart', 'branch1');
    await redReaches();
    await appAnswers('branch2-red');
    await until('it is well, connected to its controller', async () => {
      const { health, controller } = await statusOf('branch1');
      return controller.connected && health.state === 'ok';
    });
  });
});

/** By SIGKILL; resolves when another is there. `pid`: 0 where none runs. */
async function killedIn(node: string, what: string, pid: () => Promise<number>): Promise<void> {
  const before = await pid();
  expect(before, `${what} runs`).toBeGreaterThan(0);
  await inNode(node, 'kill', '-9', String(before));
  await until(`${what} is back`, async () => {
    const now = await pid();
    return now > 0 && now !== before;
  });
}

describe("a process killed at the controller's", () => {
  const broker = async (): Promise<number> => {
    const [pid = ''] = (await tryIn('controller', ['pgrep', '-x', 'mosquitto'])).stdout.split('\n');
    return Number(pid);
  };
  const whole = () =>
    until('the controller is whole, and both branches speak to it', async () => {
      const healthz = ['curl', '-skf', '-o', '/dev/null', 'https://localhost:8445/healthz'];
      if ((await tryIn('controller', healthz)).exitCode !== 0) return false;
      const told = await Promise.all(['branch1', 'branch2'].map(statusOf));
      return told.every(({ controller, health }) => controller.connected && health.state === 'ok');
    });

  it.each([
    ...CONTROLLER_UNITS.map((unit) => ({ what: unit, pid: () => pidOf('controller', unit) })),
    { what: 'mosquitto', pid: broker },
  ])('$what: comes back by itself, and not one tenant packet is lost', async ({ what, pid }) => {
    await whole();
    const report = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', 5, async () => {
      await killedIn('controller', what, pid);
      await whole();
    });
    expect(report.received).toBeGreaterThan(20);
    expect(report.lost).toBe(0);
  });
});

describe('a process killed on a gateway', () => {
  const killed = (unit: string): Promise<void> => killedIn('branch1', unit, () => pidOf('branch1', unit));

  // docs/failures.md states the gap of each: these have none.
  it.each([
    'branchbox-agent.service',
    'branchbox-identity.service',
    'dhcpcd@wan1.service',
    'frr-bfdd.service',
    'frr-mgmtd.service',
    'frr-staticd.service',
    'frr-zebra.service',
  ])('%s: comes back, and not one tenant packet is lost', async (unit) => {
    await redReaches();
    const report = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', 5, () => killed(unit));
    expect(report.received).toBeGreaterThan(20);
    expect(report.lost).toBe(0);
    await redReaches();
    await pathsUp();
  });

  // What these run is the app: it is asked all the while, and goes on as the process it was.
  it.each(['docker.service', 'containerd.service'])(
    '%s: comes back, and the app answers meanwhile',
    async (unit) => {
      await appAnswers('branch2-red');
      const { Pid: before } = (await inspectApp('branch1', 'red-app')).State;
      const report = await askWhile('branch2-red', 'http://10.10.0.100/', async () => {
        await killed(unit);
        await until('the engine knows the app', () => inspectApp('branch1', 'red-app'));
      });
      expect(report.asked).toBeGreaterThan(5);
      expect(report.failures).toEqual([]);
      expect((await inspectApp('branch1', 'red-app')).State).toMatchObject({ Running: true, Pid: before });
    },
  );

  // It holds routes itself: there is a gap, and it ends by itself.
  it('frr-bgpd.service: comes back, and traffic with it', async () => {
    await redReaches();
    await killed('frr-bgpd.service');
    await redReaches();
    await pathsUp();
  });

  it('WireGuard of the active path: traffic goes on by another, and the path comes back', async () => {
    await redReaches();
    const [route] = await jsonIn<{ dev: string }[]>(
      'branch1',
      'ip',
      '-j',
      'route',
      'get',
      '10.255.0.1',
      'from',
      '10.255.0.11',
    );
    const device = route?.dev ?? '';
    // A process where the kernel has no WireGuard, else a device of the kernel, which only somebody can take away.
    const inKernel = await inNode('branch1', 'ip', '-o', 'link', 'show', 'type', 'wireguard');
    if (inKernel.includes(` ${device}:`)) await inNode('branch1', 'ip', 'link', 'delete', 'dev', device);
    else await killed(`wireguard-go@${device}.service`);
    await redReaches();
    await pathsUp();
  });

  it('the app itself: its engine starts it again with the address it had', async () => {
    const { Pid: pid } = (await inspectApp('branch1', 'red-app')).State;
    await inNode('branch1', 'kill', '-9', String(pid));
    await appAnswers('branch2-red');
  });
});
