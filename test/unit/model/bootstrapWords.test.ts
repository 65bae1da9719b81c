/**
 * One table of the states of bootstrap, and each view held against it: page, command line, controller, LED. A state that is
 * added has no row here, and none of the views is believed to know it until it has.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { createLeds } from '../../../src/agent/leds.ts';
import { eventsOf } from '../../../src/agent/statusEvents.ts';
import { renderStatus } from '../../../src/bootstrap/renderStatus.ts';
import { createProgress } from '../../../src/bootstrap/progress.ts';
import { describeBootstrap } from '../../../src/cli/bootstrap.ts';
import { overviewOf } from '../../../src/controller/overview.ts';
import type { InventoryEntry } from '../../../src/controller/store/entities.ts';
import {
  type BootstrapState,
  BOOTSTRAP_STATES,
  BootstrapStanding,
  sentencesOf,
} from '../../../src/model/bootstrap.ts';
import { HardwareModel, type LedState } from '../../../src/model/hardware.ts';
import { GatewayEvent, GatewayStatus } from '../../../src/model/status.ts';
import { renderStatusPage } from '../../../src/web/installer/page.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import { SMALL_FLEET } from '../controller/fixtures.ts';
import { statusWith } from '../controller/statusFixture.ts';

interface Row {
  readonly waitsFor: string;
  readonly mend: string;
  /** Of a hardware model; the state itself where nothing else is named. */
  readonly led?: 'ok' | 'resetting';
  /** Whether the controller hears of it when it is entered (RFC 8572 7.3), or only of all that came before, later. */
  readonly reported: boolean;
}
const NOTHING = 'nothing to do';
const REACH = 'check that the controller is reachable';
const TABLE: Readonly<Record<BootstrapState, Row>> = {
  FACTORY: { waitsFor: 'the start of bootstrap', mend: NOTHING, reported: false },
  LINK: {
    waitsFor: 'a cable on a WAN port',
    mend: 'plug in a WAN cable; its LED must light',
    reported: false,
  },
  ADDR: {
    waitsFor: 'an address on a WAN port',
    mend: 'check that the provider gives addresses by DHCP',
    reported: false,
  },
  CLOCK_FLOOR: { waitsFor: 'a lower bound of the time', mend: NOTHING, reported: false },
  DISCOVER: {
    waitsFor: 'the name of a bootstrap server',
    mend: 'ask the operator for a bootstrap stick; or check DHCP option 143, DNS (_sztp._tcp) or the built-in list',
    reported: false,
  },
  PROVISIONAL: {
    waitsFor: 'a bootstrap server to answer with signed data',
    mend: "ask the operator whether the controller's inventory has this box, by its serial",
    reported: false,
  },
  OWNED: { waitsFor: 'the enrolment server of its owner', mend: REACH, reported: true },
  ENROLLING: {
    waitsFor: 'its certificate',
    mend: 'an operator may have to approve this box',
    reported: true,
  },
  LDEVID: { waitsFor: 'a connection under its own certificate', mend: REACH, reported: true },
  STRICT: {
    waitsFor: 'its first desired state',
    mend: 'describe this gateway in the fleet',
    reported: true,
  },
  CONFIG_STAGED: { waitsFor: 'the trial to begin', mend: NOTHING, reported: false },
  TRIAL: {
    waitsFor: 'proof that the controller is still reachable',
    mend: 'nothing to do: the box goes back by itself',
    reported: false,
  },
  OPERATIONAL: { waitsFor: 'nothing', mend: NOTHING, led: 'ok', reported: false },
  RENEW: { waitsFor: 'a new certificate', mend: NOTHING, reported: false },
  RECOVER: { waitsFor: 'a new certificate in place of an expired one', mend: REACH, reported: false },
  MIGRATE: {
    waitsFor: 'the next controller: its certificate, then its first desired state',
    mend: 'nothing to do: where the next controller does not take it in time, the box stays with the present one',
    reported: false,
  },
  QUARANTINED: {
    waitsFor: 'an operator, with the traffic of tenants off',
    mend: 'an operator must release or replace this box: branchbox fleet release, branchbox fleet replace',
    reported: false,
  },
  WIPE: {
    waitsFor: 'the end of a factory reset, which erases its data',
    mend: 'leave it plugged in: it starts again by itself, as on its first day',
    led: 'resetting',
    reported: true,
  },
};

const SINCE = '2026-06-01T00:00:00';
const sinceMs = Date.UTC(2026, 5, 1);
const PROBLEM = 'bootstrap/refused: not today';
const told = (state: BootstrapState) =>
  renderStatus({
    history: [{ state, enteredAtMs: sinceMs, note: {} }],
    serial: 'SN-branch1',
    gatewayId: undefined,
    lastProblem: PROBLEM,
  });
const standing = (state: BootstrapState): BootstrapStanding => {
  const { waitsFor, mend, lastProblem } = told(state);
  return BootstrapStanding.parse({ state, sinceMs, waitsFor, mend, lastProblem });
};
const statusIn = (state: BootstrapState) =>
  GatewayStatus.parse({ ...statusWith('branch1', { sequence: 1, seed: 2 }), bootstrap: standing(state) });

const box = (more: Partial<InventoryEntry>): InventoryEntry => ({
  serial: 'SN-branch1',
  state: 'enrolled',
  approved: true,
  twoFactor: false,
  quarantined: [],
  createdAtMs: 1,
  ...more,
});
const atController = (heard: GatewayStatus | undefined, more: Partial<InventoryEntry> = {}) =>
  overviewOf({
    fleet: SMALL_FLEET,
    desired: [],
    status: heard === undefined ? [] : [{ gatewayId: 'branch1', receivedAtMs: sinceMs, status: heard }],
    inventory: [box(more)],
    silentSince: () => undefined,
  }).find(({ id }) => id === 'branch1');

/** What an LED shows of a box in `state`. */
async function ledIn(shows: HardwareModel['leds'][number]['shows'], state: BootstrapState): Promise<string> {
  const written = new Map<string, string>();
  const entries = [{ state, enteredAtMs: sinceMs }];
  const leds = createLeds({
    model: { leds: [{ label: '1', sysfs: 'led', shows }] },
    journalPath: 'journal',
    files: {
      readText: async () => JSON.stringify({ schema: 1, entries }),
      writeKernel: async (path, value) => void written.set(path, value),
    },
    log: silentLog,
  });
  await leds.show(inService(state));
  return [...written.values()].join(' ');
}
const inService = (state: BootstrapState): LedState =>
  BOOTSTRAP_STATES.indexOf(state) < BOOTSTRAP_STATES.indexOf('STRICT') ? 'unowned' : 'ok';

describe.each(BOOTSTRAP_STATES)('%s', (state) => {
  const { waitsFor, mend, led, reported } = TABLE[state];
  const words = `${state}: waits for ${waitsFor}; ${mend}`;

  it('is told by page and command line: what it waits for, since when, what to do, what went wrong', () => {
    const view = { ports: [], uplinkTest: undefined, nowMs: sinceMs, ownAddress: '172.31.254.1' };
    const page = renderStatusPage({ ...view, progress: told(state) }).replaceAll('&#39;', "'");
    for (const [dt, dd] of [
      ['State', `<strong>${state}</strong>`],
      ['Waits for', waitsFor],
      ['Since', SINCE],
      ['What to do', mend],
      ['Last problem', PROBLEM],
    ])
      expect(page).toContain(`<dt>${dt}</dt><dd>${dd}`);
    for (const short of [false, true]) {
      const text = describeBootstrap(told(state), short);
      expect(text).toContain(`${state} since ${SINCE}.000Z, waits for ${waitsFor}\n`);
      expect(text).toContain(`  mend: ${mend}`);
      expect(text).toContain(`  last problem: ${PROBLEM}`);
    }
  });

  it('is told by the controller, while it lasts and afterwards', () => {
    const gateway = atController(statusIn(state));
    expect(gateway?.bootstrap).toEqual({ state, sinceMs, waitsFor, mend, lastProblem: PROBLEM });
    if (state === 'OPERATIONAL') expect(gateway?.sentence).not.toContain('waits for');
    else expect(gateway?.sentence).toContain(`${words}; last problem: ${PROBLEM}, since ${SINCE}`);
    const before = statusIn(state === 'LINK' ? 'ADDR' : 'LINK');
    const [event] = eventsOf(before, statusIn(state));
    expect(event).toEqual({ kind: 'bootstrap-state', subject: state, sentence: words });
    expect(GatewayEvent.safeParse({ ...event, id: '1/1', atMs: sinceMs }).success).toBe(true);
    expect(eventsOf(statusIn(state), statusIn(state))).toEqual([]);
  });

  it(`is ${reported ? '' : 'not '}reported by RFC 8572 as it is entered`, async () => {
    const reports: string[] = [];
    const progress = createProgress({
      onboarder: () => ({ server: 'boot.example:443', verbose: true }),
      report: async ({ message }) => void reports.push(message),
      secondFactor: () => undefined,
      log: silentLog,
    });
    progress.entered(state, 'LDEVID');
    await progress.settled();
    expect(reports).toEqual(reported ? [words] : []);
    for (const message of reports) {
      const reportedNow = { progress: { type: 'informational', message, atMs: sinceMs } };
      expect(atController(undefined, reportedNow)?.sentence).toContain(words);
    }
  });

  it('has a word that an LED can show it by, and no other state lights that LED', async () => {
    const shows = { [led ?? state]: 'fast' };
    const model = { model: 'x', standing: 'tried', discover: ['pci'] };
    const leds = [{ label: '1', sysfs: 'led', shows }];
    const parsed = HardwareModel.parse({ ...model, leds }).leds[0]?.shows ?? {};
    const lit: string[] = [];
    for (const other of BOOTSTRAP_STATES) {
      if ((await ledIn(parsed, other)) === 'timer 100 100') lit.push(other);
    }
    // `ok` is how the box is, in each state that has no pattern of its own.
    if (led === 'ok') expect(lit).toContain(state);
    else expect(lit).toEqual([state]);
  });
});

it('a revoked box, which can tell nothing itself, is told of in the words of its own page', () => {
  const { waitsFor, mend } = TABLE.QUARANTINED;
  const revoked = atController(statusIn('OPERATIONAL'), { state: 'revoked' });
  expect(revoked?.sentence).toContain(`QUARANTINED: waits for ${waitsFor}; ${mend}`);
  // Its last word from before would say the opposite beside that.
  expect(revoked).not.toHaveProperty('bootstrap');
  // One that was denied before it ever came is in no such state.
  expect(atController(undefined, { state: 'revoked' })?.sentence).toBe('its box is revoked');
});

it('a box whose cable is in and gives no address is not told to plug one in and wait', () => {
  for (const state of ['OWNED', 'ENROLLING', 'LDEVID'] as const)
    expect(sentencesOf(state, undefined, true).mend).toContain('what a stick said of it');
});

const MODELS = join(import.meta.dirname, '../../../firmware/models');
const shipped = readdirSync(MODELS).map((file) =>
  HardwareModel.parse(parseToml(readFileSync(join(MODELS, file), 'utf8'))),
);
it.each(shipped.filter(({ leds }) => leds.length > 0))(
  'a $model with power is never dark, and says apart what waits for a person from what does not',
  async ({ leds }) => {
    const patternIn = async (state: BootstrapState): Promise<string> =>
      (await Promise.all(leds.map(({ shows }) => ledIn(shows, state)))).join(' | ');
    const all = new Map<BootstrapState, string>();
    for (const state of BOOTSTRAP_STATES) all.set(state, await patternIn(state));
    for (const pattern of all.values()) expect(pattern).toMatch(/255|timer/);
    for (const person of ['LINK', 'ADDR', 'ENROLLING', 'STRICT', 'QUARANTINED', 'WIPE'] as const)
      for (const alone of ['DISCOVER', 'PROVISIONAL', 'TRIAL', 'OPERATIONAL', 'RENEW'] as const)
        expect(all.get(person), `${person} as ${alone}`).not.toBe(all.get(alone));
  },
);

it('docs/bootstrap.md has a line on each state', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/bootstrap.md'), 'utf8');
  const rows = [...text.matchAll(/^\| ([A-Z_, ]+) \| .+ \| .+ \|$/gm)].flatMap(([, names = '']) =>
    names.split(', '),
  );
  expect(rows).toEqual([...BOOTSTRAP_STATES]);
});
