/** What the identity process found to lead nowhere starts the unit that leaves it, for interfaces alone. */
import { expect, it } from 'vitest';
import { followDeadLeases } from '../../../src/agent/otherDhcp.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const settled = (): Promise<void> => new Promise(setImmediate);

it('starts one for each that is there, at the start and at each change; what fails is told and ends nothing', async () => {
  let names: readonly string[] = ['wan1', '.wan2.part', '../agent'];
  let change = (): void => undefined;
  let fails = false;
  const started: string[] = [];
  const warned: string[] = [];
  followDeadLeases(
    {
      files: {
        list: () => Promise.resolve(names),
        watch: (_directory, onChange) => void (change = onChange),
      },
      services: {
        start(units) {
          started.push(...units);
          return fails ? Promise.reject(new Error('masked')) : Promise.resolve();
        },
      },
      log: { ...silentLog, warn: (message) => void warned.push(message) },
    },
    new AbortController().signal,
  );
  await settled();
  expect(started).toEqual(['branchbox-other-dhcp@wan1.service']);
  names = [];
  change();
  await settled();
  expect(started).toHaveLength(1);
  [names, fails] = [['wan2'], true];
  change();
  await settled();
  expect(started.at(-1)).toBe('branchbox-other-dhcp@wan2.service');
  expect(warned).toEqual(['no other DHCP server can be asked']);
});
