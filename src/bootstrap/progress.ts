/**
 * Owns telling progress (RFC 8572 7.3): what is said of each state, in the words that page and command line show, to whom
 * and how often. Does not own the exchange (sztp.ts) nor the states.
 *
 * Only the server that onboarded the box is told, and only where it proves to be the owner's. RFC 8572 5.6: the beginning
 * and the end always, all between where that server asked for `verbose`. Nothing waits for it but the end of bootstrap.
 */
import { type BootstrapState, renderState, type SecondFactor, sentencesOf } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { ProgressType } from '../model/sztp.ts';
import type { Logger } from '../system/ports.ts';
import { parseServer, type Server } from './discover.ts';

/** As the model caps it. */
const MAX_MESSAGE = 1024;

/** Said on entering. What a box is configured with is its owner's record: enrolling is the processing of it. */
const ON_ENTRY: Partial<Readonly<Record<BootstrapState, ProgressType>>> = {
  OWNED: 'bootstrap-initiated',
  ENROLLING: 'config-initiated',
  LDEVID: 'config-complete',
  // After LDEVID alone (entered): a recovery and a failed trial lead to STRICT, too.
  STRICT: 'bootstrap-complete',
  // Of nobody's bootstrap any more, but who shows a box's last word is to show this one.
  WIPE: 'informational',
};
const ALWAYS: readonly ProgressType[] = ['bootstrap-initiated', 'bootstrap-error', 'bootstrap-complete'];

/** Of whom the last OWNED of the journal tells. */
export interface Onboarder {
  /** `host:port` */
  readonly server: string;
  readonly verbose: boolean;
}

export interface Telling {
  readonly server: Server;
  readonly progress: ProgressType;
  readonly message: string;
}

export interface Progress {
  /** The journal has it, after `from`. */
  entered(state: BootstrapState, from: BootstrapState): void;
  /** A step failed, or waits for somebody (`bootstrap/pending`). */
  failed(state: BootstrapState, error: BranchboxError, problem: string): void;
  /** The box asks afresh who owns it. */
  givenUp(state: BootstrapState, problem: string | undefined): void;
  /** Resolves when all was said, or could not be. */
  settled(): Promise<void>;
}

export function createProgress(options: {
  readonly onboarder: () => Onboarder | undefined;
  /** Throws pki/* where the server does not prove to be the owner's. */
  readonly report: (telling: Telling) => Promise<void>;
  readonly secondFactor: () => SecondFactor | undefined;
  readonly log: Logger;
}): Progress {
  const { log } = options;
  /** Whoever proved to be nobody's, or takes no reports, is left alone. */
  const deaf = new Set<string>();
  const said = new Set<string>();
  let last: Promise<void> = Promise.resolve();

  function tell(progress: ProgressType, message: string): void {
    const onboarder = options.onboarder();
    const server = onboarder === undefined ? undefined : parseServer(`https://${onboarder.server}`);
    if (onboarder === undefined || server === undefined || typeof server === 'string') return;
    if (!onboarder.verbose && !ALWAYS.includes(progress)) return;
    last = last.then(() =>
      deaf.has(onboarder.server)
        ? undefined
        : options
            .report({ server, progress, message: message.slice(0, MAX_MESSAGE) })
            .catch((thrown: unknown) => {
              if (!(thrown instanceof BranchboxError)) {
                log.error('progress report failed', { error: thrown });
                return;
              }
              if (thrown.code.startsWith('pki/') || thrown.code === 'bootstrap/refused')
                deaf.add(onboarder.server);
              log.info('progress report not taken', { code: thrown.code, problem: thrown.message });
            }),
    );
  }
  function words(state: BootstrapState): string {
    return renderState({ state, ...sentencesOf(state, options.secondFactor()) });
  }

  return {
    entered(state, from) {
      if (state === 'STRICT' && from !== 'LDEVID') return;
      const progress = ON_ENTRY[state];
      if (progress === undefined) return;
      said.clear();
      tell(progress, words(state));
    },
    failed(state, error, problem) {
      if (ON_ENTRY[state] === undefined) return;
      const isPending = error.code === 'bootstrap/pending';
      const message = isPending ? words(state) : `${words(state)}; ${problem}`;
      // A box that waits for hours says so once.
      const mark = isPending ? message : `${state} ${error.code}`;
      if (said.has(mark)) return;
      said.add(mark);
      tell(isPending ? 'informational' : 'config-warning', message);
    },
    givenUp: (state, problem) =>
      tell('bootstrap-error', `${words(state)}; ${problem ?? 'no reason is known'}`),
    settled: () => last,
  };
}
