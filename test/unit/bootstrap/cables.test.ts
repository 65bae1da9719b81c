/** A cable in a WAN port: as the agent tells it over its socket, by the kernel's word where it does not. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createCables } from '../../../src/bootstrap/cables.ts';
import type { InstallerPorts } from '../../../src/model/installer.ts';
import { createFaultBench } from './faultBench.ts';
import { ownDirectory } from '../../ownDirectory.ts';

/** By the kernel's word there is one in `lan1`, and none in `wan1`. */
const kernel = {
  list: async () => ['lo', 'lan1', 'wan1', 'down'],
  async readText(path: string) {
    if (path.includes('/down/')) throw new Error('EINVAL');
    return path.includes('/wan1/') ? '0\n' : '1\n';
  },
};
const port = (label: string, role: 'wan' | 'lan', carrier: boolean): InstallerPorts['ports'][number] => ({
  label,
  role,
  carrier,
});

async function agentTells(body: string): Promise<string> {
  const socket = join(ownDirectory(), 'agent.sock');
  const server = createServer((request, response) =>
    response.writeHead(request.url === '/ports' ? 200 : 404).end(body),
  ).listen(socket);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return socket;
}
const tells = (...ports: InstallerPorts['ports']): Promise<string> => agentTells(JSON.stringify({ ports }));

describe('a cable in a WAN port', () => {
  it('is none where one is in a LAN port alone', async () => {
    const cables = createCables(kernel, await tells(port('lan1', 'lan', true), port('wan1', 'wan', false)));
    expect(await cables.inWanPort()).toBe(false);
  });

  it('is one in any of them', async () => {
    const cables = createCables(kernel, await tells(port('wan1', 'wan', false), port('wan2', 'wan', true)));
    expect(await cables.inWanPort()).toBe(true);
  });

  it.each([
    ['the agent is not there', async () => join(ownDirectory(), 'none.sock')],
    ['its answer is none', () => agentTells('{"ports":7}')],
    ['it knows no WAN port', () => tells(port('lan1', 'lan', false))],
  ])('is by the kernel one in any port where %s', async (_, socket) => {
    expect(await createCables(kernel, await socket()).inWanPort()).toBe(true);
    const none = { ...kernel, readText: async () => '0\n' };
    expect(await createCables(none, await socket()).inWanPort()).toBe(false);
  });
});

describe('a box whose cable is late, and pulled again', () => {
  const bench = createFaultBench();

  it('says what it waits for each time, and comes in when there is an address', async () => {
    const { box, controller } = bench;
    const entered = (state: string): number =>
      box.log.filter(
        ({ message, fields }) => message === 'bootstrap state entered' && fields['state'] === state,
      ).length;
    const until = (state: 'LINK' | 'ADDR', times: number) => () => entered(state) === times;
    const { uplinks } = box;
    [box.uplinks, box.cable] = [[], false];
    await box.run({ controller, until: until('LINK', 1) });
    box.cable = true;
    await box.run({ controller, until: until('ADDR', 1) });
    box.cable = false;
    await box.run({ controller, until: until('LINK', 2) });
    box.cable = true;
    await box.run({ controller, until: until('ADDR', 2) });
    box.uplinks = uplinks;
    expect(await box.run({ controller, until: 'OWNED' })).toBe(true);
  });
});
