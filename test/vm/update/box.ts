/**
 * Owns what tests of updates ask: the controller of what the box told it, and the box of what it runs and what its boot
 * loader is given. Does not own what is expected.
 */
import type { ToldFirmware } from '../../../src/model/firmware.ts';
import type { GatewayEvent, GatewayStatus } from '../../../src/model/status.ts';
import { inspectApp } from '../../lab/mainjob/engine.ts';
import { api, editFleet, fleetGateway, labInfo } from '../../lab/mainjob/fleet.ts';
import { inNode, tryIn, until } from '../../lab/mainjob/lab.ts';

export const BOX = 'branch2';
/** Emulated on a host that is busy, a download and two boots take this long. */
const PATIENCE_MS = 25 * 60_000;
/** A look costs half a second of what the emulation needs. */
const LOOK_EVERY_MS = 4000;

export interface WantedVersion {
  readonly version: string;
  readonly allowDowngrade?: boolean;
}

/** In the fleet; undefined: whatever the box runs. */
export function want(firmware: WantedVersion | undefined): Promise<void> {
  return editFleet((fleet) => {
    const gateway = fleetGateway(fleet, BOX);
    if (firmware === undefined) delete gateway.firmware;
    else gateway.firmware = firmware;
  });
}

const STATUS = `/api/v1/gateways/${BOX}/status`;

/** As the controller has it. */
export async function reported(): Promise<GatewayStatus> {
  const { status, body } = await api('GET', STATUS);
  if (status !== 200) throw new Error(`GET status: ${status} ${JSON.stringify(body)}`);
  return (body as { readonly status: GatewayStatus }).status;
}

/** The same for who asks again and again: one command where `api` takes four. */
async function createReporter(): Promise<() => Promise<ToldFirmware | undefined>> {
  // Leaves the anchor and the credential where curl finds them.
  await reported();
  const { endpoints } = await labInfo();
  const url = new URL(STATUS, endpoints.api.url).href;
  const words = ['--cacert', '/run/test/ca.pem', '-H', '@/run/test/headers', url];
  return async () => {
    const text = await inNode('internet-host', 'curl', '-sSf', '--max-time', '20', ...words);
    return (JSON.parse(text) as { readonly status: GatewayStatus }).status.firmware;
  };
}

/** Sentences of the box's events of this kind about this subject that the controller has, oldest first. */
export async function eventsOf(kind: GatewayEvent['kind'], subject: string): Promise<readonly string[]> {
  const { body } = await api('GET', `/api/v1/gateways/${BOX}/events?limit=1000`);
  return (body as readonly GatewayEvent[])
    .filter((event) => event.kind === kind && event.subject === subject)
    .map(({ sentence }) => sentence);
}

/**
 * Follows what the controller is told of the box's firmware to the wanted end, each step on the screen with its second.
 * Another end fails at once.
 */
export async function followTo(
  what: string,
  isEnd: (firmware: ToldFirmware) => boolean,
  isOther: (firmware: ToldFirmware) => boolean,
): Promise<ToldFirmware> {
  const ask = await createReporter();
  const startMs = performance.now();
  let told = '';
  let lookedAtMs = -LOOK_EVERY_MS;
  const outcome = await until(
    what,
    async () => {
      const waitMs = lookedAtMs + LOOK_EVERY_MS - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      lookedAtMs = performance.now();
      const firmware = await ask();
      if (firmware === undefined) return undefined;
      const line = `${firmware.version} ${firmware.state}: ${firmware.sentence}`;
      const seconds = ((performance.now() - startMs) / 1000).toFixed(0).padStart(5);
      if (line !== told) process.stdout.write(`${seconds} s  ${line}\n`);
      told = line;
      if (isEnd(firmware)) return { firmware, wanted: true };
      return isOther(firmware) ? { firmware, wanted: false } : undefined;
    },
    PATIENCE_MS,
  );
  if (!outcome.wanted) throw new Error(`${what}: ${JSON.stringify(outcome.firmware)}`);
  return outcome.firmware;
}

export interface Booted {
  readonly version: string;
  readonly slot: string;
  /** The boot entry that the loader says it started. */
  readonly started: string;
  /** In the ESP. */
  readonly entries: readonly string[];
  readonly bootId: string;
}

const LOADER = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
/** Of what is there and not of what the updater says: os-release, the initrd's note, the loader's variable, the ESP. */
const LOOK = `set -eu
sed -n 's/^IMAGE_VERSION=/version /p' /usr/lib/os-release
echo "slot $(cat /run/branchbox/boot/slot)"
echo "started $(cat /sys/firmware/efi/efivars/LoaderEntrySelected-${LOADER} | tail -c +5 | tr -d '\\000')"
echo "bootId $(cat /proc/sys/kernel/random/boot_id)"
esp=/run/esp-of-a-test
mkdir -p $esp
mount -t vfat -o ro "$(readlink /run/branchbox/boot/esp)" $esp
trap 'umount $esp' EXIT
find $esp/EFI/Linux -type f | sed 's|.*/|entry |' | sort`;

export async function booted(): Promise<Booted> {
  // The updater may have the ESP mounted for a moment, writable, and the kernel then refuses another way.
  const text = await until('the ESP can be looked at', async () => {
    const ended = await tryIn(BOX, ['sh', '-c', LOOK]);
    if (ended.exitCode !== 0) throw new Error(ended.stderr);
    return ended.stdout;
  });
  const words = text
    .trim()
    .split('\n')
    .map((line) => line.split(' ', 2));
  const of = (key: string): string[] =>
    words.flatMap(([name, value]) => (name === key && value !== undefined ? [value] : []));
  const one = (key: string): string => of(key)[0] ?? '';
  return {
    version: one('version'),
    slot: one('slot'),
    started: one('started'),
    entries: of('entry').toSorted(),
    bootId: one('bootId'),
  };
}

const APP = 'red-app-vm';
const KEPT = 'http://10.10.0.101/kept';

/** Into the app's volume, by the mount that the app itself has. */
export async function writeIntoVolume(name: string, text: string): Promise<void> {
  const { State } = await inspectApp(BOX, APP);
  const ended = await tryIn(BOX, ['sh', '-c', 'cat >"$0"', `/proc/${State.Pid}/root/www/kept/${name}`], text);
  if (ended.exitCode !== 0) throw new Error(`the volume of ${APP}: ${ended.stderr}`);
}

/** What a tenant's host at the other branch is given of it by the app. */
export const readFromVolume = (name: string): Promise<string> =>
  until('the app answers', () => inNode('branch1-red', 'curl', '-sf', '--max-time', '20', `${KEPT}/${name}`));

/** So that the agent reads all it knows anew, as after a crash. */
export async function restartAgent(): Promise<void> {
  await inNode(BOX, 'systemctl', 'restart', 'branchbox-agent.service');
}

export async function restartBox(): Promise<void> {
  await inNode(BOX, 'systemctl', '--no-block', 'reboot');
}
