/**
 * Owns the one error type of Branchbox and the table of its codes.
 * Does not own English for a person beyond one sentence: docs/errors.md holds the mend of each code,
 * and a test holds that page against this table.
 */

/** When trying again can help: after a pause, only after something changed, or not at all. */
export type RetryClass = 'backoff' | 'on-change' | 'never';

interface CodeEntry {
  readonly retry: RetryClass;
  /** What the code means, one sentence without values. */
  readonly title: string;
}

export const ERROR_CODES = {
  'model/invalid': { retry: 'never', title: 'Input does not fit its schema' },
  'model/refused': { retry: 'never', title: 'A desired state was refused before anything changed' },
  'pki/malformed': {
    retry: 'never',
    title: 'A certificate, key, request or signed object cannot be decoded',
  },
  'pki/untrusted': {
    retry: 'on-change',
    title: 'A signature or chain does not end at the anchor that must be used',
  },
  'pki/expired': { retry: 'on-change', title: 'A certificate or voucher is outside its validity' },
  'pki/mismatch': { retry: 'never', title: 'A signed object is for another box, nonce or purpose' },
  'bootstrap/unreachable': { retry: 'backoff', title: 'No bootstrap server answered' },
  'bootstrap/captive-portal': {
    retry: 'backoff',
    title: 'A captive portal stands between this box and its bootstrap server',
  },
  'bootstrap/refused': { retry: 'backoff', title: 'The server refused this box' },
  'bootstrap/pending': { retry: 'backoff', title: 'The server waits for an approval' },
  'bootstrap/quarantined': {
    retry: 'backoff',
    title: 'The owner took its trust from this box: tenant traffic is off, the box asks on',
  },
  'bootstrap/superseded': {
    retry: 'backoff',
    title: 'The owner dropped the CA that certified this box: the box enrols anew',
  },
  'bootstrap/key-lost': {
    retry: 'on-change',
    title: 'A key of this box is lost: its TPM was cleared, replaced or taken away',
  },
  'bootstrap/move-refused': {
    retry: 'never',
    title: 'An order to move to another controller is not carried out',
  },
  'bootstrap/journal': { retry: 'never', title: 'The bootstrap journal cannot be read' },
  'system/command-failed': { retry: 'backoff', title: 'A command ended with an error' },
  'system/command-timeout': { retry: 'backoff', title: 'A command did not end in its time' },
  'system/file': { retry: 'backoff', title: 'A file cannot be read or written' },
  'system/key-unusable': {
    retry: 'backoff',
    title: 'A key of this box that its TPM holds cannot be used just now',
  },
  'system/dbus': {
    retry: 'backoff',
    title: 'A call over the message bus (D-Bus) had no answer, or was refused',
  },
  'system/missing-tool': { retry: 'on-change', title: 'A program this needs is not installed' },
  'reconcile/cycle': { retry: 'never', title: 'Items need each other in a circle' },
  'reconcile/conflict': { retry: 'never', title: 'Two parts of a desired state want one item differently' },
  'reconcile/blocked': { retry: 'on-change', title: 'An item waits for something that is not there' },
  'reconcile/not-converged': { retry: 'backoff', title: 'After applying, the box is not as planned' },
  'net/kernel': { retry: 'backoff', title: 'The kernel refused a network change' },
  'net/unsupported': { retry: 'on-change', title: 'This kernel lacks what an item needs' },
  'wan/clock-behind': {
    retry: 'on-change',
    title: 'The clock is behind what peers of the tunnels have seen: tunnels wait for it',
  },
  'frr/rejected': { retry: 'backoff', title: 'FRR refused a configuration line' },
  'frr/unreachable': { retry: 'backoff', title: 'A daemon of FRR does not answer' },
  'engine/unreachable': { retry: 'backoff', title: 'The container engine does not answer' },
  'engine/refused': { retry: 'backoff', title: 'The container engine refused a request' },
  'engine/image': { retry: 'backoff', title: 'An app image cannot be had or is not what was named' },
  'controller/unreachable': { retry: 'backoff', title: 'The controller does not answer' },
  'controller/refused': { retry: 'on-change', title: 'The controller refused a request' },
  'controller/conflict': { retry: 'on-change', title: 'The fleet changed since it was read' },
  'controller/not-found': { retry: 'never', title: 'The controller knows no such thing' },
  'uplink-test/busy': { retry: 'backoff', title: 'An uplink test runs already' },
  'uplink-test/nothing': { retry: 'on-change', title: 'There is no such uplink to test' },
  'firmware/unavailable': { retry: 'on-change', title: 'This box has no firmware slots to update' },
  'firmware/refused': { retry: 'never', title: 'A firmware version was refused before it could be started' },
  'firmware/source': { retry: 'backoff', title: 'A part of a firmware version cannot be had' },
  'firmware/disk': { retry: 'backoff', title: 'The disk did not take a firmware version' },
  'lab/not-running': { retry: 'on-change', title: 'No lab of that name is up' },
  'lab/busy': { retry: 'backoff', title: 'Another command makes or removes this lab' },
  'lab/missing-capability': { retry: 'on-change', title: 'This machine lacks something the lab needs' },
  'lab/not-ready': { retry: 'on-change', title: 'Something in the lab did not come up in time' },
  'cli/usage': { retry: 'never', title: 'The words of a command are off' },
  internal: { retry: 'never', title: 'A defect of Branchbox itself' },
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One thing wrong, at a place named by path (JSON path of an input, or an item id). */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

export interface ErrorDetails {
  /** What failed, where and why, as one sentence a person can act on. Never holds a secret. */
  readonly message: string;
  /** What mends it, where that is known. */
  readonly mend?: string;
  /** All that is wrong, where there is more than one thing. */
  readonly problems?: readonly Problem[];
  readonly cause?: unknown;
  /** Constant-message logging: the values, beside the message. */
  readonly fields?: Readonly<Record<string, string | number | boolean>>;
}

export class BranchboxError extends Error {
  override readonly name = 'BranchboxError';
  readonly code: ErrorCode;
  readonly mend: string | undefined;
  readonly problems: readonly Problem[];
  readonly fields: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.mend = details.mend;
    this.problems = details.problems ?? [];
    this.fields = details.fields ?? {};
  }

  get retry(): RetryClass {
    return ERROR_CODES[this.code].retry;
  }
}

/** Whether a word that came from elsewhere is a code of this version. */
export const isErrorCode = (word: string): word is ErrorCode => Object.hasOwn(ERROR_CODES, word);

/** Whatever was thrown, as our type; a foreign error becomes `internal` with its cause kept. */
export function asBranchboxError(thrown: unknown): BranchboxError {
  if (thrown instanceof BranchboxError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new BranchboxError('internal', { message, cause: thrown });
}

/** Several lines for a terminal or a log: code, sentence, problems by path, mend. */
export function renderError(error: BranchboxError): string {
  const lines = [`${error.code}: ${error.message}`];
  for (const problem of error.problems) lines.push(`  at ${problem.path}: ${problem.message}`);
  if (error.mend !== undefined) lines.push(`  mend: ${error.mend}`);
  return lines.join('\n');
}
