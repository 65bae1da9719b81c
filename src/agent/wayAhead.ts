/**
 * Owns a way to the controller that is made while the session still stands over another uplink, for the session that takes
 * its place: where none comes about, nothing was given up. Does not own when (linkReturn) nor sessions (controllerLink).
 */
import { asBranchboxError } from '../model/errors.ts';
import type { Logger } from '../system/ports.ts';
import type { UplinkConnection } from '../system/uplinkDial.ts';
import { connectController, type Way } from './controllerDial.ts';

export interface WayAhead {
  /** Over that uplink alone: beside a slow one the others would win each time. false: it does not lead there. */
  make(way: Way, ifname: string, signal: AbortSignal): Promise<boolean>;
  isMade(): boolean;
  /** It is the caller's then. */
  take(): UplinkConnection | undefined;
  drop(): void;
}

export function createWayAhead(log: Logger): WayAhead {
  let made: UplinkConnection | undefined;
  const take = (): UplinkConnection | undefined => {
    const own = made;
    made = undefined;
    // The broker may have ended it meanwhile, by an alert say: a session on it would wait for nothing.
    return own?.socket.destroyed === true ? undefined : own;
  };
  const drop = (): void => void take()?.socket.destroy();
  return {
    async make(way, ifname, signal) {
      const uplinks = way.uplinks.filter((uplink) => uplink.ifname === ifname);
      try {
        const own = await connectController({ ...way, uplinks }, signal);
        drop();
        made = own;
        return true;
      } catch (thrown) {
        log.debug('a better uplink does not lead to the controller', {
          ifname,
          error: asBranchboxError(thrown),
        });
        return false;
      }
    },
    isMade: () => made !== undefined,
    take,
    drop,
  };
}
