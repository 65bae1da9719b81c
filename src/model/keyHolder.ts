/**
 * Owns the words for what holds a box's own keys (IDevID, LDevID): its TPM or a file, and why not the TPM.
 * Does not own finding out (firmware/tpm-ready) nor the keys (bootstrap/deviceKeys.ts).
 */
import { z } from 'zod';

export const KeyHolder = z.enum(['tpm', 'software']);
export type KeyHolder = z.output<typeof KeyHolder>;

/** Where a box puts its next key, and where those are that it has. */
export const KeyHolding = z.strictObject({
  /** Of keys that are made from now on. */
  next: KeyHolder,
  /** A whole sentence: the provider that serves the TPM, or why the TPM holds none. */
  why: z.string().max(400),
  /** There is a TPM that could hold keys if something were mended. */
  unusedTpm: z.boolean(),
  /** undefined where there is none, or who tells cannot see it. */
  idevid: KeyHolder.optional(),
  ldevid: KeyHolder.optional(),
});
export type KeyHolding = z.output<typeof KeyHolding>;

export interface TpmReadiness {
  /** As it is told. */
  readonly holding: Pick<KeyHolding, 'next' | 'why' | 'unusedTpm'>;
  /** The TPM is there and did not answer, which another start may find otherwise: what it holds is not lost by that. */
  readonly mayPass: boolean;
}

/** Of the words that a program printed, so much is shown. */
const MAX_WORDS = 200;

/** The line of firmware/tpm-ready; undefined where the process was started by something else. Pure. */
export function readTpmReadiness(line: string | undefined): TpmReadiness {
  const [word = '', ...rest] = (line ?? '').trim().split(' ');
  const more = rest.join(' ').replaceAll(/\p{C}/gu, ' ').slice(0, MAX_WORDS);
  const without = (why: string, unusedTpm: boolean, mayPass = false): TpmReadiness => ({
    holding: { next: 'software', why, unusedTpm },
    mayPass,
  });
  switch (word) {
    case 'ready':
      return {
        holding: { next: 'tpm', why: `OpenSSL's provider tpm2 ${more} serves the TPM.`, unusedTpm: false },
        mayPass: false,
      };
    case 'no-chip':
      return without('This box has no TPM, or it is switched off in the firmware setup.', false);
    case 'no-driver':
      return without(
        'The firmware announces a TPM, but the kernel made no /dev/tpmrm0: its driver is missing.',
        true,
      );
    case 'no-openssl':
    case 'no-provider':
      return without(
        `There is a TPM, but ${word === 'no-openssl' ? 'the program openssl' : "OpenSSL's provider for it"} is missing: install Debian's package ${word === 'no-openssl' ? 'openssl' : 'tpm2-openssl'}, 1.3 or later.`,
        true,
      );
    case 'old-provider':
      return without(
        `There is a TPM, but OpenSSL's provider for it is ${more || 'of no known version'}: 1.3 or later is needed (Debian 13).`,
        true,
      );
    case 'failed':
      return without(`There is a TPM, but it cannot be used: ${more || 'no reason was given'}.`, true, true);
    default:
      return without('Nobody looked for a TPM when this process was started.', false);
  }
}

const PLACES: Readonly<Record<KeyHolder, string>> = { tpm: 'in the TPM', software: 'in a file' };

/** For a person: where each key is, and why new ones go there. Pure. */
export function renderKeyHolding({ next, why, idevid, ldevid }: KeyHolding): readonly string[] {
  const known = [
    ...(idevid === undefined ? [] : [`factory key ${PLACES[idevid]}`]),
    ...(ldevid === undefined ? [] : [`own key ${PLACES[ldevid]}`]),
    `new keys ${PLACES[next]}`,
  ];
  return [`keys: ${known.join(', ')}. ${why}`];
}
