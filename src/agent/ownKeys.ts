/**
 * Owns the composition of this box's keys: what is told of its TPM, its use, the identity that is read through it, and what
 * follows where a key was of no use. Does not own where keys are made (bootstrap), nor reading the files (ownIdentity.ts).
 */
import { readTpmReadiness, type TpmReadiness } from '../model/keyHolder.ts';
import type { System } from '../system/ports.ts';
import { createSecondLook } from '../system/secondLook.ts';
import { createTpmUse } from '../system/tpmUse.ts';
import { createIdentityReader, type IdentityReader } from './ownIdentity.ts';
import type { AgentPaths } from './paths.ts';

export interface OwnKeys {
  readonly keys: TpmReadiness['holding'];
  readonly identity: IdentityReader;
  /** The broker turned the box away, or the box could not show who it is. */
  refused(): void;
}

export async function openOwnKeys(parts: {
  readonly system: System;
  readonly paths: AgentPaths;
  /** The line of firmware/tpm-ready. */
  readonly tpmTold: string | undefined;
  /** To be started again, where the TPM did not answer. */
  readonly end: () => void;
}): Promise<OwnKeys> {
  const { system, end } = parts;
  const { holding: keys, mayPass } = readTpmReadiness(parts.tpmTold);
  const look = createSecondLook({ clock: system.clock, mayPass, end });
  const tpm = createTpmUse();
  const identity = createIdentityReader(system, parts.paths, tpm);
  await identity.read();
  return {
    keys,
    identity,
    refused() {
      tpm.forget();
      if (identity.keyHolder().ldevid === 'tpm') look.needed();
    },
  };
}
