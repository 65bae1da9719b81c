/**
 * Owns which WAN ports there are, and whether a cable is plugged into one, which tells LINK from ADDR for the installer and decides
 * nothing else: a lease is a way out whatever this says. Only the agent knows which ports are WAN ports; while it does not say, any cable counts.
 */
import { decodeJson } from '../model/decode.ts';
import { InstallerPorts } from '../model/installer.ts';
import { askSocket } from '../system/askSocket.ts';
import type { Files } from '../system/ports.ts';

const ANSWER_TIMEOUT_MS = 1_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface Cables {
  inWanPort(): Promise<boolean>;
  /** Labels; empty while the agent does not say. */
  wanPorts(): Promise<readonly string[]>;
}

/** `portsSocket` is the agent's for whoever stands before the box (agent/installerSocket). */
export function createCables(files: Pick<Files, 'list' | 'readText'>, portsSocket: string): Cables {
  const told = async (): Promise<InstallerPorts> => {
    const { text } = await askSocket(
      { socketPath: portsSocket },
      { path: '/ports', timeoutMs: ANSWER_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
    );
    return decodeJson(InstallerPorts, text, 'The answer of the agent');
  };
  const wan = async (): Promise<InstallerPorts['ports']> =>
    (await told().catch(() => undefined))?.ports.filter(({ role }) => role === 'wan') ?? [];
  return {
    wanPorts: async () => (await wan()).map(({ label }) => label),
    async inWanPort() {
      const ports = await wan();
      // A model without a WAN port is one of modems alone, or none yet.
      return ports.length > 0 ? ports.some(({ carrier }) => carrier) : inAnyPort(files);
    },
  };
}

async function inAnyPort(files: Pick<Files, 'list' | 'readText'>): Promise<boolean> {
  for (const ifname of await files.list('/sys/class/net')) {
    if (ifname === 'lo') continue;
    // Reading carrier of a link that is down is EINVAL.
    const carrier = await files.readText(`/sys/class/net/${ifname}/carrier`, 16).catch(() => undefined);
    if (carrier?.trim() === '1') return true;
  }
  return false;
}
