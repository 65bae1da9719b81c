/**
 * Owns keys in the box's TPM: making one, signing with it, and telling why one cannot be used. A key is wrapped by the
 * TPM's storage key (owner hierarchy, the template of the provider) and kept as a file: it takes no handle of the TPM's
 * few, and is in no PCR's hands, so that no update of firmware or of this software locks it out.
 * Does not own whether a TPM is used at all (deviceKeys.ts, firmware/tpm-ready), nor TLS (system/tpmUse.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import { readTpmReadiness } from '../model/keyHolder.ts';
import { Secret } from '../model/secret.ts';
import type { Runner, System } from '../system/ports.ts';
import type { TpmUse } from '../system/tpmUse.ts';
import { createDeviceKeys, type DeviceKeys, type TpmKeys } from './deviceKeys.ts';

/** Discrete TPMs make an EC key in some 100 ms; a chip that tests itself first takes seconds. */
const LIMITS = { timeoutMs: 30_000, maxOutputBytes: 64 * 1024 } as const;
/** firmware/tpm-make-key, which says why OpenSSL is not asked; branchbox.sh has it in the path. */
const MAKER = 'tpm-make-key';
const PROVIDERS = ['-provider', 'tpm2', '-provider', 'default'] as const;
/** TPM_RC_INTEGRITY of the first parameter of TPM2_Load: wrapped by another storage key (part 2, 6.6). */
const NOT_OURS = /\b0x0*1df\b/i;

export function createTpmKeys({ runner, use }: { readonly runner: Runner; readonly use: TpmUse }): TpmKeys {
  const openssl = (words: readonly string[], stdin?: Secret) =>
    runner.run('openssl', words, { ...LIMITS, ...(stdin !== undefined && { stdin }) });

  return {
    async make() {
      const made = await runner.run(MAKER, [], LIMITS);
      if (made.exitCode === 0) return new Secret(made.stdout);
      throw new BranchboxError('system/key-unusable', {
        message: `${MAKER} could not make a key in the TPM: ${lastWords(made.stderr)}`,
      });
    },
    sign: async (pem, bytes) => use.sign(pem, bytes),
    async prove(pem) {
      try {
        use.tryKey(pem);
      } catch (thrown) {
        // Why, OpenSSL does not tell: the TPM's own words come from the layer below it.
        const tried = await openssl(['pkey', ...PROVIDERS, '-noout'], pem);
        if (NOT_OURS.test(tried.stderr)) {
          throw new BranchboxError('bootstrap/key-lost', {
            message: 'A key of this box was made by another TPM, or by this one before it was cleared',
            mend: 'put the TPM back that the box had; what was cleared does not come back',
            cause: thrown,
          });
        }
        throw thrown;
      }
    },
  };
}

/** What a program said last that is no empty line. Pure. */
const lastWords = (stderr: string): string =>
  (
    stderr
      .split('\n')
      .map((line) => line.trim())
      .findLast((line) => line !== '') ?? 'it gave no reason'
  ).slice(0, 200);

/** `told`: the line of firmware/tpm-ready that this process was started with. */
export function openDeviceKeys(options: {
  readonly system: Pick<System, 'runner' | 'log'>;
  readonly use: TpmUse;
  readonly told: string | undefined;
  readonly onMissed?: () => void;
}): DeviceKeys {
  const { system, use, onMissed } = options;
  const readiness = readTpmReadiness(options.told);
  const tpm = readiness.holding.next === 'tpm' ? createTpmKeys({ runner: system.runner, use }) : undefined;
  return createDeviceKeys({ readiness, tpm, onMissed, log: system.log });
}
