/** Desired states that must be refused or taken back, put on the box's topic by the real broker. */
import { describe, expect, it } from 'vitest';
import { selfSignedCa } from '../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { api, editFleet, fleetGateway, readFleet, type FleetDocument } from './fleet.ts';
import { committedPayload, configurationSigner, ownerSigner, publishDesired, sign } from './forge.ts';
import { inNode, jsonIn, pidOf, pings, until } from './lab.ts';

interface Status {
  readonly committed?: { readonly generation: number; readonly digest: string };
  readonly trial?: { readonly generation: number };
  readonly health: { readonly conditions: readonly { readonly code: string }[] };
  readonly refused?: {
    readonly reason: string;
    readonly digest: string;
    readonly overAtMs?: number;
    readonly problems: readonly { readonly path: string; readonly message: string }[];
  };
}
const BOX = 'branch2';
const statusOf = () => jsonIn<Status>(BOX, 'branchbox', 'status', '--json');
const refusedAs = (reason: string, not?: string) =>
  until(`${BOX} refuses as ${reason}`, async () => {
    const { refused } = await statusOf();
    return refused?.reason === reason && refused.digest !== not ? refused : undefined;
  });

describe('a desired state that may not be', () => {
  const cases = [
    {
      name: 'malformed: every problem is named by its path',
      reason: 'malformed',
      forge: (payload: Awaited<ReturnType<typeof committedPayload>>) => ({
        ...payload,
        generation: payload.generation + 50,
        surprise: true,
        spec: { ...payload.spec, vtep: '010.1.2.3', uplinks: [] },
      }),
      paths: ['$.spec.uplinks', '$.spec.vtep', '$.surprise'],
    },
    {
      name: 'of an older generation',
      reason: 'stale',
      forge: (payload: Awaited<ReturnType<typeof committedPayload>>) => ({
        ...payload,
        generation: payload.generation - 1,
        notBefore: 1,
      }),
      paths: ['$'],
    },
    {
      name: 'for another box',
      reason: 'other-box',
      forge: (payload: Awaited<ReturnType<typeof committedPayload>>) => ({
        ...payload,
        gatewayId: 'branch1',
        generation: payload.generation + 50,
      }),
      paths: ['$'],
    },
  ];

  it.each(cases)('is refused where it is $name', async ({ reason, forge, paths }) => {
    const before = await statusOf();
    const links = await inNode(BOX, 'ip', '-br', 'link');
    await publishDesired(BOX, sign(forge(await committedPayload(BOX)), await configurationSigner()));
    const refused = await refusedAs(reason, before.refused?.digest);
    const named = refused.problems.map((problem) => problem.path).sort((a, b) => (a < b ? -1 : 1));
    for (const path of paths)
      expect(
        named.some((name) => name.startsWith(path)),
        `${path} in ${named.join(' ')}`,
      ).toBe(true);
    expect((await statusOf()).committed).toEqual(before.committed);
    expect(await inNode(BOX, 'ip', '-br', 'link')).toBe(links);
  });

  it('is refused where it is signed by a stranger, or under the domain for another purpose', async () => {
    const payload = await committedPayload(BOX);
    const newer = { ...payload, generation: payload.generation + 60 };
    const { privateKey } = generateKeyPair();
    const nowMs = Date.now();
    const certificate = selfSignedCa({
      commonName: 'somebody',
      key: privateKey,
      validity: { notBeforeMs: nowMs - 3_600_000, notAfterMs: nowMs + 86_400_000 },
    });
    const before = await statusOf();
    await publishDesired(BOX, sign(newer, { key: privateKey, certificate, chain: [] }));
    const stranger = await refusedAs('untrusted', before.refused?.digest);
    await publishDesired(BOX, sign(newer, await ownerSigner()));
    await refusedAs('untrusted', stranger.digest);
    expect((await statusOf()).committed).toEqual(before.committed);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
    // The forger ended the controller's session; with the next one the controller publishes what the box holds.
    await until('nothing is to be mended any more, and what was refused stays told', async () => {
      const { refused, health } = await statusOf();
      const isJudged = health.conditions.some(({ code }) => code === 'desired-refused');
      return refused?.reason === 'untrusted' && refused.overAtMs !== undefined && !isJudged;
    });
  });
});

describe('a sound desired state whose trial is cut short', () => {
  it('is tried again after the agent was killed in it, and committed', async () => {
    const before = await statusOf();
    const sound: FleetDocument = structuredClone((await readFleet()).fleet);
    const agent = await pidOf(BOX, 'branchbox-agent.service');
    const trial = '/var/lib/branchbox/agent/trial.json';
    // In the box, since a trial that goes well is over soon; ended by the kill or by the test's own limit.
    const killed = inNode(
      BOX,
      'sh',
      '-c',
      `until [ -e ${trial} ]; do :; done; kill -9 ${agent}; cat ${trial}`,
    );
    await editFleet((fleet) => {
      fleetGateway(fleet, BOX).ports.push({ port: 'lan3', segment: 'red' });
    });
    const { generation } = JSON.parse(await killed);
    expect(generation).toBeGreaterThan(before.committed?.generation ?? 0);
    await until('the state that was cut short is committed', async () => {
      const { committed, trial: ongoing, refused } = await statusOf();
      return committed?.generation === generation && ongoing === undefined && refused === undefined;
    });
    expect(await pidOf(BOX, 'branchbox-agent.service')).not.toBe(agent);
    await editFleet((fleet) => {
      fleet.gateways = sound.gateways;
    });
    await until('the ports are as before', async () => {
      const { committed, trial: ongoing } = await statusOf();
      return (committed?.generation ?? 0) > generation && ongoing === undefined;
    });
  });
});

describe('a desired state that cuts the box off from its controller', () => {
  it('is taken back by the box itself, reported, not tried again, and a mended one is taken', async () => {
    const before = await statusOf();
    const sound: FleetDocument = structuredClone((await readFleet()).fleet);
    await editFleet((fleet) => {
      fleetGateway(fleet, BOX).uplinks.forEach((uplink, i) => {
        uplink.static = { address: `192.0.2.${i * 64 + 10}/26`, gateway: `192.0.2.${i * 64 + 1}` };
      });
    });
    await until('the trial begins', async () => (await statusOf()).trial !== undefined);
    const refused = await until(
      'the box went back',
      async () => {
        const status = await statusOf();
        return status.trial === undefined && status.refused?.reason === 'rolled-back'
          ? status.refused
          : undefined;
      },
      // 60 s of trial, and what comes before and after it.
      90_000,
    );
    expect((await statusOf()).committed).toEqual(before.committed);
    await until('red is reached again', () => pings('branch1-red', '10.10.0.12', 1));
    await until('the controller knows', async () =>
      JSON.stringify((await api('GET', `/api/v1/gateways/${BOX}/status`)).body).includes('rolled-back'),
    );

    // The retained message comes back with every connection: the box must not loop.
    await inNode(BOX, 'systemctl', 'restart', 'branchbox-agent.service');
    const again = await until('the message came again and was refused again', async () => {
      const status = await statusOf();
      return status.refused?.digest === refused.digest ? status : undefined;
    });
    expect(again.trial).toBeUndefined();
    expect(again.committed).toEqual(before.committed);

    await editFleet((fleet) => {
      fleet.gateways = sound.gateways;
    });
    await until('the mended state is committed', async () => {
      const { committed } = await statusOf();
      return committed !== undefined && committed.generation > (before.committed?.generation ?? 0);
    });
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
  });
});
