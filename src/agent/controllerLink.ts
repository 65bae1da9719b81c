/**
 * Owns keeping one connection to the controller: over the best living uplink, given up when that uplink dies or a
 * better one is back, made anew over another.
 * Does not own making one (controllerDial, wayAhead), when to go back (linkReturn), what a trial asks for
 * (controllerProof), the MQTT session itself (mqttSession), what comes over it (controllerMessages) nor what is told over it
 * (reporting).
 */
import { asBranchboxError, type BranchboxError } from '../model/errors.ts';
import { type BrokerProblem, isObstacle, renderBrokerProblem } from '../model/obstacle.ts';
import { topicsOf } from '../model/mqtt.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { UplinkAddress, UplinkDialer } from '../system/uplinkDial.ts';
import { createWaker } from '../system/waker.ts';
import { dialController, type Way } from './controllerDial.ts';
import { type MessageTakers, takeMessage } from './controllerMessages.ts';
import { createControllerProof } from './controllerProof.ts';
import { betterUplink, createLinkReturn } from './linkReturn.ts';
import type { MqttSession } from './mqttSession.ts';
import type { StoredIdentity } from './ownIdentity.ts';
import { createStandingPeer, type StandingPeer } from './standingPeer.ts';
import type { RankedUplink } from './uplinkChoice.ts';
import { createWayAhead } from './wayAhead.ts';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;
/** A connection that ends sooner counts as one that failed. */
const SHORT_LIVED_MS = 3000;

export interface LinkParts extends Pick<MessageTakers, 'onDesired' | 'onCommand'> {
  readonly identity: () => Promise<StoredIdentity | undefined>;
  readonly dialer: Pick<UplinkDialer, 'connectTls'>;
  /** Best first. */
  readonly uplinks: () => readonly RankedUplink[];
  readonly endpoint: (identity: StoredIdentity) => { readonly host: string; readonly port: number };
  /** Connected anew, or lost. */
  readonly onState: () => void;
  /** At each try that failed, and once more without a problem when one did not. */
  readonly onProblem: (problem: BrokerProblem | undefined) => void;
  /** The broker turned the box away, or the box could not show who it is. */
  readonly onRefused: () => void;
  /** The session was ended because the owner has revoked its server. */
  readonly onRevoked: (why: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LinkState {
  readonly connected: boolean;
  readonly uplink: string | undefined;
  readonly sinceMs: number;
  readonly lastProblem: string | undefined;
}

export interface ControllerLink {
  run(signal: AbortSignal): Promise<void>;
  /** Uplinks, identity or endpoint may have changed. */
  wake(): void;
  state(): LinkState;
  /** How long there has been no connection. */
  awayMs(): number;
  /** false where it did not arrive. */
  send(topic: 'status' | 'events' | 'reply', text: string): Promise<boolean>;
  /** Resolves when the controller answered over a connection opened after this call. */
  prove(signal: AbortSignal): Promise<void>;
}

interface Live {
  readonly session: MqttSession;
  readonly gatewayId: string;
  readonly uplink: UplinkAddress;
  readonly endpoint: string;
  readonly peer: StandingPeer;
}

export function createControllerLink(parts: LinkParts): ControllerLink {
  const { clock, log } = parts;
  let live: Live | undefined;
  /** The connection that is being made. */
  let dial: AbortController | undefined;
  const waker = createWaker(clock);
  /** The uplink of the connection, since that stands. */
  let wasAlive = false;
  const ahead = createWayAhead(log);
  const goingBack = createLinkReturn({
    clock,
    random: Math.random,
    async goBack(ifname, signal) {
      const at = live;
      const identity = await parts.identity().catch(() => undefined);
      // A proof asks for a connection of its own.
      const isTime = (): boolean => live === at && !proof.isAsked();
      if (at === undefined || identity === undefined || !isTime()) return 'later';
      if (!(await ahead.make(wayOf(identity), ifname, signal))) return 'in-vain';
      if (isTime()) {
        at.session.end(`${ifname} is back and better`);
        return 'back';
      }
      ahead.drop();
      return 'later';
    },
  });
  let sinceMs = clock.nowMs();
  let lostAtMs = clock.monotonicMs();
  let lastProblem: string | undefined;
  /** At who the box is and whom it believes; and whether that may have changed since. */
  let isLooking = false;
  let isOutdated = false;

  const wayOf = (identity: StoredIdentity): Way => ({
    dialer: parts.dialer,
    uplinks: parts.uplinks(),
    endpoint: parts.endpoint(identity),
    identity,
  });
  const endpointText = (identity: StoredIdentity): string => {
    const { host, port } = parts.endpoint(identity);
    return `${host}:${port}`;
  };

  const send: ControllerLink['send'] = async (topic, text) => {
    const at = live;
    if (at === undefined) return false;
    try {
      await at.session.publish(topicsOf(at.gatewayId)[topic], text, topic === 'status');
      return true;
    } catch (thrown) {
      log.debug('a message did not arrive', { topic, error: asBranchboxError(thrown) });
      return false;
    }
  };

  const proof = createControllerProof({
    clock,
    send: (request) => send('reply', JSON.stringify(request)),
    renew() {
      // Nor over one that is being made from what was known before.
      dial?.abort(new Error('a new connection is to prove the state on trial'));
      ahead.drop();
      live?.session.end('a new connection is to prove the state on trial');
      waker.wake();
    },
  });

  const takers: MessageTakers = { ...parts, onProof: proof.answered };

  /** One connection from dialling to its end. */
  const connectOnce = async (identity: StoredIdentity, signal: AbortSignal): Promise<void> => {
    const { gatewayId } = identity;
    const way = wayOf(identity);
    // As it is now: it may change while the connection is made.
    const endpoint = endpointText(identity);
    dial = new AbortController();
    const { session, uplink, socket } = await dialController(
      {
        ...way,
        made: ahead.take(way),
        onMessage: (topic, payload) => takeMessage(gatewayId, { topic, payload }, takers, log),
      },
      AbortSignal.any([signal, dial.signal]),
    );
    dial = undefined;
    const onAbort = (): void => session.end('the agent ends');
    signal.addEventListener('abort', onAbort, { once: true });
    const peer = createStandingPeer(socket, way.endpoint.host);
    const own: Live = { session, gatewayId, uplink, endpoint, peer };
    live = own;
    sinceMs = clock.nowMs();
    lastProblem = undefined;
    parts.onProblem(undefined);
    log.info('controller connected', { uplink: uplink.ifname, endpoint });
    parts.onState();
    proof.connected(gatewayId, () => live === own);
    wasAlive = false;
    goingBack.connected(uplink.ifname);
    // What changed while the connection was made.
    check();
    const why = await session.ended;
    signal.removeEventListener('abort', onAbort);
    live = undefined;
    goingBack.look(undefined);
    sinceMs = clock.nowMs();
    lostAtMs = clock.monotonicMs();
    lastProblem = why;
    log.info('controller lost', { uplink: uplink.ifname, why });
    parts.onState();
  };

  /** Whether the connection uses what the box would choose now. */
  const check = (): void => {
    const at = live;
    if (at === undefined) return;
    const uplinks = parts.uplinks();
    const own = uplinks.find((uplink) => uplink.address === at.uplink.address);
    if (own?.alive === true) wasAlive = true;
    goingBack.look(own === undefined ? undefined : betterUplink(uplinks, own)?.ifname);
    if (own === undefined) at.session.end(`${at.uplink.ifname} lost its address`);
    // An uplink that was thought dark got through where the living ones did not.
    else if (!own.alive && wasAlive && uplinks.some(({ alive }) => alive))
      at.session.end(`${own.ifname} is dark`);
    else void checkServer();
  };

  /** One look at a time, and one more for what came meanwhile: the kernel tells of a thousand routes at once. */
  const checkServer = async (): Promise<void> => {
    isOutdated = true;
    if (isLooking) return;
    isLooking = true;
    try {
      while (isOutdated) {
        isOutdated = false;
        const at = live;
        const identity = await parts.identity();
        if (at === undefined || live !== at || identity === undefined) continue;
        const revoked = at.peer.revokedBy(identity);
        if (revoked !== undefined) {
          ahead.drop();
          log.warn('the session with the controller is ended', { why: revoked });
          at.session.end(revoked);
          parts.onRevoked(revoked);
        } else if (endpointText(identity) !== at.endpoint) at.session.end('the controller moved');
      }
    } finally {
      isLooking = false;
    }
  };

  return {
    send,
    wake() {
      check();
      waker.wake();
    },
    state: () => ({ connected: live !== undefined, uplink: live?.uplink.ifname, sinceMs, lastProblem }),
    awayMs: () => (live === undefined ? clock.monotonicMs() - lostAtMs : 0),
    prove: (signal) => proof.ask(signal),
    async run(signal) {
      signal.addEventListener('abort', () => ahead.drop(), { once: true });
      let delayMs = RETRY_FIRST_MS;
      while (!signal.aborted) {
        try {
          const identity = await parts.identity();
          if (identity === undefined || parts.uplinks().length === 0) {
            ahead.drop();
            await waker.rest(RETRY_MAX_MS, signal);
            continue;
          }
          const startMs = clock.monotonicMs();
          await connectOnce(identity, signal);
          // A new connection takes the old one's place at once, unless the broker keeps turning us away.
          if (clock.monotonicMs() - startMs > SHORT_LIVED_MS || proof.isAsked() || ahead.isMade()) {
            delayMs = RETRY_FIRST_MS;
            continue;
          }
        } catch (thrown) {
          if (signal.aborted) return;
          if (dial?.signal.aborted === true) continue;
          const error = asBranchboxError(thrown);
          const problem = problemOf(error);
          const told = renderBrokerProblem(problem);
          if (told !== lastProblem) log.warn('the controller cannot be reached', { why: told, error });
          lastProblem = told;
          parts.onProblem(problem);
          if (error.code === 'controller/refused' || error.code === 'system/key-unusable') parts.onRefused();
        }
        // Spread, so that a fleet does not come back as one.
        await waker.rest(delayMs * (0.5 + Math.random() / 2), signal);
        delayMs = proof.isAsked() ? RETRY_FIRST_MS : Math.min(delayMs * 2, RETRY_MAX_MS);
      }
    },
  };
}

/** With the reason of each uplink: that none leads there would tell nobody what to mend. Pure. */
function problemOf({ message, problems, fields, code }: BranchboxError): BrokerProblem {
  const { obstacle } = fields;
  const words = problems.length === 0 ? [message] : problems.map((problem) => problem.message);
  return {
    obstacle: isObstacle(obstacle) ? obstacle : code === 'system/key-unusable' ? 'own-key' : 'connection',
    detail: words.join('; ').slice(0, 1000),
  };
}
