/** The read-outs as a script gets them, held against the schemas of docs/schema. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ActivationMade } from '../../../src/cli/fleetInventory.ts';
import { FleetOverview } from '../../../src/controller/overview.ts';
import { LabEvent } from '../../../src/lab/events.ts';
import { tryDecode } from '../../../src/model/decode.ts';
import { ErrorReadout } from '../../../src/model/errorReadout.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import { Explanation, ItemList, LocalPlan } from '../../../src/model/localStatus.ts';
import { READOUTS } from '../../golden/schema/readouts.ts';
import { api, editFleet, fleetGateway, labInfo } from './fleet.ts';
import { branchbox, inNode, jsonIn, LAB, lab, root, tryIn, until } from './lab.ts';

/** `branchbox fleet WORDS --json` of somebody in the internet. */
async function ofFleet(...words: readonly string[]): Promise<string> {
  const { endpoints, anchors, adminCredential } = await labInfo();
  const put = (file: string, from: string) =>
    tryIn('internet-host', ['sh', '-c', `umask 077; cat >/run/${file}`], readFileSync(from, 'utf8'));
  await put('ca.pem', anchors.domain);
  await put('credential', adminCredential);
  const access = ['--api', endpoints.api.url, '--ca', '/run/ca.pem', '--credential', '/run/credential'];
  return inNode('internet-host', 'branchbox', 'fleet', ...words, ...access, '--json');
}

describe('what scripts read', () => {
  it.each(READOUTS.filter(({ command }) => command !== undefined))(
    '$name fits its committed schema',
    async ({ schema, command = [] }) => {
      // `lab status` ends with 1 while a box is not well: another test may just have healed something.
      const text = await until(`${command.join(' ')} ends well`, () =>
        command[0] === 'lab' ? lab(...command.slice(1)) : inNode('branch1', ...command),
      );
      const decoded = tryDecode(schema, JSON.parse(text));
      expect(decoded.ok ? [] : decoded.problems).toEqual([]);
    },
  );

  it('gives a command in a node a pipe that waits for its reader', async () => {
    // Octal, as open(2) has them: 04000 is O_NONBLOCK.
    const flags = /^flags:\s*(\d+)$/m.exec(await inNode('branch1', 'cat', '/proc/self/fdinfo/1'))?.[1];
    expect(Number.parseInt(flags ?? '7777', 8) & 0o4000).toBe(0);
  });

  it('includes what an item waits for that the box does not have', async () => {
    const portOf = (change: (ports: { port: string; segment: string }[]) => void) =>
      editFleet((fleet) => change(fleetGateway(fleet, 'branch1').ports));
    const gate = 'external:port/lan9';
    await portOf((ports) => ports.push({ port: 'lan9', segment: 'red' }));
    try {
      const plan = await until('the plan has a blocked item', async () => {
        const found = LocalPlan.parse(await jsonIn('branch1', 'branchbox', 'plan', '--json'));
        return found.blocked.some(({ missing }) => missing.includes(gate)) ? found : undefined;
      });
      const blocked = plan.blocked.find(({ missing }) => missing.includes(gate))?.id ?? '';
      expect(plan.text).toContain(`! ${blocked}`);
      const why = await until('the box knows it too', async () => {
        const found = Explanation.parse(await jsonIn('branch1', 'branchbox', 'explain', blocked, '--json'));
        return found.state === 'blocked' ? found : undefined;
      });
      expect(why.sentence).toContain('No interface of this box is port lan9');
      expect(why.needs).toContainEqual(expect.objectContaining({ id: gate, state: 'missing' }));
      const missing = Explanation.parse(await jsonIn('branch1', 'branchbox', 'explain', gate, '--json'));
      expect(missing).toMatchObject({ state: 'missing', sentence: expect.stringContaining('port lan9') });
      expect(missing.neededBy).toContain(blocked);
      expect(await inNode('branch1', 'branchbox', 'explain')).toMatch(/^ *external:port\/lan9 +missing/m);
    } finally {
      await portOf((ports) => ports.pop());
    }
    await until('nothing waits any more', async () => {
      const { blocked } = LocalPlan.parse(await jsonIn('branch1', 'branchbox', 'plan', '--json'));
      return blocked.length === 0;
    });
  });

  it('tells of a gateway whose agent is away: `lab status` ends with 1, and the box says an error', async () => {
    const labStatus = () => branchbox(['lab', 'status', '--lab', LAB]);
    await until('all is well', async () => (await labStatus()).exitCode === 0);
    await inNode('branch1', 'systemctl', 'stop', 'branchbox-agent.service');
    try {
      const away = await labStatus();
      expect(away.exitCode).toBe(1);
      expect(away.stderr).toContain('branch1: its agent does not answer');
      expect(away.stdout).toMatch(/^branch1 +branch +silent/m);
      const refused = await tryIn('branch1', ['branchbox', 'status', '--json']);
      expect(refused.exitCode).toBe(1);
      expect(ErrorReadout.parse(JSON.parse(refused.stdout)).error.code).toBe('system/file');
    } finally {
      await inNode('branch1', 'systemctl', 'start', 'branchbox-agent.service');
    }
    await until('all is well again', async () => (await labStatus()).exitCode === 0);
  });

  it('has an error in one form from the lab too, whatever was wrong', async () => {
    const cases = [
      [['lab', 'status', '--json', '--lab', 'no-such-lab'], 1, 'lab/not-running'],
      [['lab', 'status', '--json', '--no-such-option'], 2, 'cli/usage'],
    ] as const;
    for (const [words, exitCode, code] of cases) {
      const ended = await branchbox(words);
      expect(ended.exitCode).toBe(exitCode);
      expect(ErrorReadout.parse(JSON.parse(ended.stdout)).error.code).toBe(code);
    }
  });

  it('has the events of a lab, one a line', async () => {
    const follower = spawn('./branchbox', ['lab', 'events', '--json', '--lab', LAB], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    createInterface({ input: follower.stdout }).on('line', (line) => lines.push(line));
    try {
      await until('a restart is told', async () => {
        await inNode('branch1', 'systemctl', 'restart', 'branchbox-identity.service');
        return lines.some((line) => line.includes('"active"'));
      });
    } finally {
      follower.kill('SIGTERM');
      await once(follower, 'close');
    }
    const events = lines.map((line) => LabEvent.parse(JSON.parse(line)));
    expect(events).toContainEqual(
      expect.objectContaining({ node: 'branch1', unit: 'branchbox-identity.service', state: 'active' }),
    );
  });

  it('has the code that an installer gets', async () => {
    const serial = 'READ-OUT-1';
    expect((await api('POST', '/api/v1/inventory', { serial, twoFactor: true })).status).toBeLessThan(300);
    const text = await ofFleet('activation', serial);
    expect(z.strictObject(ActivationMade.shape).parse(JSON.parse(text))).toMatchObject({ serial });
    expect((await api('DELETE', `/api/v1/inventory/${serial}/activation`)).status).toBeLessThan(300);
  });

  it('has the fleet, and how it is', async () => {
    const { gateways } = FleetOverview.parse(JSON.parse(await ofFleet('status')));
    const fleet = Fleet.parse(JSON.parse(await ofFleet('show')));
    expect(gateways.map(({ id }) => id)).toEqual(fleet.gateways.map(({ id }) => id));
    expect(gateways).toContainEqual(expect.objectContaining({ id: 'branch1', role: 'branch' }));
  });

  it('is refused in words and with a code where an item is unknown', async () => {
    const ended = await tryIn('branch1', ['branchbox', 'explain', 'link:nothing-of-this-name']);
    expect(ended.exitCode).toBe(1);
    expect(ended.stdout).toMatch(/No item of this box has this id/);
    expect(ended.stdout).toMatch(/mend: `branchbox explain` without an item lists/);
  });

  it('names every item of the box, each of which can be explained', async () => {
    const { items } = ItemList.parse(JSON.parse(await inNode('branch1', 'branchbox', 'explain', '--json')));
    const bridge = items.find(({ id }) => id === 'link:br-10010');
    expect(bridge).toMatchObject({ state: 'as-wanted' });
    const text = await inNode('branch1', 'branchbox', 'explain');
    for (const { id } of items) expect(text).toContain(id);
    const last = items.at(-1)?.id ?? '';
    expect(await inNode('branch1', 'branchbox', 'explain', last)).toContain(last);
  });

  it.each(['status', 'plan', 'explain', 'check', 'bootstrap status'])(
    '%s --help says how it is used, with an example',
    async (words) => {
      const text = await inNode('branch1', 'branchbox', ...words.split(' '), '--help');
      expect(text).toMatch(/Usage: branchbox/);
      expect(text).toMatch(/example: branchbox /);
    },
  );
});
