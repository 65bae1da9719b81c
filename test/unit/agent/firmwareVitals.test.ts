/** What of a status an update is held to. */
import { expect, it } from 'vitest';
import { vitalsOf } from '../../../src/agent/firmware.ts';
import { baselineOf, shortfalls } from '../../../src/update/trial.ts';

type Body = Parameters<typeof vitalsOf>[0];
type Segment = Body['segments'][number];
const red: Segment = {
  id: 'red',
  tenant: 'red',
  vni: 1,
  state: 'up',
  ports: ['lan1', 'lan2'],
  remoteVteps: [],
};
const NOTHING = { tunnels: [], segments: [], ports: [], apps: [] };
const vitals = (segment: Segment) =>
  vitalsOf({ paths: [], segments: [segment], apps: [] }, { spec: NOTHING, controller: true });
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

const SPEC = {
  tunnels: [{ peers: [{ path: 'a~hub' }, { path: 'b~hub' }] }],
  segments: [{ id: 'red' }],
  ports: [
    { segment: 'red', port: 'lan1' },
    { segment: 'red', port: 'lan2' },
  ],
  apps: [{ name: 'till' }],
};
const WHOLE: Body = {
  paths: [
    { id: 'a~hub', uplink: 'a', peer: 'hub', state: 'up', active: true, preference: 1 },
    { id: 'b~hub', uplink: 'b', peer: 'hub', state: 'down', active: false, preference: 2 },
  ],
  segments: [red],
  apps: [
    {
      name: 'till',
      tenant: 'red',
      segment: 'red',
      address: '10.1.0.9',
      state: 'running',
      restarts: 0,
      image: 'till:1',
    },
  ],
};
const EMPTY: Body = { paths: [], segments: [], apps: [] };

it('asks for what vanished while it is still wanted, and not for what the operator took out', () => {
  const before = baselineOf(vitalsOf(WHOLE, { spec: SPEC, controller: true }));
  const lost = (body: Body, spec: typeof SPEC) =>
    shortfalls(before, vitalsOf(body, { spec, controller: true })).map(({ path }) => path);
  expect(lost(WHOLE, SPEC)).toEqual([]);
  expect(lost(EMPTY, SPEC)).toEqual([
    'path a~hub',
    'segment red',
    'segment red port lan1',
    'segment red port lan2',
    'app till',
  ]);
  expect(lost({ ...WHOLE, segments: [{ ...red, ports: ['lan1'] }] }, SPEC)).toEqual([
    'segment red port lan2',
  ]);
  // A newer desired state without them.
  expect(lost({ ...WHOLE, apps: [] }, { ...SPEC, apps: [] })).toEqual([]);
  expect(lost(EMPTY, { ...NOTHING, tunnels: SPEC.tunnels })).toEqual(['path a~hub']);
});
