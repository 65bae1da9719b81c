/**
 * Owns what pppd is told of each PPPoE line beside firmware/pppd.conf: over which interface, as whom. A file a line in
 * /run, which root alone reads: no secret is in an argument, an item or a log.
 * Does not own the session itself (pppoe@.service) nor the address that it brings (system/leases).
 */
import type { Facts } from '../model/facts.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import { pppoeUnitOf } from '../model/ids.ts';
import { type Line, carrierIfname, uplinkIfname } from '../model/underlay.ts';
import type { Files, Services } from '../system/ports.ts';
import { mediumPort } from '../wan/factory.ts';

const SUFFIX = '.conf';

/** Interface → content, for each uplink by PPPoE whose port is there and a medium's: nobody else says as whom. Pure. */
export function renderPppoeLines(
  uplinks: readonly Line[],
  network: BootstrapNetwork | undefined,
  facts: Pick<Facts, 'ports'>,
): ReadonlyMap<string, string> {
  const lines = new Map<string, string>();
  if (network?.addressing.kind !== 'pppoe') return lines;
  const { user, password } = network.addressing;
  const port = mediumPort(facts, network);
  for (const uplink of uplinks) {
    const carrier = carrierIfname(uplink, facts);
    const ifname = uplinkIfname(uplink, facts);
    if (
      uplink.addressing.kind !== 'pppoe' ||
      uplink.port !== port ||
      carrier === undefined ||
      ifname === undefined
    )
      continue;
    lines.set(ifname, `nic-${carrier}\nuser ${quoted(user)}\npassword ${quoted(password)}\n`);
  }
  return lines;
}

/** One word of an options file (pppd(8), options files); the model let no control character in. */
const quoted = (word: string): string => `"${word.replaceAll(/["\\]/g, '\\$&')}"`;

/**
 * Writes and removes what differs. A pppd that read other words is stopped before: it reads them once, and is started
 * again as whatever is wanted and does not run.
 */
export async function holdPppoeLines(
  {
    files,
    services,
  }: {
    readonly files: Pick<Files, 'list' | 'readText' | 'writeDurable' | 'remove'>;
    readonly services: Pick<Services, 'stop'>;
  },
  directory: string,
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  for (const name of await files.list(directory)) {
    if (name.endsWith(SUFFIX) && !wanted.has(name.slice(0, -SUFFIX.length)))
      await files.remove(`${directory}/${name}`);
  }
  for (const [ifname, text] of wanted) {
    const path = `${directory}/${ifname}${SUFFIX}`;
    const there = await files.readText(path).catch(() => undefined);
    if (there === text) continue;
    if (there !== undefined) await services.stop([pppoeUnitOf(ifname)]);
    await files.writeDurable(path, text);
  }
}
