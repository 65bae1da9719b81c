/**
 * Owns what a person reads of bootstrap: its status for page and command line, and a failure on one line. Pure.
 * Does not own the sentences of each state (model/bootstrap sentencesOf) nor gathering what they are about (liveStatus.ts,
 * statusByFiles.ts).
 */
import {
  type BootstrapStatus,
  type JournalEntry,
  type MediumReport,
  type MoveStatus,
  needsBroker,
  type SecondFactor,
  sentencesOf,
} from '../model/bootstrap.ts';
import type { BranchboxError } from '../model/errors.ts';
import type { KeyHolding } from '../model/keyHolder.ts';
import { type BrokerProblem, brokerSentences, renderBrokerProblem } from '../model/obstacle.ts';

/** The rest is in the log. */
const SHOWN_PROBLEMS = 3;

/** Code, message, the first problems, and what mends it. */
export function renderProblem(error: Pick<BranchboxError, 'code' | 'message' | 'problems' | 'mend'>): string {
  const shown = error.problems.slice(0, SHOWN_PROBLEMS).map(({ path, message }) => `${path} ${message}`);
  const more = error.problems.length - shown.length;
  const all = more > 0 ? [...shown, `and ${more} more`] : shown;
  const mend = error.mend === undefined ? '' : ` (${error.mend})`;
  return `${error.code}: ${error.message}${all.length === 0 ? '' : ` (${all.join('; ')})`}${mend}`;
}

export function renderStatus(options: {
  readonly history: readonly JournalEntry[];
  readonly serial: string;
  readonly claimCode?: string | undefined;
  readonly gatewayId: string | undefined;
  readonly keys?: KeyHolding | undefined;
  readonly secondFactor?: SecondFactor | undefined;
  readonly medium?: MediumReport | undefined;
  readonly move?: MoveStatus | undefined;
  /** No WAN port has an address. */
  readonly offline?: boolean;
  /** Of the agent, where it does not reach its broker. */
  readonly broker?: BrokerProblem | undefined;
  readonly lastProblem: string | undefined;
  readonly notices?: readonly string[];
}): BootstrapStatus {
  const { history, serial, claimCode, gatewayId, keys, secondFactor, medium, move } = options;
  const last = history.at(-1) ?? { state: 'FACTORY', enteredAtMs: 0, note: {} };
  const broker = needsBroker(last.state) ? options.broker : undefined;
  const lastProblem = broker === undefined ? options.lastProblem : renderBrokerProblem(broker);
  return {
    state: last.state,
    sinceMs: last.enteredAtMs,
    ...sentencesOf(last.state, secondFactor, options.offline),
    ...(broker !== undefined && brokerSentences(broker)),
    serial,
    ...(claimCode !== undefined && { claimCode }),
    ...(keys !== undefined && { keys }),
    ...(secondFactor !== undefined && { secondFactor }),
    ...(medium !== undefined && { medium }),
    ...(move !== undefined && { move }),
    ...(gatewayId !== undefined && { gatewayId }),
    ...(lastProblem !== undefined && { lastProblem }),
    ...(options.notices !== undefined && options.notices.length > 0 && { notices: [...options.notices] }),
    history: [...history],
  };
}
