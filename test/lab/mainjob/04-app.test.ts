/** The tenant's app: reachable by its tenant alone, limited, wired before it starts. */
import { describe, expect, it } from 'vitest';
import { inspectApp } from './engine.ts';
import { fleetGateway, labInfo, readFleet } from './fleet.ts';
import { inNode, jsonIn, pings, tryIn, until } from './lab.ts';

const APP = 'http://10.10.0.100/';
const curl = (...more: string[]) => [
  'curl',
  '-s',
  '-S',
  '--connect-timeout',
  '3',
  '--max-time',
  '5',
  ...more,
];

describe('the app of tenant red', () => {
  it.each(['branch1-red', 'branch2-red'])('says its name to %s', async (host) => {
    const page = await until('the app answers', async () => {
      const ended = await tryIn(host, curl(APP));
      return ended.exitCode === 0 ? ended.stdout : undefined;
    });
    expect(page).toContain('red-app');
  });

  it.each(['branch1-blue', 'branch2-blue'])('is not there for %s', async (host) => {
    expect((await tryIn(host, curl(APP))).exitCode).not.toBe(0);
  });

  it('is not on the internet: neither by its own address nor on an uplink of its gateway', async () => {
    // Who asks there gets an answer where there is one.
    const { endpoints } = await labInfo();
    const there = new URL('/', endpoints.api.url).href;
    expect((await tryIn('internet-host', curl('-k', '-o', '/dev/null', there))).exitCode).toBe(0);
    expect((await tryIn('internet-host', curl(APP))).exitCode).not.toBe(0);
    const addresses = await jsonIn<{ addr_info: { family: string; local: string }[] }[]>(
      'branch1',
      'ip',
      '-j',
      'addr',
      'show',
      'dev',
      'wan1',
    );
    const address = addresses.flatMap((link) => link.addr_info).find((info) => info.family === 'inet')?.local;
    expect(address).toMatch(/^198\.51\.100\./);
    // The gateway is reached there, and nothing answers as the app does.
    expect(await pings('internet-host', address ?? '')).toBe(true);
    expect((await tryIn('internet-host', curl(`http://${address}/`))).exitCode).not.toBe(0);
    expect((await tryIn('branch1-red', curl(APP))).exitCode).toBe(0);
  });

  it('is held to the memory and CPU that the fleet gives it', async () => {
    const container = await inspectApp('branch1', 'red-app');
    const wanted = fleetGateway((await readFleet()).fleet, 'branch1').apps.find(
      ({ name }) => name === 'red-app',
    );
    expect(container.HostConfig.Memory).toBe((wanted?.memoryMiB ?? 0) * 1024 * 1024);
    expect(container.HostConfig.NanoCpus).toBe((wanted?.cpus ?? 0) * 1e9);
    expect(wanted).toMatchObject({ memoryMiB: 64, cpus: 0.5 });
  });

  it('had its address before its first process: that wrote down which there were', async () => {
    expect((await inspectApp('branch1', 'red-app')).HostConfig.NetworkMode).toMatch(/^container:/);
    const atStart = await tryIn('branch1-red', curl(`${APP}at-start`));
    expect(atStart.exitCode).toBe(0);
    expect(atStart.stdout).toMatch(/ inet 10\.10\.0\.100\/24 /);
  });

  it('has an engine where it runs, and a box without apps has none', async () => {
    const engineOf = async (node: string) =>
      (await tryIn(node, ['systemctl', 'is-active', 'docker.service'])).stdout;
    expect(await engineOf('branch1')).toMatch(/^active/);
    expect(await engineOf('branch2')).toMatch(/^inactive/);
    expect(await engineOf('hub')).toMatch(/^inactive/);
  });

  it('sees an engine come to a box that had none, and go', async () => {
    const engineOf = async () =>
      (
        await jsonIn<{ readonly facts: { readonly engine?: object } }>(
          'branch2',
          'branchbox',
          'status',
          '--json',
        )
      ).facts.engine;
    expect(await engineOf()).toBeUndefined();
    await inNode('branch2', 'systemctl', 'start', 'docker.service');
    await until('the engine is seen', async () => (await engineOf()) !== undefined);
    await inNode('branch2', 'systemctl', 'stop', 'docker.service', 'containerd.service');
    await until('its end is seen', async () => (await engineOf()) === undefined);
  });

  it('left no rule of the engine behind, and no bridge', async () => {
    const ruleset = await inNode('branch1', 'nft', 'list', 'ruleset');
    expect(ruleset).not.toMatch(/DOCKER|docker/);
    expect((await tryIn('branch1', ['ip', 'link', 'show', 'docker0'])).exitCode).not.toBe(0);
  });
});
