/** Rows of the fault table: a box in service that starts with a clock in 1970, and has a hardware clock beside it. */
import { DAY_MS } from '../authorities.ts';
import { createFaultBench } from '../faultBench.ts';
import { AFTER_730_DAYS, didNotSay, offFor, until } from './offFor.ts';
import { type FaultRow, faultTable, IN_SERVICE } from './table.ts';

const bench = createFaultBench();

/** As the kernel shows it. The system's clock did not start from it: its driver came too late. */
const setHardwareClock = async (atMs: number): Promise<void> => {
  await bench.box.files.writeDurable(
    `${bench.box.paths.hardwareClocks}/rtc0/since_epoch`,
    `${Math.floor(atMs / 1000)}\n`,
  );
};

/** Off for two years; the hardware's clock then says `saysMs`, or what is right and so much more. */
const hardware = (
  fault: string,
  must: string,
  outcome: string,
  clockMs: (nowMs: number) => number,
  told: string,
): FaultRow => ({
  fault: `off for 730 days, the hardware's clock ${fault}`,
  must,
  outcome,
  told,
  run: () =>
    offFor(bench, 730, async (later) => {
      await setHardwareClock(clockMs(later.nowMs()));
      let vouchers = 0;
      const { artefacts } = later.controller.behaviour;
      later.controller.behaviour.artefacts = (nonce) => {
        vouchers += 1;
        return artefacts(nonce);
      };
      const { outcome: seen, told } = await until(later, didNotSay);
      return {
        outcome: `${vouchers} vouchers; ${seen.replace('undefined, undefined', 'nothing refused')}`,
        told,
      };
    }),
});

faultTable('clock in 1970 in service, and a hardware clock', [
  hardware(
    'right',
    'know the time by it, and ask nobody',
    '0 vouchers; nothing refused; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    (nowMs) => nowMs,
    IN_SERVICE,
  ),
  hardware(
    'in 1970',
    'know nothing by it',
    '1 vouchers; pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    () => 7_000,
    AFTER_730_DAYS,
  ),
  hardware(
    'in 2045',
    'know nothing by it',
    '1 vouchers; pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    () => Date.UTC(2045, 0, 1),
    AFTER_730_DAYS,
  ),
  hardware(
    'three years ahead',
    'be told better by a voucher',
    '1 vouchers; nothing refused; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    (nowMs) => nowMs + 3 * 365 * DAY_MS,
    IN_SERVICE,
  ),
]);
