/**
 * Owns gathering all that names bootstrap servers at this moment: DHCP of each uplink, DNS-SD over each, a medium, the built-in
 * list. Does not own their order nor which entries are usable (discover.ts).
 */
import type { StateContext } from './context.ts';
import { discover, type Discovery } from './discover.ts';

export async function findBootstrapServers(
  context: Pick<StateContext, 'uplinks' | 'listedServers' | 'medium' | 'factory'>,
): Promise<Discovery> {
  const all = await context.uplinks.all();
  const listed = await Promise.all(
    all.map(async (uplink) => [uplink, await context.listedServers(uplink)] as const),
  );
  const named = (await context.medium.network())?.bootstrapServers;
  return discover(all, context.factory.builtInServers, named, new Map(listed));
}
