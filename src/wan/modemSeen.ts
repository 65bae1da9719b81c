/**
 * Owns the types that describe one modem: what is wanted of it, what ModemManager shows, what was tried before.
 * Does not own what follows from them (modem.ts).
 */
import type { ModemReason } from '../model/localStatus.ts';
import type { Secret } from '../model/secret.ts';

export interface ModemWish {
  /** A slot of the hardware model, or modem1, modem2 …. */
  readonly port: string;
  /** undefined where it is not plugged in. */
  readonly ifname: string | undefined;
  /** Absent: the network chooses. */
  readonly apn?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly pin?: Secret | undefined;
}

/** MMModemState, and what there is to know of one that failed. */
export type ModemState =
  | 'failed'
  | 'busy'
  | 'locked'
  | 'disabled'
  | 'enabled'
  | 'searching'
  | 'registered'
  | 'connected';

export interface BearerSeen {
  readonly path: string;
  readonly ifname: string;
  readonly connected: boolean;
  readonly apn: string | undefined;
  readonly user: string | undefined;
  /** undefined until the network gave one. */
  readonly ipv4:
    | { readonly by: 'dhcp' | 'ppp' }
    | {
        readonly by: 'static';
        readonly address: string;
        readonly gateway: string | undefined;
        readonly dns: readonly string[];
        readonly mtu: number | undefined;
      }
    | undefined;
}

export interface ModemSeen {
  readonly path: string;
  readonly interfaces: readonly string[];
  readonly state: ModemState;
  readonly failure: 'sim-missing' | 'sim-error' | 'esim-empty' | 'unknown' | undefined;
  readonly lock: 'none' | 'pin' | 'puk' | 'other';
  /** How often the SIM takes a wrong PIN yet; undefined where the modem does not say. */
  readonly pinTries: number | undefined;
  readonly registration: 'home' | 'roaming' | 'searching' | 'denied' | 'emergency' | 'none';
  readonly simPath: string | undefined;
  readonly iccid: string | undefined;
  readonly imei: string | undefined;
  readonly operator: string | undefined;
  readonly technology: string | undefined;
  readonly signalPercent: number | undefined;
  readonly bearers: readonly BearerSeen[];
}

/** What this box knows of its own earlier tries. */
export interface ModemTries {
  /** refused: by this SIM; the same PIN is never tried again. unsure: it was sent, and nobody knows how that ended. */
  readonly pin: 'untried' | 'refused' | 'unsure';
  /** How many since a connection last stood for a minute. */
  readonly dials: number;
  /** Monotonic. */
  readonly nextDialMs: number;
  /** The present connection was dialled by this process, for what is wanted now. */
  readonly isOwnDial: boolean;
  readonly lastRefusal: { readonly reason: DialRefusal; readonly words: string } | undefined;
}

export type DialRefusal = Extract<ModemReason, 'apn-refused' | 'user-refused' | 'dial-failed'>;
