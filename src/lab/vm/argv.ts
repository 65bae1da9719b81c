/**
 * Owns the words that QEMU and swtpm are started with: text from a machine's description. Pure.
 * Does not own starting them (machines.ts) nor which accelerator this host has (accelerator.ts).
 */
import { EXEC_CHANNELS, execPortName, type MachinePaths } from './machinePaths.ts';

export type Accelerator = 'kvm' | 'tcg';

export interface MachinePort {
  readonly label: string;
  /** Of the machine's NIC: what the provider and the hosts see. */
  readonly mac: string;
  /** undefined: the card has a cable that leads nowhere. */
  readonly tap: string | undefined;
  /** On the PCI bus. */
  readonly slot: number;
}

export interface Machine {
  readonly name: string;
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly tpm: boolean;
  readonly ports: readonly MachinePort[];
}

export interface Firmware {
  readonly code: string;
}

const USB_CONTROLLER = 'usb';
/** Whose ports take a stick. */
export const USB_BUS = `${USB_CONTROLLER}.0`;

/** On the root bus, where firmware/models/qemu.toml expects each port. */
export const PORT_SLOTS = { wan1: 0x10, wan2: 0x11, lan1: 0x14, lan2: 0x15, lan3: 0x16, lan4: 0x17 } as const;

/** What the options name the disk: a file of our own, or somebody's NBD server. */
export type DiskSource =
  | { readonly kind: 'qcow2'; readonly path: string }
  | { readonly kind: 'nbd'; readonly socket: string };

export interface QemuOptions {
  readonly machine: Machine;
  readonly paths: MachinePaths;
  readonly firmware: Firmware;
  readonly accelerator: Accelerator;
  readonly disk: DiskSource;
}

export function renderQemu({ machine, paths, firmware, accelerator, disk }: QemuOptions): string[] {
  return [
    ['-name', machine.name],
    ['-nodefaults'],
    ['-no-user-config'],
    ['-display', 'none'],
    // SMM is what keeps the guest from writing Secure Boot's variables past the firmware.
    ['-machine', 'q35,smm=on,sata=off'],
    ['-global', 'driver=cfi.pflash01,property=secure,value=on'],
    // OVMF's SMM and S3 do not go together (OvmfPkg/README).
    ['-global', 'ICH9-LPC.disable_s3=1'],
    acceleratorWords(accelerator),
    ['-smp', String(machine.cpus)],
    ['-m', String(machine.memoryMiB)],
    ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${firmware.code}`],
    ['-drive', `if=pflash,unit=1,format=raw,file=${paths.variables}`],
    ...diskWords(disk),
    ['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng,addr=0x03'],
    ['-device', 'i6300esb,addr=0x04', '-action', 'watchdog=reset'],
    // Nothing is in it before somebody plugs something in, by QMP.
    ['-device', `qemu-xhci,id=${USB_CONTROLLER},addr=0x06`],
    ...(machine.tpm
      ? [
          ['-chardev', `socket,id=tpm,path=${paths.tpmSocket}`],
          ['-tpmdev', 'emulator,id=tpm,chardev=tpm', '-device', 'tpm-crb,tpmdev=tpm'],
        ]
      : []),
    ...machine.ports.flatMap(portWords),
    // COM1 is the log, COM2 the debug shell: both drivers are built into the kernel, so they are there from the start.
    ['-chardev', `file,id=log,path=${paths.serialLog},append=on`, '-serial', 'chardev:log'],
    ['-chardev', socketChardev('console', paths.consoleSocket), '-serial', 'chardev:console'],
    ['-device', `virtio-serial-pci,id=serial,max_ports=${EXEC_CHANNELS + 1},addr=0x05`],
    ...Array.from({ length: EXEC_CHANNELS }, (_none, channel) => [
      '-chardev',
      socketChardev(`exec${channel}`, paths.execSocket(channel)),
      '-device',
      `virtserialport,bus=serial.0,nr=${channel + 1},chardev=exec${channel},name=${execPortName(channel)}`,
    ]),
    ['-chardev', socketChardev('qmp', paths.qmpSocket), '-mon', 'chardev=qmp,mode=control'],
  ].flat();
}

/**
 * Emulated, a page table of five levels costs a tenth of all time of a boot (130 s of processor to 117): each miss of the
 * TLB walks it, and each change of process empties the TLB. No box that Branchbox is made for has one.
 */
export const acceleratorWords = (accelerator: Accelerator): string[] =>
  accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : ['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off'];

const socketChardev = (id: string, path: string): string => `socket,id=${id},path=${path},server=on,wait=off`;

/**
 * cache=writeback: what the guest did not flush may be lost, what it flushed is on the host's disk; never `unsafe`,
 * which would drop flushes.
 */
function diskWords(disk: DiskSource): string[][] {
  const source =
    disk.kind === 'qcow2'
      ? `file=${disk.path},format=qcow2`
      : `file=nbd+unix:///?socket=${disk.socket},format=raw`;
  return [
    ['-drive', `if=none,id=disk,${source},cache=writeback,discard=unmap,detect-zeroes=unmap`],
    ['-device', 'virtio-blk-pci,drive=disk,bootindex=1,addr=0x02,serial=branchbox'],
  ];
}

/** No option ROM: nothing is ever booted from the network. */
function portWords({ label, mac, tap, slot }: MachinePort): string[][] {
  const cable =
    tap === undefined
      ? `hubport,id=${label},hubid=${slot}`
      : `tap,id=${label},ifname=${tap},script=no,downscript=no`;
  return [
    ['-netdev', cable],
    [
      '-device',
      `virtio-net-pci,id=nic-${label},netdev=${label},mac=${mac},addr=0x${slot.toString(16)},romfile=`,
    ],
  ];
}

/** Ends by itself when QEMU hangs up. Its paths must be absolute. */
export function renderSwtpm(paths: MachinePaths): string[] {
  return [
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${paths.tpmState},mode=0600`,
    '--ctrl',
    `type=unixio,path=${paths.tpmSocket}`,
    '--terminate',
  ];
}
