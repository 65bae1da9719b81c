/**
 * Owns a round over the bootstrap servers there are, beginning elsewhere each time: whom to leave alone until when, and
 * what is told of a round in which nobody named the owner. Does not own finding them (discover.ts), asking one (sztp.ts)
 * nor waiting between rounds (machine.ts).
 */
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { StateContext } from './context.ts';
import { type Candidate, candidateName, type Discovery, rotate, serverName, uplinkName } from './discover.ts';
import { type Action, renderProblem } from './machine.ts';
import { moreTelling } from './sztp.ts';
import { askedAfterMs } from './retry.ts';
import type { Uplink } from './uplink.ts';

/** What no lease is at fault for: this box's own disk and keys, the same over every line. */
const isOwnFault = ({ code }: BranchboxError): boolean =>
  code.startsWith('system/') || code === 'bootstrap/key-lost';
const MAY_BE_PORTAL: ReadonlySet<string> = new Set(['bootstrap/unreachable', 'bootstrap/captive-portal']);

/** The action of PROVISIONAL. */
export function createProvisional(context: StateContext, servers: () => Promise<Discovery>): Action {
  const { owners, medium, sztp, deadLeases, log } = context;
  /** Moments before which a candidate asked not to be asked again. */
  const holds = new Map<string, number>();
  let round = 0;

  return async (signal) => {
    const taken = await medium.take();
    if (taken !== undefined) return taken;
    const { candidates, problems } = await servers();
    const nowMs = context.monotonicMs();
    // Whoever answers DHCP may name other servers each time.
    for (const [name, untilMs] of holds) if (untilMs <= nowMs) holds.delete(name);
    const free = candidates.filter((candidate) => (holds.get(candidateName(candidate)) ?? 0) <= nowMs);
    const probed = new Set<string>();
    /** By name: over which of them nobody gave anything good, and over which somebody did, or is to be asked again later. */
    const leadNowhere = new Map<string, Uplink>();
    const lead = new Map<string, Uplink>();
    for (const { uplink } of candidates.filter((one) => !free.includes(one)))
      lead.set(uplinkName(uplink), uplink);
    const passed = new Map<Candidate, BranchboxError>();
    let telling: BranchboxError | undefined;
    for (const candidate of rotate(free, round)) {
      try {
        const { owner, voucher, server, reporting } = await sztp.onboard(
          candidate.server,
          candidate.uplink,
          signal,
          () => lead.set(uplinkName(candidate.uplink), candidate.uplink),
        );
        await owners.writePending(owner);
        context.notices.set('passed', noticesOf(passed, candidate));
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
        else holds.set(candidateName(candidate), context.monotonicMs() + asked);
        const reached = asked !== undefined || isOwnFault(thrown) ? lead : leadNowhere;
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
    for (const [name, uplink] of leadNowhere) {
      if (telling !== undefined && !lead.has(name)) telling = await deadLeases.gaveNothing(uplink, telling);
    }
    const heldMs = candidates.map((one) => (holds.get(candidateName(one)) ?? 0) - context.monotonicMs());
    throw afterRound(telling, problems, candidates.length, free.length, Math.min(...heldMs));
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

/** `heldMs`: until the first of all servers may be asked again; none of them waits longer for another one's sake. */
function afterRound(
  telling: BranchboxError | undefined,
  notTaken: readonly Problem[],
  known: number,
  asked: number,
  heldMs: number,
): BranchboxError {
  const busy = known > 0 && heldMs > 0 ? { status: 503, retryAfterMs: heldMs } : {};
  if (telling !== undefined) {
    const { code, message, mend } = telling;
    const problems = [...telling.problems, ...notTaken];
    return new BranchboxError(code, { message, problems, fields: busy, ...(mend !== undefined && { mend }) });
  }
  const message =
    known === 0
      ? 'No uplink has a bootstrap server to ask'
      : `All ${known - asked} bootstrap servers are busy`;
  return new BranchboxError('bootstrap/unreachable', { message, problems: notTaken, fields: busy });
}
