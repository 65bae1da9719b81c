/**
 * Owns a process that updates a disk as the agent of a box would, so that a test can kill it: one JSON line a step on
 * standard output, the last says how it ended. Arguments: a file with an UpdaterInput.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asBranchboxError } from '../../src/model/errors.ts';
import { Secret } from '../../src/model/secret.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { createDeviceClient } from '../../src/system/deviceClient.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import { createUplinkDialer } from '../../src/system/uplinkDial.ts';
import { createFirmwareDisk } from '../../src/update/disk.ts';
import { install } from '../../src/update/install.ts';
import { verifyManifest } from '../../src/update/manifest.ts';
import { createUpdateRecords } from '../../src/update/records.ts';
import { createControllerSource } from '../../src/update/controllerSource.ts';
import { openDirectory } from '../../src/update/directorySource.ts';

export interface UpdaterInput {
  readonly device: string;
  readonly state: string;
  readonly running: { readonly version: string; readonly rootHash: string };
  readonly anchors: string;
  readonly from:
    | { readonly directory: string }
    | {
        readonly port: number;
        readonly manifest: string;
        readonly key: string;
        readonly certificate: string;
        readonly anchor: string;
      };
  readonly espFileSystem: { readonly type: string; readonly options: string };
  /** Dies as by a power cut, helpers and all, at this line, or so many milliseconds after it. */
  readonly dieAt?: { readonly line: number; readonly afterMs: number };
  readonly sizes?: { readonly writeBytes: number; readonly syncBytes: number };
}

export interface UpdaterLine {
  readonly step?: string;
  readonly doneBytes?: number;
  readonly ended?: string;
  readonly code?: string;
  readonly message?: string;
  readonly problems?: readonly { readonly path: string; readonly message: string }[];
}

let lines = 0;
const say = (line: UpdaterLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
  lines += 1;
  if (lines - 1 !== input.dieAt?.line) return;
  // It leads its own process group.
  const die = (): void => void process.kill(-process.pid, 'SIGKILL');
  if (input.dieAt.afterMs === 0) die();
  else setTimeout(die, input.dieAt.afterMs);
};
const input: UpdaterInput = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const { runner, files, log } = createLinuxSystem({ name: 'updater' });
const { from } = input;
try {
  const opened =
    'directory' in from
      ? await openDirectory(from.directory)
      : {
          manifest: from.manifest,
          source: createControllerSource(
            createDeviceClient({
              server: () => ({ host: '127.0.0.1', port: from.port }),
              credentials: async () => ({
                key: new Secret(from.key),
                certificatePem: from.certificate,
                anchorPem: from.anchor,
              }),
              dialer: createUplinkDialer({
                leases: () => [{ ifname: 'lo', address: '127.0.0.1', dns: [] }],
                log,
              }),
            }),
          ),
        };
  const target = await verifyManifest(opened.manifest, {
    anchors: parseCertificates(input.anchors),
    arch: 'x86-64',
  });
  const ended = await install(
    {
      disk: createFirmwareDisk({
        runner,
        device: input.device,
        running: input.running,
        mountPoint: join(input.state, 'esp'),
        stagedPath: join(input.state, 'staged.efi'),
        espFileSystem: input.espFileSystem,
        variables: join(input.state, 'efivars'),
      }),
      source: opened.source,
      progress: createUpdateRecords(files, input.state, log).progress,
      pace: async () => {},
      allowDowngrade: false,
      ...(input.sizes === undefined ? {} : { sizes: input.sizes }),
      onStep: ({ op }, doneBytes) => say({ step: op, doneBytes }),
      beforeEntry: async () => {},
    },
    target,
    new AbortController().signal,
  );
  say({ ended });
} catch (thrown) {
  const { code, message, problems } = asBranchboxError(thrown);
  say({ ended: 'error', code, message, problems });
}
