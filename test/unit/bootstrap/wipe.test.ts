/**
 * A factory reset as the identity process sees it: told by its mark, from whatever state, everywhere in the same words;
 * killed in the middle, half of its files gone, a box goes on being wiped and asks nobody anything.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readStatus } from '../../../src/bootstrap/statusByFiles.ts';
import { parseResetMark } from '../../../src/bootstrap/wipe.ts';
import { describeBootstrap } from '../../../src/cli/bootstrap.ts';
import {
  BOOTSTRAP_SENTENCES,
  BOOTSTRAP_STATES,
  type BootstrapState,
  Journal,
} from '../../../src/model/bootstrap.ts';
import { decodeJson } from '../../../src/model/decode.ts';
import { askSocket } from '../../../src/system/askSocket.ts';
import { createAuthorities, withLastingServer } from './authorities.ts';
import { type Box, createBox, type LogLine } from './box.ts';
import { startController, type TestController } from './servers.ts';

let controller: TestController;
let box: Box;
let mark: string;
beforeEach(async () => {
  const authorities = withLastingServer(createAuthorities());
  controller = await startController(authorities);
  box = await createBox(authorities, controller.port);
  [mark = ''] = box.paths.resetMarks;
});
afterEach(async () => {
  await controller.close();
  await box.remove();
});

const isMarked = (): Promise<void> => box.files.writeDurable(mark, 'button 1780000000\n');
const entered =
  (state: BootstrapState) =>
  ({ message, fields }: LogLine): boolean =>
    message === 'bootstrap state entered' && fields['state'] === state;
async function journal(): Promise<readonly string[]> {
  const text = (await box.files.readText(`${box.paths.state}/journal.json`)) ?? '';
  return decodeJson(Journal, text, 'journal').entries.map(({ state }) => state);
}
const ask = () =>
  askSocket(
    { socketPath: box.paths.socket },
    { path: '/wipe', body: '', timeoutMs: 5_000, maxAnswerBytes: 1_000 },
  );
describe('a factory reset that is asked for', () => {
  // Without OPERATIONAL and what comes after: boxes in service rest, and are asked below.
  it.each(['DISCOVER', 'PROVISIONAL', 'ENROLLING', 'LDEVID', 'STRICT'] as const)(
    'ends what is done in %s',
    async (state) => {
      const until = (line: LogLine): boolean => {
        // The box ends before it has answered.
        if (entered(state)(line))
          void isMarked()
            .then(ask)
            .catch(() => {});
        return line.message === 'factory reset told';
      };
      await box.run({ controller, until });
      expect((await journal()).at(-1)).toBe('WIPE');
    },
  );

  it('is told to a controller that wants to hear all', async () => {
    const { sztp } = controller.behaviour;
    controller.behaviour.sztp = (nonce) => {
      const told = sztp(nonce);
      const { 'ietf-sztp-bootstrap-server:output': output } = JSON.parse(told.body ?? '');
      const verbose = { 'reporting-level': 'verbose', ...output };
      return { ...told, body: JSON.stringify({ 'ietf-sztp-bootstrap-server:output': verbose }) };
    };
    const until = (line: LogLine): boolean => {
      if (entered('STRICT')(line)) {
        void isMarked()
          .then(ask)
          .catch(() => {});
      }
      return false;
    };
    const ended = box.run({ controller, until });
    await expect.poll(() => controller.reports.at(-1), { timeout: 10_000 }).toContain('informational');
    await box.files.remove(mark);
    await ended;
    const { waitsFor, mend } = BOOTSTRAP_SENTENCES.WIPE;
    expect(controller.reports.at(-1)).toContain(`WIPE: waits for ${waitsFor}; ${mend}`);
  });

  it('is told to whoever asks while all processes are stopped, with when it began', async () => {
    await box.run({ controller, until: 'OPERATIONAL' });
    await isMarked();
    const status = await readStatus(box.files, box.paths);
    expect(status).toMatchObject({
      state: 'WIPE',
      sinceMs: 1_780_000_000_000,
      ...BOOTSTRAP_SENTENCES.WIPE,
    });
    expect(describeBootstrap(status, true)).toContain('WIPE since 2026-05-28T20:26:40.000Z, waits for');
    await box.run({ controller, until: 'WIPE' });
    expect((await journal()).slice(-2)).toEqual(['OPERATIONAL', 'WIPE']);
  });

  it('is none without its mark', async () => {
    let answered: unknown;
    const until = (line: LogLine): boolean => {
      if (entered('LDEVID')(line)) void ask().then((told) => (answered = told));
      return answered !== undefined || entered('OPERATIONAL')(line);
    };
    await box.run({ controller, until });
    await expect.poll(() => answered).toMatchObject({ status: 409 });
    expect(await journal()).not.toContain('WIPE');
  });
});

describe('a box that starts in the middle of one', () => {
  it.each(BOOTSTRAP_STATES.filter((state) => ['ENROLLING', 'STRICT', 'OPERATIONAL'].includes(state)))(
    'in %s, with half of its files gone, asks nobody, and begins anew when all are',
    async (state) => {
      await box.run({ controller, until: state });
      await isMarked();
      const names = await box.files.list(box.paths.state);
      for (const [index, name] of names.entries()) {
        if (index % 2 === 0) await box.files.remove(`${box.paths.state}/${name}`);
      }
      const enrolled = controller.enrolments.length;
      await box.run({ controller, until: 'WIPE' });
      expect(controller.enrolments.length).toBe(enrolled);
      // What erases goes on, and takes its mark away last: this process ends, to be started anew.
      const ended = box.run({ controller, until: () => false });
      // It answers: it is in WIPE, and not on its way there.
      await expect.poll(() => ask().catch(String)).toMatchObject({ status: 200 });
      for (const name of names) await box.files.remove(`${box.paths.state}/${name}`);
      await box.files.remove(mark);
      expect(await ended).toBe(true);
      await box.files.remove(`${box.paths.state}/journal.json`);
      await box.files.remove(`${box.paths.state}/clock-floor`);
      await box.run({ controller, until: 'OPERATIONAL' });
      expect((await journal())[0]).toBe('FACTORY');
    },
  );

  it('goes on as it was where the mark was taken away and nothing erased', async () => {
    await box.run({ controller, until: 'OPERATIONAL' });
    await isMarked();
    await box.run({ controller, until: 'WIPE' });
    await box.files.remove(mark);
    await box.run({ controller, until: 'OPERATIONAL' });
    expect((await journal()).slice(-3)).toEqual(['WIPE', 'STRICT', 'OPERATIONAL']);
    expect(controller.enrolments.length).toBe(1);
  });
});

it('a mark says who asked and when, and is one whatever it says', () => {
  expect(parseResetMark('controller 1780000000\n')).toEqual({ by: 'controller', sinceMs: 1_780_000_000_000 });
  for (const text of ['', 'Somebody\u001b[2J wrote this', '\0'.repeat(5000)])
    expect(parseResetMark(text)).toEqual({ by: 'somebody', sinceMs: undefined });
});
