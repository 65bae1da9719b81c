/**
 * Owns a round over the bootstrap servers there are, beginning elsewhere each time: whom to leave alone until when, and
 * what is told of a round in which nobody named the owner. Does not own finding them (discover.ts), asking one (sztp.ts)
 * nor waiting between rounds (machine.ts).
 */
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { StateContext } from './context.ts';
import { type Candidate, candidateName, type Discovery, rotate, serverName, uplinkName } from './discover.ts';
import type { Action } from './machine.ts';
import { renderProblem } from './renderStatus.ts';
import { askedAfterMs } from './retry.ts';
import { moreTelling } from './telling.ts';
import type { Uplink } from './uplink.ts';

/** What no lease is at fault for: this box's own disk and keys, the same over every line. */
const isOwnFault = ({ code }: BranchboxError): boolean =>
  code.startsWith('system/') || code === 'bootstrap/key-lost';
const MAY_BE_PORTAL: ReadonlySet<string> = new Set(['bootstrap/unreachable', 'bootstrap/captive-portal']);

interface Hold {
  readonly untilMs: number;
  /** Somebody on that way is known. */
  readonly isProved: boolean;
  readonly said: BranchboxError;
}

/** The action of PROVISIONAL. */
export function createProvisional(context: StateContext, servers: () => Promise<Discovery>): Action {
  const { owners, medium, sztp, deadLeases, log } = context;
  /** Candidates that asked not to be asked again before a moment. */
  const holds = new Map<string, Hold>();
  let round = 0;

  return async (signal) => {
    const taken = await medium.take();
    if (taken !== undefined) return taken;
    const { candidates, problems } = await servers();
    const nowMs = context.monotonicMs();
    // Whoever answers DHCP may name other servers each time.
    for (const [name, { untilMs }] of holds) if (untilMs <= nowMs) holds.delete(name);
    const free = candidates.filter((candidate) => !holds.has(heldName(candidate)));
    const probed = new Set<string>();
    /** By name: over which of them nobody gave anything good, somebody did, or a stranger says to come again. */
    const leadNowhere = new Map<string, Uplink>();
    const lead = new Map<string, Uplink>();
    const comeAgain = new Map<string, Uplink>();
    for (const candidate of candidates) {
      const held = holds.get(heldName(candidate));
      if (held !== undefined)
        (held.isProved ? lead : comeAgain).set(uplinkName(candidate.uplink), candidate.uplink);
    }
    const passed = new Map<Candidate, BranchboxError>();
    let telling: BranchboxError | undefined;
    for (const candidate of rotate(free, round)) {
      let isProved = false;
      try {
        const { owner, voucher, server, reporting, passedOver } = await sztp.onboard(
          candidate.server,
          candidate.uplink,
          signal,
          () => {
            isProved = true;
            lead.set(uplinkName(candidate.uplink), candidate.uplink);
          },
        );
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
      } catch (thrown) {
        if (!(thrown instanceof BranchboxError)) throw thrown;
        const asked = askedAfterMs(thrown);
        if (asked === undefined) passed.set(candidate, thrown);
        else
          holds.set(heldName(candidate), { untilMs: context.monotonicMs() + asked, isProved, said: thrown });
        const reached = isOwnFault(thrown) ? lead : asked === undefined ? leadNowhere : comeAgain;
        reached.set(uplinkName(candidate.uplink), candidate.uplink);
        log.info('bootstrap server gave nothing', {
          candidate: candidateName(candidate),
          code: thrown.code,
          problem: thrown.message,
        });
        telling = moreTelling(telling, thrown);
        // Silence may be a portal that swallows HTTPS, and one that answers may say more: asked once an uplink and round.
        if (MAY_BE_PORTAL.has(thrown.code) && !probed.has(candidate.uplink.address)) {
          probed.add(candidate.uplink.address);
          const silent = thrown.code === 'bootstrap/unreachable' ? candidate.server : undefined;
          const portal = await context.probePortal(silent, candidate.uplink, signal);
          if (portal !== undefined) telling = moreTelling(telling, portal);
        }
      }
    }
    round += 1;
    // Nobody online is better: the owner that a medium named is worth another try.
    const again = await medium.take({ again: true });
    if (again !== undefined) return again;
    for (const uplink of lead.values()) deadLeases.leadsSomewhere(uplink);
    const held = candidates.map((one) => holds.get(heldName(one)));
    const heldMs = Math.min(...held.map((hold) => hold?.untilMs ?? 0)) - context.monotonicMs();
    // Nobody was to be asked: what they said last still holds.
    if (free.length === 0) for (const hold of held) if (hold) telling = moreTelling(telling, hold.said);
    const strangers = [...comeAgain].filter(([name]) => !lead.has(name)).map(([, uplink]) => uplink);
    let failure = afterRound(telling, problems);
    for (const uplink of strangers) failure = await deadLeases.saidComeAgain(uplink, failure);
    for (const [name, uplink] of leadNowhere) {
      if (!lead.has(name) && !comeAgain.has(name)) failure = await deadLeases.gaveNothing(uplink, failure);
    }
    // None of the servers waits longer for another one's sake.
    const enoughMs = strangers.map((uplink) => deadLeases.enoughInMs(uplink) ?? heldMs);
    throw candidates.length > 0 && heldMs > 0 ? busyFor(failure, Math.min(heldMs, ...enoughMs)) : failure;
  };
}

/**
 * Of who gave nothing before `good` did: the box is through, and who leaves it with a dead line or a wrong name in DHCP would
 * not know. Who said to come later is no such thing. Pure.
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

/** All that there is asked to be let alone for so long. */
function busyFor({ code, message, problems, mend }: BranchboxError, retryAfterMs: number): BranchboxError {
  const fields = { status: 503, retryAfterMs };
  return new BranchboxError(code, { message, problems, fields, ...(mend !== undefined && { mend }) });
}

/** Another address is another lease, and another way to whoever bears the name. */
const heldName = (candidate: Candidate): string =>
  `${candidateName(candidate)} from ${candidate.uplink.address}`;
