/** The note of units that a boot starts without the agent, held against what the script that reads it takes. */
import { expect, test } from 'vitest';
import { createBootUnits, renderBootUnits } from '../../../src/agent/bootUnits.ts';
import { linkItem } from '../../../src/model/ids.ts';
import { link, service } from '../../../src/net/itemIds.ts';
import { renderContainers } from '../../../src/containers/render.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';
import { createFakeBox } from '../../fakes/box.ts';

const PATH = '/var/lib/branchbox/agent/boot-units';
const wanted = [
  service({ unit: 'dhcpcd@wan2.service' }),
  link({ type: 'bridge', name: 'br-1', mtu: 1390 }),
  service({ unit: 'dhcpcd@wan1.service' }),
];

test('only services, in the form that the script takes', () => {
  expect(renderBootUnits(wanted)).toBe('dhcpcd@wan1.service\ndhcpcd@wan2.service\n');
});

test('no client on a VLAN, whose link only the agent makes', () => {
  const vlan = link({ type: 'vlan', name: 'wan1.7', parent: 'wan1', vlan: 7, mtu: 1500 }, [linkItem('wan1')]);
  const onVlan = service({ unit: 'dhcpcd@wan1.7.service' }, [vlan.id]);
  expect(renderBootUnits([...wanted, vlan, onVlan])).toBe('dhcpcd@wan1.service\ndhcpcd@wan2.service\n');
});

test('the container engine where there are apps', () => {
  const apps = renderContainers(appSpec(), appFacts(), 'branch1');
  expect(renderBootUnits([...wanted, ...apps])).toBe(
    'dhcpcd@wan1.service\ndhcpcd@wan2.service\ndocker.service\n',
  );
});

test('follows what is wanted, and is written only where that changes it', async () => {
  const { system } = createFakeBox();
  const writes: string[] = [];
  const files = {
    readText: () => Promise.resolve('dhcpcd@wan1.service\ndhcpcd@wan2.service\n'),
    writeDurable: (_: string, content: string | Uint8Array) => {
      writes.push(String(content));
      return writes.length === 1 ? Promise.resolve() : Promise.reject(new Error('no space left'));
    },
  };
  const units = createBootUnits({ files, path: PATH, log: system.log });
  await units.note(wanted);
  expect(writes).toEqual([]);
  await units.note(wanted.slice(0, 1));
  await units.note(wanted.slice(0, 1));
  expect(writes).toEqual(['dhcpcd@wan2.service\n']);
  // A disk that takes nothing more: tried again next time, and no failure of the round.
  await units.note(wanted);
  await units.note(wanted);
  expect(writes).toHaveLength(3);
});
