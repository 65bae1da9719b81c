/**
 * Owns what a status moves on the box itself: its LEDs, the updater that waits for a look, and the connection, which
 * belongs elsewhere when an uplink went dark or came back. Does not own telling anybody (reporting.ts).
 */
import type { LedState } from '../model/hardware.ts';
import type { AgentUpdater } from './firmware.ts';
import { type Leds, ledStateOf } from './leds.ts';
import type { IdentityReader } from './ownIdentity.ts';
import type { StatusBody } from './reporting.ts';

export function createStatusMoves(parts: {
  readonly leds: Leds;
  readonly identity: Pick<IdentityReader, 'latest'>;
  readonly updater: Pick<AgentUpdater, 'looked' | 'status'>;
  /** Uplinks have other addresses or states than at the last status. */
  readonly onUplinks: () => void;
}): {
  onStatus(body: StatusBody): void;
  /** The identity process journalled something: LEDs may show it. */
  onIdentity(): void;
} {
  let uplinkStates = '';
  let shown: LedState | undefined;
  return {
    onStatus({ health, uplinks }) {
      parts.updater.looked();
      const owned = parts.identity.latest() !== undefined;
      const now = { owned, health: health.state, firmware: parts.updater.status().state };
      shown = ledStateOf(now);
      void parts.leds.show(shown);
      // Which uplinks are dark decides where the connection should be.
      const states = uplinks.map(({ ifname, address, state }) => `${ifname} ${address} ${state}`).join();
      if (states !== uplinkStates) parts.onUplinks();
      uplinkStates = states;
    },
    onIdentity() {
      if (shown !== undefined) void parts.leds.show(shown);
    },
  };
}
