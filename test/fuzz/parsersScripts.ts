/**
 * Owns the table of the box's scripts that read what comes from outside, as parsers: each input is a case in JSON, carried out
 * in a world of its own (scriptBench.ts). Each costs processes, so their share is small.
 * What is asked of each: it ends, nothing of its input is carried out, it writes where it may and no more than it may, and
 * what it wrote is what was there.
 */
import type { FuzzParser } from './parser.ts';
import { dhcpHook, pppoeHook } from './parsersHooks.ts';
import { usbTree } from './parsersUsb.ts';
import { cloudUserData } from './parsersUserData.ts';

export function scriptParsers(): readonly FuzzParser[] {
  const common = { isSigned: false, refusals: [] } as const;
  return [
    { ...common, name: 'dhcp-hook', share: 0.2, ...dhcpHook() },
    { ...common, name: 'pppoe-hook', share: 0.1, ...pppoeHook() },
    { ...common, name: 'usb-tree', share: 0.2, ...usbTree() },
    { ...common, name: 'cloud-user-data', share: 0.1, ...cloudUserData() },
  ];
}
