/** The container engine is started where there are apps and no engine; where it does not start, nobody is held up. */
import { expect, it } from 'vitest';
import { createEngineStart } from '../../../src/agent/engineStart.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const { engine: _, ...withoutEngine } = appFacts();
const settled = (): Promise<void> => new Promise(setImmediate);

function created(outcome: () => Promise<void>) {
  const starts: string[] = [];
  const engine = createEngineStart({
    services: {
      start: (units) => {
        starts.push(...units);
        return outcome();
      },
    },
    log: silentLog,
  });
  return { starts, engine };
}

it('is started for apps alone, and where none answers', () => {
  const { starts, engine } = created(() => Promise.resolve());
  engine.look(undefined, withoutEngine);
  engine.look({ ...appSpec(), apps: [] }, withoutEngine);
  engine.look(appSpec(), { ...withoutEngine, engine: { name: 'docker', version: '26.1.5' } });
  expect(starts).toEqual([]);
  engine.look(appSpec(), withoutEngine);
  expect(starts).toEqual(['docker.service']);
});

it('one start at a time, and another look after one that failed', async () => {
  let fail = (): void => undefined;
  const { starts, engine } = created(
    () => new Promise((_resolve, reject) => (fail = () => reject(new Error('masked')))),
  );
  engine.look(appSpec(), withoutEngine);
  engine.look(appSpec(), withoutEngine);
  expect(starts).toHaveLength(1);
  fail();
  await settled();
  engine.look(appSpec(), withoutEngine);
  expect(starts).toHaveLength(2);
});
