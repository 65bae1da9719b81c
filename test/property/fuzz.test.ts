/**
 * A short run of `npm run fuzz`: every parser of outside input, and parsers that are wrong on purpose, which it must
 * catch; and that no parser was forgotten.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runCampaign } from '../fuzz/campaign.ts';
import type { Chance } from '../fuzz/chance.ts';
import { createJudge } from '../fuzz/judge.ts';
import { mutateDer } from '../fuzz/mutateDer.ts';
import { createParsers } from '../fuzz/parsers.ts';
import { createParsers as createPlanted } from '../fuzz/planted.ts';
import { runSlice } from '../fuzz/slice.ts';

const SEED = 1;
const parsers = createParsers();
const slice = { seed: SEED, from: 0, to: 25, maxFindings: 3 };

describe('every parser of outside input', () => {
  it.each(parsers.map((parser) => [parser.name, parser] as const))('%s', async (_name, parser) => {
    // A script costs processes.
    const to = parser.share < 1 ? 8 : slice.to;
    const { findings } = await runSlice(await createJudge(parser), { ...slice, to });
    expect(findings.map(({ index, what }) => `${index}: ${what}`)).toEqual([]);
  });

  it('is given the same inputs by the same seed', async () => {
    for (const parser of parsers) {
      const { input } = await createJudge(parser);
      expect(input(SEED, 3)).toEqual(input(SEED, 3));
    }
  });
});

describe('a mutant of DER', () => {
  it('has an end, however often its parts are repeated within one another', () => {
    // Three sequences around 100 octets.
    const sample = Buffer.from(`306a306830660464${'00'.repeat(100)}`, 'hex');
    let bend = 0;
    // Each bend repeats the first part one deeper a thousand times.
    const chance: Chance = {
      below: (count) => (count === 18 ? 4 : count - 1),
      once: (times) => times === 8,
      one: (items) => items[bend++] ?? expect.fail('there is nothing to choose from'),
      bytes: (count) => new Uint8Array(count),
    };
    const { length } = mutateDer(sample, chance, []);
    expect(bend).toBe(3);
    expect(length).toBeGreaterThan(100 * 1_000);
    expect(length).toBeLessThanOrEqual(2 * 1024 * 1024);
  });
});

describe('a parser that is wrong', () => {
  const planted = new Map(createPlanted().map((parser) => [parser.name, parser]));
  const judgeOf = (name: string) => {
    const parser = planted.get(name);
    if (parser === undefined) throw new Error(`no parser ${name} is planted`);
    return createJudge(parser);
  };
  it.each([
    ['foreign-error', 'threw what is no error of ours: URIError'],
    ['other-code', 'refused with internal'],
    ['unsigned', 'took what nobody signed'],
    ['prototype', 'into Object.prototype'],
    ['quadratic', 'of the processor'],
    ['long-words', 'refused with an error of'],
    ['leak', 'memory grew by'],
    ['careless-script', 'words of the input were carried out'],
  ])('in the way "%s" is found', async (name, words) => {
    const { findings } = await runSlice(await judgeOf(name), { ...slice, to: 6_000, maxFindings: 1 });
    expect(findings[0]?.what).toContain(words);
  });

  it.each([
    ['hang', 'hangs', 3_000],
    // Filling a heap takes a moment, on a busy machine more.
    ['memory', 'heap out of memory', 60_000],
  ])(
    'in the way "%s" ends its process alone, and the run goes on behind it',
    async (name, words, hangMs) => {
      const table = fileURLToPath(new URL('../fuzz/planted.ts', import.meta.url));
      const [report] = await runCampaign({
        table,
        hangMs,
        maxFindings: 2,
        parsers: [(await judgeOf(name)).parser],
        inputs: 300,
        seed: SEED,
        processes: 1,
        onReport: () => {},
        onPlace: () => {},
      });
      const [first] = report?.findings ?? [];
      expect(first?.what).toContain(words);
      // Its input again, from seed and number alone.
      const again = (await judgeOf(name)).input(SEED, first?.index ?? 0);
      expect(Buffer.from(again).toString('base64')).toBe(first?.inputBase64);
      expect(report?.findings).toHaveLength(2);
    },
    120_000,
  );
});

/** Beginnings of the names of functions that read what came from outside. */
const READS = /^export (?:async )?(?:function|const) ((?:parse|decode|read|verify|judge)[A-Z]?\w*)/gm;
/** Not given to the fuzzer, and why. */
const EXEMPT: Readonly<Record<string, string>> = {
  'base64#parseBase64': 'within JWS and PEM',
  'der#decode': 'within all of DER',
  'derRead#*': 'takes decoded nodes apart, within all of DER',
  'extensionRead#*': 'takes decoded nodes apart, within certificates and revocation lists',
  'hardwareClock#readHardwareClock': 'what the kernel says of this machine: digits, or nothing',
  'factory#readFactory': 'made in the factory, on a medium that nobody else writes',
  'statusByFiles#readStatus': 'reads the journal',
  'wipe#*': 'reads what a script of the box wrote for root',
  'tlsPeer#judgeTlsPeer':
    'what it takes from a session are certificates, and their chain: within those of certificate and chain',
  'claims#readClaims': 'what the kernel says of this machine, held against a schema line by line',
};

/** Scripts of the box that are given nothing from outside, and what each reads. */
const OWN_INPUT: Readonly<Record<string, string>> = {
  'boot-failed': 'boot entries by name and counter, of our loader',
  'boot-uplinks': 'hardware models of ours, and unit names of the agent by their form',
  'branchbox.sh': 'nothing',
  console: 'the status by the command line, and keys of who stands at the box: held against the serial',
  consoles: 'hardware models of ours',
  'factory-reset': 'its words, by units of ours',
  'installed-medium':
    'three files of the disk’s own ESP, up to a size; medium-read, which is fuzzed, takes them from there',
  'frr-load': 'its words, by units of ours',
  'frr-run': 'its words, by units of ours',
  'installer-dhcp': 'its words, by the agent; what is on the wire dnsmasq reads',
  'installer/branchbox-install':
    "the stick's own configuration: whoever has the stick has the firmware on it",
  'installer/install-gather':
    'files of the stick, up to a size: whoever has the stick has the firmware on it',
  'installer/install-target': 'disks of the machine, as the kernel tells them',
  'model-modules': 'hardware models of ours',
  'other-dhcp': 'addresses of a lease that the hook of the client wrote, by their form alone',
  rescue: 'nothing',
  'reset-button': 'events of the kernel for the button of the hardware model',
  'root/usr/lib/branchbox/open-data': "the box's own partitions",
  'root/usr/lib/branchbox/root-check': "the box's own partitions",
  'ssh-host-key': 'nothing',
  'start-next': 'what blkid says of a partition table, as it encodes it',
  'tpm-make-key': 'the TPM',
  'tpm-ready': 'the TPM',
  'trial-deadline': 'boot entries, the state of the agent',
  'wait-for-socket': 'its words, by units of ours',
};

describe('the table of parsers', () => {
  const covered = new Set(parsers.flatMap(({ covers }) => covers));
  const found = ['bootstrap', 'pki'].flatMap((folder) => {
    const directory = fileURLToPath(new URL(`../../src/${folder}`, import.meta.url));
    return readdirSync(directory).flatMap((file) =>
      [...readFileSync(`${directory}/${file}`, 'utf8').matchAll(READS)].map(
        (match) => `${file.replace('.ts', '')}#${match[1] ?? ''}`,
      ),
    );
  });

  it('has every function of src/bootstrap and src/pki that reads what comes from outside', () => {
    expect(found.length).toBeGreaterThan(15);
    const forgotten = found.filter(
      (name) => !covered.has(name) && !(name in EXEMPT) && !(name.replace(/#.*/, '#*') in EXEMPT),
    );
    expect(forgotten, 'add them to test/fuzz/parsers*.ts, in `covers`').toEqual([]);
  });

  it('has every script of the firmware that reads what comes from outside', () => {
    const firmware = fileURLToPath(new URL('../../firmware', import.meta.url));
    const scripts = readdirSync(firmware, { recursive: true, encoding: 'utf8' }).filter((name) => {
      const at = `${firmware}/${name}`;
      return statSync(at).isFile() && readFileSync(at, 'latin1').startsWith('#!');
    });
    expect(scripts.length).toBeGreaterThan(20);
    const known = (name: string): boolean => covered.has(`firmware/${name}`) !== name in OWN_INPUT;
    const forgotten = scripts.filter((name) => !known(name));
    expect(forgotten, 'add them to test/fuzz/parsersScripts.ts, or say what they read').toEqual([]);
  });

  it('has names once', () => {
    const names = parsers.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
