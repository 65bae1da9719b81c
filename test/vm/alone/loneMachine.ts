/**
 * Owns a machine of the image with nothing around it: no network, no TPM, firmware without Secure Boot; a disk, a
 * serial line as who stands before it has one, a USB port for sticks and a CD-ROM drive. For what a box does when it does not come up.
 * Does not own machines beside a network (src/lab/vm).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Disk } from '../../../image/disk.ts';
import { chooseAccelerator } from '../../../src/lab/vm/accelerator.ts';
import { acceleratorWords } from '../../../src/lab/vm/argv.ts';
import { askQmp } from '../../../src/lab/vm/qmp.ts';
import { toolsCommand } from '../../../src/lab/vm/tools.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';

const CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const QEMU = [
  ['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35,sata=off'],
  ['-smp', '2', '-m', '1024'],
  ['-device', 'qemu-xhci,id=usb'],
].flat();
/** QEMU itself starts at once on an idle host; on one that does much else a process waits for its turn too. */
const SOCKET_TIMEOUT_MS = 300_000;
const POLL_MS = 50;
/** A screen that is drawn again and again is no reason to keep all of it. */
const MAX_SEEN = 1024 * 1024;

interface Media {
  /** A raw image in a USB port, which comes before the disk in the firmware's order. */
  readonly stick?: string;
  /** An ISO 9660 image in a CD-ROM drive on SATA, where libvirt and Proxmox put an instance's user data. */
  readonly disc?: string;
}

const stickWords = (path: string): readonly string[] =>
  [
    ['-drive', `if=none,id=stick,file=${path},format=raw`],
    ['-device', 'usb-storage,drive=stick,bus=usb.0,bootindex=1'],
  ].flat();
const discWords = (path: string): readonly string[] =>
  [
    ['-drive', `if=none,id=disc,file=${path},format=raw,media=cdrom,readonly=on`],
    ['-device', 'ahci,id=ahci', '-device', 'ide-cd,drive=disc,bus=ahci.0'],
  ].flat();

export interface LoneMachine {
  /** With these in it from power-on. */
  start(media?: Media): Promise<void>;
  /** Without warning, as a power cut. All that the serial line said is in `serial.log` of the directory. */
  stop(): Promise<void>;
  /** Resolves when the serial line has said it, after what was waited for before. */
  sees(what: RegExp, timeoutMs: number): Promise<void>;
  types(line: string): void;
  /** A raw image as a USB stick. */
  plugsIn(stick: string): Promise<void>;
}

/** `directory` holds the disk; its UEFI variables are made there, and outlive a start. By KVM where that works. */
export async function createLoneMachine(image: Disk, directory: string, disk: string): Promise<LoneMachine> {
  const tools = image.ingredients.toolbox.tree;
  const { accelerator } = await chooseAccelerator(
    { runner: createRunner(), files: createFiles() },
    { tools, unifiedKernel: image.made.uki },
  );
  const variables = join(directory, 'variables.fd');
  const [serialPath, qmpPath] = [join(directory, 'serial'), join(directory, 'qmp')];
  copyFileSync(join(tools, VARIABLES), variables);
  let qemu: ChildProcess | undefined;
  let serial: Socket | undefined;
  let seen = '';
  let onSeen = (): void => undefined;

  return {
    async start({ stick, disc } = {}) {
      seen = '';
      for (const path of [serialPath, qmpPath]) rmSync(path, { force: true });
      const words = [
        QEMU,
        acceleratorWords(accelerator),
        ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${CODE}`],
        ['-drive', `if=pflash,unit=1,format=raw,file=${variables}`],
        ['-drive', `if=none,id=disk,file=${disk},format=raw`],
        ['-device', 'virtio-blk-pci,drive=disk,bootindex=2'],
        stick === undefined ? [] : stickWords(stick),
        disc === undefined ? [] : discWords(disc),
        [
          '-chardev',
          `socket,id=serial,path=${serialPath},server=on,wait=on,logfile=${serialPath}.log,logappend=on`,
          '-serial',
          'chardev:serial',
        ],
        ['-chardev', `socket,id=qmp,path=${qmpPath},server=on,wait=off`, '-mon', 'chardev=qmp,mode=control'],
      ].flat();
      const [command = '', ...args] = toolsCommand(tools, [directory], ['qemu-system-x86_64', ...words]);
      qemu = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      const deadlineMs = performance.now() + SOCKET_TIMEOUT_MS;
      while (!existsSync(serialPath)) {
        if (qemu.exitCode !== null || performance.now() > deadlineMs) throw new Error('QEMU did not start');
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      serial = connect(serialPath);
      // A machine that is cut off leaves an unread screen behind.
      serial.on('error', () => undefined);
      serial.on('data', (chunk: Buffer) => {
        seen = (seen + chunk.toString('latin1')).slice(-MAX_SEEN);
        onSeen();
      });
    },
    async stop() {
      if (qemu === undefined) return;
      const ended = qemu.exitCode === null ? once(qemu, 'close') : undefined;
      qemu.kill('SIGKILL');
      await ended;
      serial?.destroy();
      qemu = undefined;
    },
    sees(what, timeoutMs) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const match = what.exec(seen);
          if (match === null) return;
          seen = seen.slice(match.index + match[0].length);
          end();
          resolve();
        };
        const timer = setTimeout(() => {
          end();
          reject(
            new Error(`the serial line did not say ${what} within ${timeoutMs} ms:\n${seen.slice(-4000)}`),
          );
        }, timeoutMs);
        const end = (): void => {
          clearTimeout(timer);
          onSeen = () => undefined;
        };
        onSeen = look;
        look();
      });
    },
    types(line) {
      serial?.write(`${line}\r`);
    },
    async plugsIn(stick) {
      const file = { driver: 'raw', 'node-name': 'stick', file: { driver: 'file', filename: stick } };
      await askQmp(qmpPath, { execute: 'blockdev-add', arguments: file });
      const device = { driver: 'usb-storage', id: 'stick', bus: 'usb.0', drive: 'stick' };
      await askQmp(qmpPath, { execute: 'device_add', arguments: device });
    },
  };
}
