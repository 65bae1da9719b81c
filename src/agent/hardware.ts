/**
 * Owns which interface is which port: the hardware model's file, and matching it with what the kernel shows.
 * Does not own what a port is used for.
 */
import { parse } from 'smol-toml';
import { z } from 'zod';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { PortFact } from '../model/facts.ts';
import { InterfaceName, PortLabel } from '../model/ids.ts';
import { MacAddress } from '../model/addresses.ts';
import type { Files } from '../system/ports.ts';

export const HardwareModel = z.strictObject({
  model: z.string().min(1).max(64),
  description: z.string().max(200).optional(),
  ports: z
    .array(
      z.strictObject({
        label: PortLabel,
        role: z.enum(['wan', 'lan']),
        /** By place in the machine, never by the order in which a kernel found things; by name only where names are ours. */
        match: z.union([
          z.strictObject({ path: z.string().min(1).max(256) }),
          z.strictObject({ interface: InterfaceName }),
        ]),
      }),
    )
    .min(1)
    .max(64)
    .refine((ports) => new Set(ports.map((port) => port.label)).size === ports.length, 'labels must differ'),
});
export type HardwareModel = z.output<typeof HardwareModel>;

/** An interface as the kernel shows it in /sys/class/net. */
export interface FoundInterface {
  readonly ifname: string;
  /** `0000:03:00.0`, or of USB `usb-0000:00:14.0-3`; undefined where there is no device. */
  readonly path: string | undefined;
  readonly macAddress: string | undefined;
  readonly carrier: boolean;
}

export function parseHardwareModel(text: string, what: string): HardwareModel {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new BranchboxError('model/invalid', { message: `${what} is not TOML`, cause });
  }
  return decode(HardwareModel, value, what);
}

export async function readHardwareModel(
  files: Files,
  directory: string,
  name: string,
): Promise<HardwareModel> {
  const path = `${directory}/${name}.toml`;
  const text = await files.readText(path);
  if (text === undefined) {
    throw new BranchboxError('model/invalid', {
      message: `there is no hardware model ${name}: ${path} is missing`,
      mend: 'Add the model file, or correct /etc/branchbox/factory/model.',
    });
  }
  return parseHardwareModel(text, path);
}

/** Ports in the model's order. Pure. */
export function matchPorts(model: HardwareModel, found: readonly FoundInterface[]): readonly PortFact[] {
  return model.ports.map(({ label, role, match }) => {
    const own = found.find((one) =>
      'interface' in match ? one.ifname === match.interface : one.path === match.path,
    );
    if (own === undefined) return { label, role, carrier: false };
    const macAddress = MacAddress.safeParse(own.macAddress);
    return {
      label,
      role,
      ifname: own.ifname,
      ...(macAddress.success ? { macAddress: macAddress.data } : {}),
      carrier: own.carrier,
    };
  });
}
