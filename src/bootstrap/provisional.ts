/**
 * Owns rounds over the bootstrap servers there are, each beginning with another one: whom to leave alone until when, and what is
 * told of a round in which nobody named the owner. Does not own finding them (discover.ts), asking one (sztp.ts) nor waiting
 * between rounds (machine.ts).
 */
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { StateContext } from './context.ts';
import { type Candidate, candidateName, type Discovery, rotate, serverName, uplinkName } from './discover.ts';
import type { Action, Next } from './machine.ts';
import { renderProblem } from './renderStatus.ts';
import { askedAfterMs } from './retry.ts';
import type { Onboarded } from './sztp.ts';
import { moreTelling } from './telling.ts';
import type { Uplink } from './uplink.ts';

/** Not the fault of any lease: this box's own disk and keys fail the same over every line. */
const isOwnFault = ({ code }: BranchboxError): boolean =>
  code.startsWith('system/') || code === 'bootstrap/key-lost';
const MAY_BE_PORTAL: ReadonlySet<string> = new Set(['bootstrap/unreachable', 'bootstrap/captive-portal']);

interface Hold {
  readonly untilMs: number;
  /** Somebody on that way is known. */
  readonly isProved: boolean;
  readonly said: BranchboxError;
}

type ByName = Map<string, Uplink>;

/** What is known of a round so far. */
interface Round {
  /** Uplinks over which somebody gave something good, or what failed is no fault of theirs. */
  readonly lead: ByName;
  /** Uplinks over which a stranger says to come again. */
  readonly comeAgain: ByName;
  /** Uplinks over which a server gave nothing. */
  readonly leadNowhere: ByName;
  readonly passed: Map<Candidate, BranchboxError>;
  /** Addresses of uplinks on which a portal was looked for. */
  readonly probed: Set<string>;
  telling: BranchboxError | undefined;
}

const add = (uplinks: ByName, uplink: Uplink): void => void uplinks.set(uplinkName(uplink), uplink);

/** The action of PROVISIONAL. */
export function createProvisional(context: StateContext, servers: () => Promise<Discovery>): Action {
  const { owners, medium, sztp, deadLeases, log } = context;
  /** Candidates that asked not to be asked again before a moment. */
  const holds = new Map<string, Hold>();
  let rounds = 0;

  function begin(candidates: readonly Candidate[]): Round {
    const round: Round = {
      lead: new Map(),
      comeAgain: new Map(),
      leadNowhere: new Map(),
      passed: new Map(),
      probed: new Set(),
      telling: undefined,
    };
    for (const candidate of candidates) {
      const held = holds.get(heldName(candidate));
      if (held !== undefined) add(held.isProved ? round.lead : round.comeAgain, candidate.uplink);
    }
    return round;
  }

  async function take(found: Onboarded, candidate: Candidate, { passed }: Round): Promise<Next> {
    const { owner, voucher, server, reporting, passedOver } = found;
    await owners.writePending(owner);
    if (passedOver.length > 0)
      log.warn('servers that a redirect named and that are not asked', { problems: passedOver });
    const notAsked = passedOver.map(
      ({ path, message }) => `${path} ${message} (look at who redirects; the others are asked)`,
    );
    context.notices.set('passed', [...noticesOf(passed, candidate), ...notAsked]);
    return {
      state: 'OWNED',
      note: {
        gatewayId: owner.gatewayId,
        server: serverName(server),
        uplink: candidate.uplink.ifname,
        ...(reporting === 'verbose' && { reporting }),
        voucherMadeAt: new Date(voucher.createdOnMs).toISOString(),
      },
    };
  }

  async function noteFailure(
    failure: BranchboxError,
    candidate: Candidate,
    isProved: boolean,
    round: Round,
    signal: AbortSignal,
  ): Promise<void> {
    const { uplink } = candidate;
    const asked = askedAfterMs(failure);
    if (asked === undefined) round.passed.set(candidate, failure);
    else holds.set(heldName(candidate), { untilMs: context.monotonicMs() + asked, isProved, said: failure });
    if (isOwnFault(failure)) add(round.lead, uplink);
    else add(asked === undefined ? round.leadNowhere : round.comeAgain, uplink);
    log.info('bootstrap server gave nothing', {
      candidate: candidateName(candidate),
      code: failure.code,
      problem: failure.message,
    });
    round.telling = moreTelling(round.telling, failure);
    // Silence may be a portal that swallows HTTPS, and one that answers may say more: asked once an uplink and round.
    if (!MAY_BE_PORTAL.has(failure.code) || round.probed.has(uplink.address)) return;
    round.probed.add(uplink.address);
    const silent = failure.code === 'bootstrap/unreachable' ? candidate.server : undefined;
    const portal = await context.probePortal(silent, uplink, signal);
    if (portal !== undefined) round.telling = moreTelling(round.telling, portal);
  }

  /** Resolves to undefined where nobody behind this candidate named the owner. */
  async function ask(candidate: Candidate, round: Round, signal: AbortSignal): Promise<Next | undefined> {
    let isProved = false;
    const onProof = (): void => {
      isProved = true;
      add(round.lead, candidate.uplink);
    };
    try {
      const found = await sztp.onboard(candidate.server, candidate.uplink, signal, onProof);
      return await take(found, candidate, round);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      await noteFailure(thrown, candidate, isProved, round, signal);
      return undefined;
    }
  }

  /** The failure of the round, which also says where a lease is given up for it. */
  async function judgeLeases(
    failure: BranchboxError,
    { lead, comeAgain, leadNowhere }: Round,
    strangers: readonly Uplink[],
  ): Promise<BranchboxError> {
    let told = failure;
    for (const uplink of strangers) told = await deadLeases.saidComeAgain(uplink, told);
    for (const [name, uplink] of leadNowhere) {
      if (!lead.has(name) && !comeAgain.has(name)) told = await deadLeases.gaveNothing(uplink, told);
    }
    return told;
  }

  return async (signal) => {
    const taken = await medium.take();
    if (taken !== undefined) return taken;
    const { candidates, problems } = await servers();
    const nowMs = context.monotonicMs();
    // Whoever answers DHCP may name other servers each time.
    for (const [name, { untilMs }] of holds) if (untilMs <= nowMs) holds.delete(name);
    const free = candidates.filter((candidate) => !holds.has(heldName(candidate)));
    const round = begin(candidates);
    for (const candidate of rotate(free, rounds)) {
      const next = await ask(candidate, round, signal);
      if (next !== undefined) return next;
    }
    rounds += 1;
    // Nobody online is better: the owner that a medium named is worth another try.
    const again = await medium.take({ again: true });
    if (again !== undefined) return again;
    for (const uplink of round.lead.values()) deadLeases.leadsSomewhere(uplink);
    const held = candidates.map((one) => holds.get(heldName(one)));
    const heldMs = Math.min(...held.map((hold) => hold?.untilMs ?? 0)) - context.monotonicMs();
    // Nobody was to be asked: what they said last still holds.
    if (free.length === 0)
      for (const hold of held) if (hold) round.telling = moreTelling(round.telling, hold.said);
    const strangers = [...round.comeAgain]
      .filter(([name]) => !round.lead.has(name))
      .map(([, uplink]) => uplink);
    const failure = await judgeLeases(afterRound(round.telling, problems), round, strangers);
    // None of the servers waits longer for another one's sake.
    const enoughMs = strangers.map((uplink) => deadLeases.enoughInMs(uplink) ?? heldMs);
    throw candidates.length > 0 && heldMs > 0 ? busyFor(failure, Math.min(heldMs, ...enoughMs)) : failure;
  };
}

/**
 * About those that gave nothing before `good` did: the box is through, and whoever leaves it with a dead line or a wrong name in
 * DHCP would not know. A server that said to come later is not among them. Pure.
 */
function noticesOf(passed: ReadonlyMap<Candidate, BranchboxError>, good: Candidate): readonly string[] {
  const through = uplinkName(good.uplink);
  const sentences = [...passed].map(([candidate, error]) => {
    const line = uplinkName(candidate.uplink);
    return error.code === 'bootstrap/unreachable' && line !== through
      ? `nobody answers over ${line}, and the box came on over ${through}: ${renderProblem(error)} (look at the cable of ${line}, at its way out, and at whom DHCP or DNS names there)`
      : `${candidateName(candidate)} is passed over, and another server named the owner: ${renderProblem(error)} (look at what names it: DHCP or DNS of that line)`;
  });
  return [...new Set(sentences)];
}

function afterRound(telling: BranchboxError | undefined, notTaken: readonly Problem[]): BranchboxError {
  if (telling === undefined) {
    const message = 'No uplink has a bootstrap server to ask';
    return new BranchboxError('bootstrap/unreachable', { message, problems: notTaken });
  }
  const { code, message, mend } = telling;
  const problems = [...telling.problems, ...notTaken];
  return new BranchboxError(code, { message, problems, ...(mend !== undefined && { mend }) });
}

/** Everybody there is to ask wants to be left alone for so long. */
function busyFor({ code, message, problems, mend }: BranchboxError, retryAfterMs: number): BranchboxError {
  const fields = { status: 503, retryAfterMs };
  return new BranchboxError(code, { message, problems, fields, ...(mend !== undefined && { mend }) });
}

/** Another address is another lease, and another way to whoever bears the name. */
const heldName = (candidate: Candidate): string =>
  `${candidateName(candidate)} from ${candidate.uplink.address}`;
