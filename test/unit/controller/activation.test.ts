/** The second factor at the controller: what a code is good for, how often, how long, and for whom. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createActivations, readBasic } from '../../../src/controller/activation.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { ActivationCode, ActivationLinkId } from '../../../src/model/installer.ts';
import { Secret } from '../../../src/model/secret.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { makeManufacturer } from '../pki/domain.ts';
import { createControllerParts } from './controllerParts.ts';
import { SMALL_FLEET } from './fixtures.ts';

const SERIAL = 'SN-branch1';
const KEY = 'f'.repeat(64);
const idevid = makeManufacturer();

let nowMs: number;
let store: Store;
let said: string[];
const clock = { nowMs: () => nowMs, monotonicMs: () => 0, sleep: async () => undefined };
const usual = { codeLength: 8, validS: 3600, withLink: true };

async function start() {
  store = openSqliteStore(':memory:');
  said = [];
  const log = createLogger({ name: 'test', write: (line) => void said.push(line) });
  const { setFleet, activations, admissions } = createControllerParts({ store, clock, log });
  await setFleet(SMALL_FLEET);
  for (const serial of [SERIAL, 'SN-branch2', 'SN-placeless']) {
    await store.inventory.add(serial, { approved: false, twoFactor: true }, 1);
  }
  return { activations, admissions };
}
let world: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  nowMs = Date.UTC(2026, 5, 1);
  world = await start();
});

const linkOf = (link: string | undefined): string => new URL(link ?? '').searchParams.get('link') ?? '';
const sent = (link: string, code: string) => ({ link, code: new Secret(code) });
const wrongOf = (code: string): string => (code.startsWith('A') ? 'B' : 'A') + code.slice(1);

describe('a code', () => {
  it('has the length that was asked for, and a link that only this box’s page reads', async () => {
    for (const codeLength of [4, 10]) {
      const { code, link } = await world.activations.make(SERIAL, { ...usual, codeLength });
      expect(ActivationCode.parse(code.reveal())).toHaveLength(codeLength);
      expect(link).toMatch(/^http:\/\/branchbox\.internal\/activate\?link=/);
      expect(ActivationLinkId.safeParse(linkOf(link)).success).toBe(true);
    }
  });

  it('is kept as a digest, and printed nowhere', async () => {
    const made = await world.activations.make(SERIAL, usual);
    const code = made.code.reveal();
    const kept = JSON.stringify([
      await store.activations.get(SERIAL),
      made,
      await store.records.auditPage({ limit: 9 }),
    ]);
    expect(kept.replace(made.link ?? '', '')).not.toContain(linkOf(made.link));
    await world.admissions.admit(SERIAL, idevid(SERIAL), sent(linkOf(made.link), wrongOf(code)));
    const all = kept + said.join('') + JSON.stringify(await store.records.auditPage({ limit: 9 }));
    expect(all).not.toContain(code);
    expect(all).not.toContain(wrongOf(code));
  });

  it('approves the box that brings it, spelt as people spell, and once only', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const text = code.reveal().toLowerCase();
    const spelt = `${text.slice(0, 4)}-${text.slice(4)}`;
    const box = idevid(SERIAL);
    expect(await world.admissions.consider(SERIAL, box)).toMatchObject({ kind: 'pending', byCode: true });
    expect((await world.admissions.admit(SERIAL, box, sent(linkOf(link), spelt))).kind).toBe('admitted');
    expect(await store.inventory.get(SERIAL)).toMatchObject({
      approved: true,
      identity: { spkiSha256: box.spkiSha256 },
    });
    // A box that was killed asks again with the same code, or without.
    expect((await world.admissions.admit(SERIAL, box, sent(linkOf(link), spelt))).kind).toBe('admitted');
    await store.inventory.update(SERIAL, { approved: false });
    expect(await world.admissions.admit(SERIAL, box, sent(linkOf(link), spelt))).toEqual({
      kind: 'wrong-code',
      why: `There is no code for ${SERIAL}. See that yours was made for this serial, or ask for one.`,
    });
  });

  it('that two keys bring at once is good for one of them', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const judged = await Promise.all(
      [KEY, 'e'.repeat(64)].map((key) =>
        world.activations.judge(SERIAL, key, sent(linkOf(link), code.reveal())),
      ),
    );
    expect(judged.map(({ kind }) => kind).toSorted()).toEqual(['accepted', 'refused']);
  });

  it('is for one key: another under that serial is put aside, and the code is not its own', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const first = idevid(SERIAL);
    expect((await world.admissions.admit(SERIAL, first, sent(linkOf(link), code.reveal()))).kind).toBe(
      'admitted',
    );
    expect((await world.admissions.admit(SERIAL, idevid(SERIAL))).kind).toBe('refused');
    expect((await store.inventory.get(SERIAL))?.quarantined).toHaveLength(1);
  });

  it('lets no other key of that serial in between the approval and its own', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const between: string[] = [];
    const { update } = store.inventory;
    store.inventory.update = async (serial, change) => {
      await update(serial, change);
      between.push((await world.admissions.admit(SERIAL, idevid(SERIAL))).kind);
    };
    const own = await world.admissions.admit(SERIAL, idevid(SERIAL), sent(linkOf(link), code.reveal()));
    expect([own.kind, between]).toEqual(['admitted', ['refused']]);
  });

  it('does nothing for another box', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const other = await world.admissions.admit(
      'SN-branch2',
      idevid('SN-branch2'),
      sent(linkOf(link), code.reveal()),
    );
    expect(other).toMatchObject({ kind: 'wrong-code' });
    expect(await store.activations.tries(SERIAL)).toEqual([]);
  });

  it('is gone after five wrong ones, also where they come at once, and the right one is no use then', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const box = idevid(SERIAL);
    const attempt = (text: string) => world.admissions.admit(SERIAL, box, sent(linkOf(link), text));
    const answers = await Promise.all(Array.from({ length: 8 }, () => attempt(wrongOf(code.reveal()))));
    expect(answers.every(({ kind }) => kind === 'wrong-code')).toBe(true);
    const words = answers.flatMap((answer) => (answer.kind === 'wrong-code' ? [answer.why] : []));
    expect(words.filter((why) => why.startsWith(`The code is wrong for ${SERIAL}.`)).toSorted()).toEqual([
      `The code is wrong for ${SERIAL}. 1 try is left.`,
      `The code is wrong for ${SERIAL}. 2 tries are left.`,
      `The code is wrong for ${SERIAL}. 3 tries are left.`,
      `The code is wrong for ${SERIAL}. 4 tries are left.`,
    ]);
    expect(await attempt(code.reveal())).toMatchObject({
      why: 'The code was wrong five times. Ask for a new one.',
    });
    expect((await store.inventory.get(SERIAL))?.approved).toBe(false);
    // A new one counts anew.
    const next = await world.activations.make(SERIAL, usual);
    expect(await store.activations.tries(SERIAL)).toEqual([]);
    expect(
      (await world.admissions.admit(SERIAL, box, sent(linkOf(next.link), next.code.reveal()))).kind,
    ).toBe('admitted');
  });

  it('has five tries of each key: another identity of that serial takes none of the box’s own', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const [box, clone] = [idevid(SERIAL), idevid(SERIAL)];
    const wrong = (who: typeof box) =>
      world.admissions.admit(SERIAL, who, sent(linkOf(link), wrongOf(code.reveal())));
    await wrong(box);
    for (let times = 0; times < 6; times += 1) {
      nowMs += 1000;
      await wrong(clone);
    }
    expect(await store.activations.tries(SERIAL)).toEqual([
      { spkiSha256: clone.spkiSha256, taken: 5, lastAtMs: nowMs - 1000 },
      { spkiSha256: box.spkiSha256, taken: 1, lastAtMs: nowMs - 6000 },
    ]);
    const entries = await store.records.auditPage({ limit: 9 });
    const refused = entries.flatMap(({ action, detail }) =>
      action === 'activation-refused' ? [detail] : [],
    );
    expect(refused).toHaveLength(6);
    expect(refused).toContain(`The code is wrong for ${SERIAL}. 4 tries are left. (key ${box.spkiSha256})`);
    expect((await world.admissions.admit(SERIAL, box, sent(linkOf(link), code.reveal()))).kind).toBe(
      'admitted',
    );
  });

  it('is tried by sixteen keys at most, so that a short one is not found by keys without end', async () => {
    const { code } = await world.activations.make(SERIAL, { ...usual, withLink: false });
    const attempt = (key: number, text: string) =>
      world.activations.judge(SERIAL, String(key), sent('code', text));
    for (let key = 0; key < 16; key += 1) await attempt(key, wrongOf(code.reveal()));
    expect(await attempt(16, code.reveal())).toMatchObject({
      kind: 'refused',
      why: expect.stringMatching(/^Too many boxes that say to be this one tried the code\./),
    });
    // Who tried in time has what is left of the own.
    expect(await attempt(0, code.reveal())).toEqual({ kind: 'accepted' });
  });

  it('has its tries counted on disk: a restart of the controller gives none back', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'activation-'));
    try {
      const take = async () => {
        const file = openSqliteStore(join(directory, 'controller.db'));
        const activations = createActivations({ store: file, clock });
        try {
          const known = await file.inventory.get(SERIAL);
          if (known === undefined) {
            await file.inventory.add(SERIAL, { approved: false, twoFactor: true }, 1);
            made = (await activations.make(SERIAL, { ...usual, withLink: false })).code.reveal();
          }
          const verdict = await activations.judge(SERIAL, KEY, sent('code', wrongOf(made)));
          return verdict.kind === 'refused' ? verdict.why : '';
        } finally {
          await file.close();
        }
      };
      let made = '';
      const words: string[] = [];
      for (let times = 0; times < 6; times += 1) words.push(await take());
      expect(words.slice(-3)).toEqual([
        `The code is wrong for ${SERIAL}. 1 try is left.`,
        `The code is wrong for ${SERIAL}, for the fifth time. Ask for a new one.`,
        'The code was wrong five times. Ask for a new one.',
      ]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it.each([
    ['code', `This code goes with a link. Open the newest link that was mailed for ${SERIAL}`],
    ['A'.repeat(22), `This is not the newest link for ${SERIAL}. See that the mail names this serial`],
    ['', `This is not the newest link for ${SERIAL}.`],
  ])('costs no try where the link is missing or another’s: %j', async (link, why) => {
    const { code } = await world.activations.make(SERIAL, usual);
    const answer = await world.activations.judge(SERIAL, KEY, sent(link, code.reveal()));
    expect(answer).toMatchObject({ kind: 'refused', counted: false, why: expect.stringContaining(why) });
    expect(await store.activations.tries(SERIAL)).toEqual([]);
  });

  it('is enough by itself where it was made without a link', async () => {
    const { code, link } = await world.activations.make(SERIAL, { ...usual, withLink: false });
    expect(link).toBeUndefined();
    expect(await world.activations.judge(SERIAL, KEY, sent('code', code.reveal()))).toEqual({
      kind: 'accepted',
    });
  });

  it('ends with its time', async () => {
    const { code, link, endsAtMs } = await world.activations.make(SERIAL, { ...usual, validS: 60 });
    nowMs = endsAtMs;
    expect(await world.activations.judge(SERIAL, KEY, sent(linkOf(link), code.reveal()))).toMatchObject({
      why: 'The code is too old. Ask for a new one.',
    });
  });

  it('is not asked for, nor used up, before the box has a place', async () => {
    const { code, link } = await world.activations.make('SN-placeless', usual);
    const box = idevid('SN-placeless');
    const answer = await world.admissions.admit('SN-placeless', box, sent(linkOf(link), code.reveal()));
    expect(answer).toEqual({ kind: 'pending', why: 'this box waits for an approval' });
    expect(await store.activations.tries('SN-placeless')).toEqual([]);
  });

  it('is not needed where an operator approves, and is no way around a denial', async () => {
    const { code, link } = await world.activations.make(SERIAL, usual);
    const box = idevid(SERIAL);
    await store.inventory.update(SERIAL, { state: 'revoked' });
    expect((await world.admissions.admit(SERIAL, box, sent(linkOf(link), code.reveal()))).kind).toBe(
      'refused',
    );
    await store.inventory.update(SERIAL, { state: 'expected', approved: true });
    expect((await world.admissions.admit(SERIAL, box)).kind).toBe('admitted');
  });

  it('goes with its inventory entry', async () => {
    await world.activations.make(SERIAL, usual);
    await store.inventory.remove(SERIAL);
    expect(await store.activations.get(SERIAL)).toBeUndefined();
  });
});

describe('HTTP Basic', () => {
  const encoded = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  it('is read as RFC 7617 writes it', () => {
    const read = readBasic(encoded('link:ab:cd'));
    expect([read?.link, read?.code.reveal()]).toEqual(['link', 'ab:cd']);
    expect(readBasic(encoded(':X'))?.link).toBe('');
  });
  it.each([
    undefined,
    '',
    'Bearer eA==',
    'Basic',
    'Basic !!',
    encoded('no colon'),
    encoded(`:${'x'.repeat(200)}`),
  ])('is nothing where %j came', (header) => {
    expect(readBasic(header)).toBeUndefined();
  });
});
