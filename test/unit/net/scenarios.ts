/**
 * Owns the list of what the network drivers must do to a box, on the fake box (drivers.test.ts) and on a real kernel
 * (test/lab/netDrivers.test.ts) alike: so the fake is held against the real thing.
 */
import type { Scenario } from './bench.ts';
import { HOST_SCENARIOS } from './hostScenarios.ts';
import { LINK_SCENARIOS } from './linkScenarios.ts';
import { NFT_SCENARIOS } from './nftScenarios.ts';
import { ROUTING_SCENARIOS } from './routingScenarios.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...LINK_SCENARIOS,
  ...ROUTING_SCENARIOS,
  ...NFT_SCENARIOS,
  ...HOST_SCENARIOS,
];
