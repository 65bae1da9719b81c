/**
 * Rows of the fault table: a USB medium that a box must not believe, or not even read. The script that reads one off a
 * stick runs here over a directory; over a real file system it is test/lab/medium.test.ts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  MEDIUM_DIRECTORY,
  MEDIUM_FILE_MAX_BYTES,
  MEDIUM_FILES,
  MEDIUM_REFUSAL_FILE,
} from '../../../../src/model/medium.ts';
import { ownerCertificate, wrapConveyed } from '../../../../src/pki/conveyed.ts';
import { authority, DAY_MS, issued, NOW_MS, SERIAL } from '../authorities.ts';
import { conveyedBy, createFaultBench, ownerOf } from '../faultBench.ts';
import { onboarding, redirect } from '../servers.ts';
import { goodStick, plugIn, STATIC_NETWORK, type StickTree, stickVoucher } from '../stick.ts';
import {
  type FaultRow,
  faultTable,
  IN_SERVICE,
  kept,
  type Seen,
  stateOf,
  thenMended,
  toldBy,
} from './table.ts';

const bench = createFaultBench();
const SCRIPT = join(import.meta.dirname, '../../../../firmware/medium-read');
const NAMES = Object.values(MEDIUM_FILES);
const good = (network?: unknown) => goodStick(bench, network);
const stranger = () => issued(bench.authorities.stranger, { kind: 'owner', commonName: 'owner' });
const flip = (der: Uint8Array): Uint8Array => der.map((byte, at) => (at === 700 ? byte ^ 1 : byte));

/** The box goes on as if no medium were there, keeps nothing of it, and comes into service online. */
async function passedOver(): Promise<Seen> {
  const { box, controller } = bench;
  await box.run({ controller, until: 'PROVISIONAL' });
  const line = box.log.findLast(({ message }) => message === 'bootstrap medium refused');
  const state = await stateOf(bench);
  expect(await kept(bench)).toEqual([]);
  expect(await box.files.list(box.paths.state)).not.toContain('pending-owner.json');
  return thenMended(bench, {
    outcome: `${line === undefined ? 'nothing to refuse' : String(line.fields['code'])} in ${state}`,
    told: line === undefined ? toldBy(box) : String(line.fields['problem']).replace(`${box.directory}/`, ''),
  });
}

const row = (fault: string, code: string, told: string, tree: () => StickTree): FaultRow => ({
  fault,
  must: 'refuse it, keep nothing of it, ask online as if it were not there',
  outcome: `${code} in PROVISIONAL; mended`,
  told,
  async run() {
    await plugIn(bench, tree());
    return passedOver();
  },
});

faultTable('USB medium', [
  row(
    'of another serial',
    'pki/mismatch',
    'The voucher for BBX-0002 is not for this box now: $.serial-number is BBX-0002, this box is BBX-0001',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, { serialNumber: 'BBX-0002' }),
    }),
  ),
  row(
    'with a voucher that answers a nonce',
    'pki/mismatch',
    'The voucher for BBX-0001 is not for this box now: $.nonce answers a request that was not made here; $.expires-on is missing from a voucher without a nonce',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, { nonce: new Uint8Array(32), expiresOnMs: undefined }),
    }),
  ),
  row(
    'that expired',
    'pki/expired',
    'The voucher for BBX-0001 is not for this box now: $.expires-on was 2026-05-31T12:00:00Z, and it is 2026-06-01T12:00:00Z at least',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, { createdOnMs: NOW_MS - 60 * DAY_MS, expiresOnMs: NOW_MS - DAY_MS }),
    }),
  ),
  row(
    'whose voucher somebody else signed',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, {}, stranger()),
    }),
  ),
  row(
    'with a bit flipped in the voucher',
    'pki/untrusted',
    "The signature of signed data is refused: Error during verification: Message digest doesn't match",
    () => ({
      ...good(),
      voucher: flip(stickVoucher(bench)),
    }),
  ),
  row(
    'whose network somebody else signed',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () => ({
      ...good(),
      conveyed: conveyedBy(bench, onboarding({ ...ownerOf(bench), network: STATIC_NETWORK }), stranger()),
      ownerCertificate: ownerCertificate(stranger()),
    }),
  ),
  row(
    'whose network nobody signed',
    'pki/malformed',
    'CMS content 1.2.840.113549.1.9.16.1.43 is not signed data',
    () => ({
      ...good(),
      conveyed: wrapConveyed(onboarding({ ...ownerOf(bench), network: STATIC_NETWORK }), 'json'),
    }),
  ),
  row(
    'unsigned: with onboarding information alone',
    'pki/untrusted',
    'A bootstrap medium holds conveyed-information.cms, owner-certificate.cms, ownership-voucher.vcj; this one lacks some of them',
    () => ({
      conveyed: good().conveyed,
    }),
  ),
  row(
    'that brings a script',
    'pki/mismatch',
    "The onboarding information brings a post-configuration-script, and a box runs no code but its image's (have the owner leave post-configuration-script out)",
    () => ({
      ...good(),
      conveyed: conveyedBy(bench, onboarding(ownerOf(bench), { 'post-configuration-script': 'AAAA' })),
    }),
  ),
  row('with a redirect', 'pki/mismatch', 'The medium holds a redirect, not onboarding information', () => ({
    ...good(),
    conveyed: conveyedBy(bench, redirect([{ address: '192.0.2.1', port: 443 }])),
  })),
  row(
    'that names another domain CA than its voucher',
    'pki/mismatch',
    'The onboarding configuration names another domain CA than the voucher pinned',
    () => ({
      ...good(),
      conveyed: conveyedBy(
        bench,
        onboarding({ ...ownerOf(bench), domainAnchorPem: authority('other').certificate.pem }),
      ),
    }),
  ),
  row(
    'with a network that makes no sense',
    'model/invalid',
    "The onboarding configuration has 1 problem: $.network.addressing.kind Invalid discriminator value. Expected 'dhcp' | 'static' | 'pppoe' | 'modem'",
    () => good({ schema: 1, addressing: { kind: 'carrier pigeon' } }),
  ),
  row(
    'that is huge',
    'system/file',
    'media/sdb1/conveyed-information.cms is larger than 131072 bytes',
    () => ({
      ...good(),
      conveyed: new Uint8Array(MEDIUM_FILE_MAX_BYTES + 1),
    }),
  ),
  row('that holds noise', 'pki/malformed', 'Bytes are not one CMS message', () => ({
    ...good(),
    voucher: Buffer.from('noise'),
  })),
  {
    fault: 'plugged into a box that has an owner',
    must: 'not look at it',
    outcome: 'nothing to refuse in OPERATIONAL, under its owner',
    told: IN_SERVICE,
    async run() {
      const { box, controller } = bench;
      await box.run({ controller, until: 'OPERATIONAL' });
      const owner = await box.files.readText(`${box.paths.state}/owner.json`);
      await plugIn(bench, { ...good(), voucher: Buffer.from('noise') });
      await box.files.writeDurable(`${box.paths.state}/journal.json`, '{');
      await box.run({ controller, until: 'OPERATIONAL' });
      const refused = box.log.some(({ message }) => message === 'bootstrap medium refused');
      const same = (await box.files.readText(`${box.paths.state}/owner.json`)) === owner;
      return {
        outcome: `${refused ? 'refused' : 'nothing to refuse'} in ${await stateOf(bench)}, under ${same ? 'its' : 'another'} owner`,
        told: toldBy(box),
      };
    },
  },
]);

/** What firmware/medium-read makes of a stick goes into the box's medium directory; how it ended. */
async function readOff(arrange: (stick: string, outside: string) => NodeJS.ProcessEnv): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-stick-'));
  try {
    const root = join(directory, 'root');
    mkdirSync(join(root, 'etc/branchbox/factory'), { recursive: true });
    writeFileSync(join(root, 'etc/branchbox/factory/serial'), `${SERIAL}\n`);
    const of = join(directory, 'stick', MEDIUM_DIRECTORY, SERIAL);
    const outside = join(directory, 'outside');
    for (const place of [of, outside]) mkdirSync(place, { recursive: true });
    const { conveyed, ownerCertificate: owner, voucher } = good();
    for (const place of [of, outside]) {
      writeFileSync(join(place, MEDIUM_FILES.conveyed), conveyed ?? '');
      writeFileSync(join(place, MEDIUM_FILES.ownerCertificate), owner ?? '');
      writeFileSync(join(place, MEDIUM_FILES.voucher), voucher ?? '');
    }
    const env = { ...process.env, ...arrange(of, outside) };
    const { status } = spawnSync('sh', [SCRIPT, join(directory, 'stick'), root], { env });
    const media = join(root, 'run/branchbox/media');
    const copied = new Map<string, Buffer>();
    for (const medium of readdirSync(media).filter((name) => !name.startsWith('.'))) {
      for (const name of readdirSync(join(media, medium)))
        copied.set(name, readFileSync(join(media, medium, name)));
    }
    for (const [name, bytes] of copied) {
      await bench.box.files.writeDurable(`${bench.box.directory}/media/stick/${name}`, bytes);
    }
    const files = NAMES.filter((name) => copied.has(name)).length;
    return `the reader ends ${status === 0 ? 'well' : 'badly'} with ${files} files`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What a stick that was pulled out looks like to who reads it: so much comes, and then an error. */
function failingHead(directory: string): NodeJS.ProcessEnv {
  const head = join(directory, 'head');
  writeFileSync(head, `#!/bin/sh\ncase $* in *.vcj) printf half; exit 1 ;; esac\nexec /usr/bin/head "$@"\n`);
  chmodSync(head, 0o755);
  return { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
}

const LINK =
  'The USB medium stick has a link where a directory or a file of this box must be, and links are not followed (copy onto it what branchbox fleet usb made, as files)';
const GONE =
  'The USB medium stick could not be read to its end: it was pulled out too early, or is damaged (plug it in again, and leave it in until it is taken or refused; where that does not help, take another stick)';

faultTable('USB stick, while it is read', [
  {
    fault: 'its files are links to files of the box',
    must: 'follow none of them, and say so',
    outcome: 'the reader ends well with 0 files; system/file in PROVISIONAL; mended',
    told: LINK,
    async run() {
      const read = await readOff((stick, outside) => {
        for (const name of NAMES) {
          rmSync(join(stick, name));
          symlinkSync(join(outside, name), join(stick, name));
        }
        return {};
      });
      const seen = await passedOver();
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
  {
    fault: 'its directory is a link',
    must: 'follow it not, and say so',
    outcome: 'the reader ends well with 0 files; system/file in PROVISIONAL; mended',
    told: LINK,
    async run() {
      const read = await readOff((stick, outside) => {
        rmSync(stick, { recursive: true });
        symlinkSync(outside, stick);
        return {};
      });
      const seen = await passedOver();
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
  {
    fault: 'a file of it has no end',
    must: 'copy a byte more than is taken, and refuse it',
    outcome: 'the reader ends well with 3 files; system/file in PROVISIONAL; mended',
    told: 'media/stick/conveyed-information.cms is larger than 131072 bytes',
    async run() {
      const read = await readOff((stick) => {
        writeFileSync(join(stick, MEDIUM_FILES.conveyed), Buffer.alloc(64 * MEDIUM_FILE_MAX_BYTES));
        return {};
      });
      const seen = await passedOver();
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
  {
    fault: 'it is pulled out',
    must: 'let nothing of it appear, say so, and go on',
    outcome: 'the reader ends badly with 0 files; system/file in PROVISIONAL; mended',
    told: GONE,
    async run() {
      const read = await readOff((_, outside) => failingHead(outside));
      const seen = await passedOver();
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
  {
    fault: 'it is pulled out, then plugged in again',
    must: 'say so, and take it then',
    outcome: 'system/file in PROVISIONAL; OWNED by the stick',
    told: GONE,
    async run() {
      const { box, controller } = bench;
      await readOff((_, outside) => failingHead(outside));
      await box.run({ controller, until: 'PROVISIONAL' });
      const told = box.log.findLast(({ message }) => message === 'bootstrap medium refused');
      // As the script does it, which runs in a world of its own here.
      await box.files.remove(`${box.directory}/media/stick/${MEDIUM_REFUSAL_FILE}`);
      await readOff(() => ({}));
      await box.run({ controller, until: 'OWNED' });
      const taken = box.log.some(({ message }) => message === 'bootstrap medium taken');
      return {
        outcome: `${String(told?.fields['code'])} in PROVISIONAL; ${await stateOf(bench)} by ${taken ? 'the stick' : 'a server'}`,
        told: String(told?.fields['problem'] ?? ''),
      };
    },
  },
  {
    fault: 'a pipe is in the place of a file',
    must: 'wait for nobody at its other end, and say so',
    outcome: 'the reader ends well with 0 files; system/file in PROVISIONAL; mended',
    told: 'The USB medium stick has something in the place of a file of this box that is no file (copy onto it what branchbox fleet usb made, as files)',
    async run() {
      const read = await readOff((stick) => {
        rmSync(join(stick, MEDIUM_FILES.voucher));
        execFileSync('mkfifo', [join(stick, MEDIUM_FILES.voucher)]);
        return {};
      });
      const seen = await passedOver();
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
  {
    fault: 'it is made for other boxes alone',
    must: 'say so, and ask online',
    outcome: 'the reader ends well with 0 files; pki/mismatch in PROVISIONAL; mended',
    told: 'The USB medium stick has nothing for the serial of this box, but is made for others (take the stick that was made for this serial: branchbox fleet usb SERIAL)',
    async run() {
      const read = await readOff((stick) => {
        renameSync(stick, join(stick, '../BBX-0002'));
        return {};
      });
      const seen = await passedOver();
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
]);
