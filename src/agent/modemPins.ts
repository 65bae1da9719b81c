/**
 * Owns the record of which PIN was sent to which SIM, over every restart: three wrong ones block a SIM, so a PIN that a
 * SIM refused is never sent to it again. The record holds digests of PINs, never a PIN; those are in the desired state
 * beside it.
 * Does not own when one is sent (wan/modem).
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import type { Secret } from '../model/secret.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { ModemSeen, ModemTries } from '../wan/modemSeen.ts';

const GivenPin = z.strictObject({
  /** undefined where the modem does not read it from a SIM that is locked; then the modem stands for it. */
  iccid: z.string().optional(),
  imei: z.string().optional(),
  digest: z.string(),
  outcome: z.enum(['sent', 'refused']),
  /** Before it was sent. */
  tries: z.number().optional(),
});
type GivenPin = z.output<typeof GivenPin>;
const GivenPins = z.array(GivenPin);

const MAX_KEPT = 64;

type Sim = Pick<ModemSeen, 'iccid' | 'imei' | 'pinTries'>;

export interface ModemPins {
  standing(sim: Sim, pin: Secret | undefined): ModemTries['pin'];
  /** Before it is sent: after a power cut the box must know. */
  sending(sim: Sim, pin: Secret): Promise<void>;
  refused(sim: Sim, pin: Secret): Promise<void>;
  /** No answer came: the count of tries that the modem reports next may be an old one. */
  unanswered(sim: Sim, pin: Secret): Promise<void>;
  /** Taken, or not given to the SIM at all. */
  forget(sim: Sim, pin: Secret): Promise<void>;
}

export async function createModemPins(
  { files, log }: { readonly files: Pick<Files, 'readText' | 'writeDurable'>; readonly log: Logger },
  path: string,
): Promise<ModemPins> {
  let given: readonly GivenPin[] = [];
  let isReadable = true;
  try {
    const text = await files.readText(path);
    if (text !== undefined) given = decodeJson(GivenPins, text, path);
  } catch (thrown) {
    isReadable = false;
    log.error('which PINs were refused cannot be read, so none is sent', { error: thrown });
  }
  const keep = async (sim: Sim, pin: Secret, outcome?: GivenPin['outcome']): Promise<void> => {
    const others = given.filter((one) => !isOf(one, sim, digestOf(pin)));
    const own: GivenPin[] =
      outcome === undefined
        ? []
        : [
            {
              ...(sim.iccid !== undefined && { iccid: sim.iccid }),
              ...(sim.imei !== undefined && { imei: sim.imei }),
              ...(sim.pinTries !== undefined && { tries: sim.pinTries }),
              digest: digestOf(pin),
              outcome,
            },
          ];
    const next = [...others, ...own].slice(-MAX_KEPT);
    await files.writeDurable(path, JSON.stringify(next));
    given = next;
  };
  return {
    standing: (sim, pin) =>
      pin === undefined ? 'untried' : isReadable ? standingOf(given, sim, digestOf(pin)) : 'unsure',
    sending: (sim, pin) => keep(sim, pin, 'sent'),
    refused: (sim, pin) => keep(sim, pin, 'refused'),
    unanswered: (sim, pin) => keep({ ...sim, pinTries: undefined }, pin, 'sent'),
    forget: (sim, pin) => keep(sim, pin),
  };
}

/**
 * One that was sent before the power went was not refused where the SIM takes as many wrong ones as before: a refused
 * one takes one away, the right one gives all back. Pure.
 */
export function standingOf(given: readonly GivenPin[], sim: Sim, digest: string): ModemTries['pin'] {
  const own = given.find((one) => isOf(one, sim, digest));
  if (own === undefined) return 'untried';
  if (own.outcome === 'refused') return 'refused';
  const isUnharmed = own.tries !== undefined && sim.pinTries !== undefined && sim.pinTries >= own.tries;
  return isUnharmed ? 'untried' : 'unsure';
}

/** The same SIM; where one of the two was not read, whatever is in the same modem. */
function isOf(one: GivenPin, sim: Sim, digest: string): boolean {
  if (one.digest !== digest) return false;
  return one.iccid === undefined || sim.iccid === undefined ? one.imei === sim.imei : one.iccid === sim.iccid;
}

const digestOf = (pin: Secret): string =>
  createHash('sha256').update(`branchbox-modem-pin:${pin.reveal()}`).digest('base64url');
