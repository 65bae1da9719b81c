/** Owns the way of a box from the factory into service, as tests expect it: written down here, and not taken from the product. */
import type { BootstrapState } from '../src/model/bootstrap.ts';

/** Until it has its own certificate and its owner's word; what follows hangs on the agent. */
export const TO_STRICT: readonly BootstrapState[] = [
  'FACTORY',
  'LINK',
  'ADDR',
  'CLOCK_FLOOR',
  'DISCOVER',
  'PROVISIONAL',
  'OWNED',
  'ENROLLING',
  'LDEVID',
  'STRICT',
];
/** Of a box whose agent had committed a state before. */
export const INTO_SERVICE: readonly BootstrapState[] = [...TO_STRICT, 'OPERATIONAL'];
