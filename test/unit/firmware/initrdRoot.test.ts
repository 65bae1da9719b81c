/** Which disk the initrd takes for the one that was started, by its own functions; firmware and disks are files here. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const INIT = join(import.meta.dirname, '../../../image/initrd/init');
const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** PciRoot, then PCI. */
const PCI = '02010c00d041030a0000000001010600001d';
const USB_PORT = '030506000100';
const USB_CLASS = '030f0b00ffffffff080650';
const SATA = '03120a000000ffff0000';
const END = '7fff0400';

describe('the root that the initrd looks for', () => {
  let directory: string;
  const at = (path: string): string => join(directory, path);
  /** The attributes come first. */
  const variable = (name: string, hex: string): void =>
    writeFileSync(at(`efivars/${name}-${GLOBAL}`), Buffer.from(`07000000${hex}`, 'hex'));
  const disk = (name: string, bus: string): void => {
    const device = at(`devices/${bus}/${name}`);
    for (const [number, partition] of ['esp', 'root', 'verity'].entries()) {
      mkdirSync(join(device, `${name}${number + 1}`), { recursive: true });
      writeFileSync(join(device, `${name}${number + 1}`, 'partition'), `${number + 1}\n`);
      const label = partition === 'esp' ? 'esp' : `branchbox-${partition}-a`;
      writeFileSync(
        at(`blkid-${name}${number + 1}`),
        `PART_ENTRY_NAME=${label}\nPART_ENTRY_UUID=uuid-${partition}\n`,
      );
    }
    symlinkSync(device, at(`block/${name}`));
  };
  const look = (call: string): string => {
    const functions = ['is_from_usb', 'find_root'].map((name) => {
      const text = new RegExp(`^${name}\\(\\) \\{\\n.*?^\\}$`, 'ms').exec(readFileSync(INIT, 'utf8'))?.[0];
      if (text === undefined) throw new Error(`the initrd has no ${name}`);
      return text
        .replaceAll('/sys/firmware/efi/efivars', at('efivars'))
        .replaceAll('/sys/block', at('block'))
        .replace(/\/usr\/sbin\/blkid .* "\/dev\/\$device"/, `cat "${directory}/blkid-$device"`);
    });
    const known = "tried=' '; esp_uuid=uuid-esp root_uuid=uuid-root verity_uuid=uuid-verity";
    return execFileSync('sh', ['-c', `${known}\n${functions.join('\n')}\n${call}`])
      .toString()
      .trim();
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-initrd-'));
    for (const name of ['efivars', 'block', 'devices']) mkdirSync(at(name));
    disk('sda', 'pci0000:00/0000:00:1f.2/ata1');
    disk('sdb', 'pci0000:00/0000:00:14.0/usb1/1-4');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it.each([
    ['a USB port', `${PCI}${USB_PORT}`, 'yes'],
    ['whatever is on USB', USB_CLASS, 'yes'],
    ['a disk', `${PCI}${SATA}`, 'no'],
  ])('is of a stick where the firmware started %s', (_what, path, answer) => {
    variable('BootCurrent', '0bbb');
    variable('BootBB0B', `010000001c004200000000${path}${END}`);
    expect(look('is_from_usb && echo yes || echo no')).toBe(answer);
  });

  it('is nobody’s in particular where the firmware tells nothing', () => {
    expect(look('is_from_usb && echo yes || echo no')).toBe('no');
    variable('BootCurrent', '0100');
    expect(look('is_from_usb && echo yes || echo no')).toBe('no');
  });

  it('is on the stick that was started, of two disks that are the same to the byte', () => {
    expect(look('find_root own')).toBe('sda sda2 sda3 branchbox-root-a');
    expect(look('find_root usb')).toBe('sdb sdb2 sdb3 branchbox-root-a');
  });

  it('waits for the stick rather than take its copy', () => {
    rmSync(at('block/sdb'));
    expect(look('find_root usb')).toBe('');
    expect(look('find_root any')).toBe('sda sda2 sda3 branchbox-root-a');
  });
});
