/**
 * Rows of the fault table: a USB stick that cannot be read as it should. The script that reads one runs here over a
 * directory; over a real file system it is test/lab/medium.test.ts. What is wrong with what was read: medium.test.ts.
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
import {
  MEDIUM_DIRECTORY,
  MEDIUM_FILE_MAX_BYTES,
  MEDIUM_FILES,
  MEDIUM_REFUSAL_FILE,
} from '../../../../src/model/medium.ts';
import { SERIAL } from '../authorities.ts';
import { createFaultBench } from '../faultBench.ts';
import { goodStick } from '../stick.ts';
import { passedOver } from './mediumPassedOver.ts';
import { faultTable, stateOf } from './table.ts';

const bench = createFaultBench();
const SCRIPT = join(import.meta.dirname, '../../../../firmware/medium-read');
const NAMES = Object.values(MEDIUM_FILES);

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
    const { conveyed, ownerCertificate: owner, voucher } = goodStick(bench);
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
      const seen = await passedOver(bench);
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
      const seen = await passedOver(bench);
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
      const seen = await passedOver(bench);
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
      const seen = await passedOver(bench);
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
      const seen = await passedOver(bench);
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
      const seen = await passedOver(bench);
      return { ...seen, outcome: `${read}; ${seen.outcome}` };
    },
  },
]);
