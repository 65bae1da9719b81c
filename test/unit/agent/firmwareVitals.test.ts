/** What of a status an update is held to. */
import { expect, it } from 'vitest';
import { vitalsOf } from '../../../src/agent/firmware.ts';
import { baselineOf, shortfalls } from '../../../src/update/trial.ts';

type Segment = Parameters<typeof vitalsOf>[0]['segments'][number];
const red: Segment = {
  id: 'red',
  tenant: 'red',
  vni: 1,
  state: 'up',
  ports: ['lan1', 'lan2'],
  remoteVteps: [],
};
const vitals = (segment: Segment) =>
  vitalsOf({ paths: [], segments: [segment], apps: [] }, { desired: true, controller: true });
const away = (segment: Segment, portsMissing: string[]): Segment => ({
  ...segment,
  state: 'degraded',
  portsMissing,
});

it('asks for each port that was attached before the update, and for no other', () => {
  const lost = (before: Segment, after: Segment) =>
    shortfalls(baselineOf(vitals(before)), vitals(after)).map(({ path }) => path);
  expect(lost(red, red)).toEqual([]);
  expect(lost(red, away(red, ['lan2']))).toEqual(['segment red port lan2']);
  expect(lost(away(red, ['lan2']), away(red, ['lan2']))).toEqual([]);
  expect(lost(away(red, ['lan2']), { ...red, state: 'down' })).toEqual([
    'segment red',
    'segment red port lan1',
  ]);
});
