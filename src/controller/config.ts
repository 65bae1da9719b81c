/**
 * Owns the controller's configuration file (TOML): where its state, its signer and its manufacturer are, and what it
 * listens at. Does not own the fleet, which people change while it runs.
 */
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { DnsName, IpAddress, Port } from '../model/addresses.ts';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';

const Path = z.string().startsWith('/').max(4096);

export const ControllerConfig = z.strictObject({
  /** Database, bundles, broker, own credentials. */
  stateDir: Path.default('/var/lib/branchbox/controller'),
  /** Names in its certificates; boxes are told the first. */
  names: z.array(DnsName).min(1).max(16),
  addresses: z.array(IpAddress).max(16).default([]),
  listen: z
    .strictObject({
      address: IpAddress.default('0.0.0.0'),
      sztpPort: Port.default(8443),
      estPort: Port.default(8444),
      apiPort: Port.default(8445),
      devicePort: Port.default(8446),
      mqttPort: Port.default(8883),
      /** UDP, of uplink tests: two, so that a box sees whether a NAT maps them alike. */
      probePorts: z.tuple([Port, Port]).default([8447, 8448]),
    })
    .prefault({}),
  /** The files are those that `branchbox manufacturer init` makes; copies on another machine do. */
  manufacturer: z.strictObject({
    url: z.url({ protocol: /^https$/ }),
    /** Of the manufacturer's TLS server. */
    tlsAnchor: Path.default('/var/lib/branchbox/manufacturer/service-ca.crt'),
    clientCertificate: Path.default('/var/lib/branchbox/manufacturer/client.crt'),
    clientKey: Path.default('/var/lib/branchbox/manufacturer/client.key'),
    /** Issuer of IDevIDs: which factory identities are believed. */
    idevidAnchor: Path.default('/var/lib/branchbox/manufacturer/ca.crt'),
    /** Issuer of voucher signers: only handed on by `controller anchors`; the box judges vouchers. */
    voucherAnchor: Path.default('/var/lib/branchbox/manufacturer/voucher-ca.crt'),
  }),
  signer: z.strictObject({ socket: Path.default('/run/branchbox/signer.sock') }).prefault({}),
  mosquitto: z
    .strictObject({
      program: Path.default('/usr/sbin/mosquitto'),
      /** Whom the broker becomes where the controller runs as root. */
      user: z
        .string()
        .regex(/^[a-z_][a-z0-9_-]{0,31}$/)
        .default('mosquitto'),
    })
    .prefault({}),
  bundleMaxBytes: z
    .int()
    .min(1024)
    .max(8 * 1024 ** 3)
    .default(2 * 1024 ** 3),
  /** Certificates of release keys: an upload that none of them signed is refused. Absent: boxes judge alone. */
  releaseAnchors: Path.optional(),
});
export type ControllerConfig = z.output<typeof ControllerConfig>;

/** `path`: of the file, for whoever has to mend it. */
export function parseControllerConfig(text: string, path: string): ControllerConfig {
  const what = `the controller's configuration ${path}`;
  let value: unknown;
  try {
    value = parseToml(text);
  } catch (cause) {
    throw new BranchboxError('model/invalid', {
      message: `${what} is not TOML: ${cause instanceof Error ? cause.message : 'unreadable'}`,
      mend: 'docs/controller.md has one as an example',
      cause,
    });
  }
  return decode(ControllerConfig, value, what);
}

/** The first name: what boxes are told. */
export function publicName(config: ControllerConfig): string {
  return config.names[0] ?? 'localhost';
}

/** Where whoever runs on this machine reaches a server that listens there. */
export function localAddress(listenAddress: string): string {
  if (listenAddress === '0.0.0.0') return '127.0.0.1';
  return listenAddress === '::' ? '::1' : listenAddress;
}
