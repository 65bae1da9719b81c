/**
 * Owns what measuring one uplink brings to light, before it is judged. Holds no behaviour.
 */
import type { Transfer, UplinkFigures } from '../../model/uplinkReport.ts';

export interface DnsFindings {
  readonly servers: readonly {
    readonly server: string;
    readonly state: 'answers' | 'silent' | 'failing';
    /** It gave addresses for a name that cannot exist. */
    readonly invents: boolean;
  }[];
  /** Of far ends, or of the proxy before them; none where addresses are known without asking. */
  readonly names: readonly { readonly host: string; readonly addresses: readonly string[] }[];
}

export type Reach =
  /** Nobody is known to ask. */
  | { readonly kind: 'no-target' }
  /** The name led to no address. */
  | { readonly kind: 'no-name'; readonly host: string }
  | { readonly kind: 'silent'; readonly host: string; readonly why: string }
  /** TCP connects, and then nothing comes: its certificates are the first packets of full size. */
  | { readonly kind: 'stalled'; readonly host: string }
  /** Somebody else answers HTTPS in its place. `certificate`: whose, as it claims; `why` it is not believed. */
  | { readonly kind: 'impostor'; readonly host: string; readonly certificate: string; readonly why: string }
  | { readonly kind: 'portal'; readonly host: string; readonly where: string }
  /** It is there; before the box has an owner nobody can tell who it is. */
  | (Reached & { readonly kind: 'answers' })
  /** It proved to be the controller. */
  | (Reached & { readonly kind: 'proven' });

export interface Reached {
  readonly host: string;
  readonly port: number;
  /** Of the far end; undefined where a proxy alone knows it. */
  readonly address: string | undefined;
  readonly connectMs: number;
  readonly handshakeMs: number;
}

export type Probing =
  /** `why` for a person. */
  { readonly kind: 'no-far-end'; readonly why: string } | { readonly kind: 'measured' };

/** Why a transfer gave no figure. */
export type Unmoved =
  /** The controller would not, as with a status of 503 where other tests run. */
  | {
      readonly kind: 'refused';
      readonly status: number;
      /** What it asked to wait before another try. */
      readonly retryAfterMs?: number;
      /** It was waited for so long. */
      readonly waitedMs?: number;
      /** What the test has too little of for another try. */
      readonly gaveUpFor?: 'time' | 'bytes';
    }
  /** It was begun, and not over in time. */
  | { readonly kind: 'stalled'; readonly bytes: number; readonly withinMs: number }
  /** The connection ended. */
  | { readonly kind: 'cut' };

export interface Findings {
  readonly neighbour: 'answers' | 'silent' | undefined;
  readonly dns: DnsFindings | undefined;
  readonly reach: Reach | undefined;
  readonly probing: Probing;
  readonly nat: UplinkFigures['nat'];
  readonly mtu: UplinkFigures['mtu'];
  readonly roundTrip: UplinkFigures['roundTrip'];
  readonly download: Transfer | undefined;
  readonly upload: Transfer | undefined;
  readonly unmoved: { readonly download?: Unmoved | undefined; readonly upload?: Unmoved | undefined };
  readonly usedBytes: number;
}

/** Before anything was measured. */
export const NOTHING_FOUND: Findings = {
  neighbour: undefined,
  dns: undefined,
  reach: undefined,
  probing: { kind: 'no-far-end', why: 'the controller was not reached' },
  nat: undefined,
  mtu: undefined,
  roundTrip: undefined,
  download: undefined,
  upload: undefined,
  unmoved: {},
  usedBytes: 0,
};
