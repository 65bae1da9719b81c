/**
 * Owns the second factor of a box: making its code and link, and judging what an installer typed. A code is for one
 * serial, once only, for a while, and five tries of each key at most; it is kept as a digest and is in no log.
 * Does not own who may enrol by it (admission.ts) nor how it travels (est/): HTTP Basic within the box's mutual TLS.
 */
import { createHash, randomBytes as nodeRandomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import {
  ACTIVATION_ALPHABET,
  ACTIVATION_PATH,
  ActivationCode,
  INSTALLER_NAME,
  plainCode,
} from '../model/installer.ts';
import { Secret } from '../model/secret.ts';
import type { Clock } from '../system/ports.ts';
import type { Store } from './store/store.ts';

export const ACTIVATION_LIMITS = {
  codeLength: { min: 4, max: 10, usual: 8 },
  validS: { min: 60, max: 7 * 86_400, usual: 86_400 },
  /**
   * Per key: else whoever has another identity of this serial would use up the tries of the honest box. The number of keys is
   * capped too, so that nobody finds a code of four characters by making keys: 80 tries of a million in all.
   */
  tries: { perKey: 5, keys: 16 },
} as const;
const LINK_BYTES = 16;
const DIGEST_BYTES = 32;
/** A code of four characters is found by whoever reads the file: this makes each guess cost 30 ms. */
const SCRYPT = { N: 2 ** 14, r: 8, p: 1 } as const;
const derive: (code: string, salt: Buffer, bytes: number, cost: typeof SCRYPT) => Promise<Buffer> =
  promisify(scrypt);

/** User name of HTTP Basic where there is no link (bootstrap/activation). */
const NO_LINK = 'code';

/** What HTTP Basic brought: the end of the link (or NO_LINK) and the code. */
export interface ActivationCredentials {
  readonly link: string;
  readonly code: Secret;
}

export type Verdict =
  | { readonly kind: 'accepted' }
  /** `why`: for the installer, a whole sentence. `counted`: it cost a try. */
  | { readonly kind: 'refused'; readonly why: string; readonly counted: boolean };

export interface MadeActivation {
  readonly code: Secret;
  /** Where the installer's browser goes; undefined where the code is enough by itself. */
  readonly link: string | undefined;
  readonly endsAtMs: number;
}

export interface Activations {
  /** Replaces what there was for that serial. */
  make(
    serial: string,
    wanted: { readonly codeLength: number; readonly validS: number; readonly withLink: boolean },
  ): Promise<MadeActivation>;
  /** `spkiSha256`: of the key that the code came with. */
  judge(serial: string, spkiSha256: string, credentials: ActivationCredentials): Promise<Verdict>;
}

export function createActivations(options: {
  readonly store: Pick<Store, 'activations'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly randomBytes?: (count: number) => Uint8Array;
}): Activations {
  const { store, clock, randomBytes = nodeRandomBytes } = options;

  return {
    async make(serial, { codeLength, validS, withLink }) {
      // 256 is a multiple of 32 characters: each is as likely.
      const code = [...randomBytes(codeLength)]
        .map((byte) => ACTIVATION_ALPHABET[byte % ACTIVATION_ALPHABET.length])
        .join('');
      const linkId = withLink ? Buffer.from(randomBytes(LINK_BYTES)).toString('base64url') : undefined;
      const salt = Buffer.from(randomBytes(LINK_BYTES));
      const endsAtMs = clock.nowMs() + validS * 1000;
      await store.activations.put({
        serial,
        salt: salt.toString('base64'),
        codeDigest: (await derive(code, salt, DIGEST_BYTES, SCRYPT)).toString('base64'),
        linkSha256: linkId === undefined ? undefined : sha256(linkId),
        endsAtMs,
      });
      const link =
        linkId === undefined ? undefined : `http://${INSTALLER_NAME}${ACTIVATION_PATH}?link=${linkId}`;
      return { code: new Secret(code), link, endsAtMs };
    },

    async judge(serial, spkiSha256, credentials) {
      const known = await store.activations.get(serial);
      if (known === undefined) {
        return free(noCode(serial));
      }
      if (known.endsAtMs <= clock.nowMs()) return free('The code is too old. Ask for a new one.');
      // Whoever lacks the link costs the installer no try.
      if (known.linkSha256 !== undefined && known.linkSha256 !== sha256(credentials.link)) {
        return free(
          credentials.link === NO_LINK
            ? `This code goes with a link. Open the newest link that was mailed for ${serial}, and type the code there.`
            : `This is not the newest link for ${serial}. See that the mail names this serial, and open its newest link.`,
        );
      }
      const code = ActivationCode.safeParse(plainCode(credentials.code.reveal()));
      if (!code.success) return free('A code has four to ten letters and digits.');
      // Taken before it is looked at: many at once have five tries together.
      const taken = await store.activations.takeTry(
        serial,
        spkiSha256,
        ACTIVATION_LIMITS.tries,
        clock.nowMs(),
      );
      if (taken.kind !== 'taken') {
        return free(taken.kind === 'no-code' ? noCode(serial) : NO_TRY[taken.kind]);
      }
      const { record, triesLeft: left } = taken;
      const digest = await derive(code.data, Buffer.from(record.salt, 'base64'), DIGEST_BYTES, SCRYPT);
      if (!timingSafeEqual(digest, Buffer.from(record.codeDigest, 'base64'))) {
        const tries = left === 1 ? '1 try is left' : `${left} tries are left`;
        const why =
          left === 0
            ? `The code is wrong for ${serial}, for the fifth time. Ask for a new one.`
            : `The code is wrong for ${serial}. ${tries}.`;
        return { kind: 'refused', why, counted: true };
      }
      // Once only, and two at once are not both the first.
      if (!(await store.activations.remove(serial))) return free('The code was used already.');
      return { kind: 'accepted' };
    },
  };
}

/** Whoever types a code may stand at another box than it was made for: what is said of it names the serial. */
const noCode = (serial: string): string =>
  `There is no code for ${serial}. See that yours was made for this serial, or ask for one.`;

const NO_TRY = {
  'used-up': 'The code was wrong five times. Ask for a new one.',
  'too-many-keys':
    'Too many boxes that say to be this one tried the code. Ask for a new one, and say so to whoever sends it.',
} as const;

const free = (why: string): Verdict => ({ kind: 'refused', why, counted: false });

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64');

/** RFC 7617; undefined where the header is none of Basic, or not decodable. Pure. */
export function readBasic(header: string | undefined): ActivationCredentials | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]{1,200}={0,2})$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const at = text.indexOf(':');
  if (at < 0) return undefined;
  return { link: text.slice(0, at), code: new Secret(text.slice(at + 1)) };
}
