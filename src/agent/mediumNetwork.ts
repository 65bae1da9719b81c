/**
 * Owns reading what a bootstrap medium said of the network, as the identity process left it. Anew at each use, since it
 * comes while the agent runs; one that cannot be read counts as none.
 */
import { decodeJson } from '../model/decode.ts';
import { BootstrapNetwork } from '../model/medium.ts';
import type { System } from '../system/ports.ts';
import { type AgentPaths, mediumNetworkPath } from './paths.ts';

const MAX_BYTES = 64 * 1024;

export interface MediumNetwork {
  latest(): BootstrapNetwork | undefined;
  read(): Promise<BootstrapNetwork | undefined>;
}

export function createMediumNetwork(
  { files, log }: Pick<System, 'files' | 'log'>,
  paths: AgentPaths,
): MediumNetwork {
  let latest: BootstrapNetwork | undefined;
  return {
    latest: () => latest,
    async read() {
      const path = mediumNetworkPath(paths);
      try {
        const text = await files.readText(path, MAX_BYTES);
        latest = text === undefined ? undefined : decodeJson(BootstrapNetwork, text, path);
      } catch (thrown) {
        log.warn("the bootstrap medium's network cannot be read", { error: thrown });
        latest = undefined;
      }
      return latest;
    },
  };
}
