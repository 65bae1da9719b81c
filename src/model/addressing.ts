/**
 * Owns how an uplink gets its address, as fleet, desired state and bootstrap medium say it alike.
 * Does not own which of the kinds each of them takes.
 */
import { z } from 'zod';
import { IpAddress, Ipv4, Ipv4Interface } from './addresses.ts';

export const DhcpAddressing = z.strictObject({ kind: z.literal('dhcp') });

export const StaticAddress = z.strictObject({
  address: Ipv4Interface,
  gateway: Ipv4,
  dns: z.array(IpAddress).max(4).default([]),
});
export const StaticAddressing = z.strictObject({ kind: z.literal('static'), ...StaticAddress.shape });
