/**
 * Owns keeping one connection to the controller: over the best living uplink, given up when that uplink dies,
 * made anew over another; and the proof that a trial asks for.
 * Does not own making one (controllerDial), the MQTT session itself (mqttSession), nor what is told over it (reporting).
 */
import { randomBytes } from 'node:crypto';
import { asBranchboxError } from '../model/errors.ts';
import { decodeJson } from '../model/decode.ts';
import { Command, MESSAGE_MAX_BYTES, type Reply, topicsOf } from '../model/mqtt.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { UplinkAddress, UplinkDialer } from '../system/uplinkDial.ts';
import { createWaker } from '../system/waker.ts';
import { dialController } from './controllerDial.ts';
import type { MqttSession } from './mqttSession.ts';
import type { OwnIdentity } from './ownIdentity.ts';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;
const PROOF_REPEAT_MS = 3000;
/** A connection that ends sooner counts as one that failed. */
const SHORT_LIVED_MS = 3000;

export interface RankedUplink extends UplinkAddress {
  /** false: known to be dark; tried last, and left where another is alive. */
  readonly alive: boolean;
}

export interface LinkParts {
  readonly identity: () => Promise<OwnIdentity | undefined>;
  readonly dialer: Pick<UplinkDialer, 'connectTls'>;
  /** Best first. */
  readonly uplinks: () => readonly RankedUplink[];
  readonly endpoint: (identity: OwnIdentity) => { readonly host: string; readonly port: number };
  readonly onDesired: (jws: string) => void;
  readonly onCommand: (command: Exclude<Command, { kind: 'proof' }>) => void;
  /** Connected anew, or lost. */
  readonly onState: () => void;
  /** The broker turned the box away, or the box could not show who it is. */
  readonly onRefused: () => void;
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
}

interface Proof {
  readonly nonce: string;
  readonly answered: () => void;
}

export function createControllerLink(parts: LinkParts): ControllerLink {
  const { clock, log } = parts;
  let live: Live | undefined;
  let proof: Proof | undefined;
  /** The connection that is being made. */
  let dial: AbortController | undefined;
  const waker = createWaker(clock);
  let changed = false;
  let sinceMs = clock.nowMs();
  let lostAtMs = clock.monotonicMs();
  let lastProblem: string | undefined;

  const endpointText = (identity: OwnIdentity): string => {
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

  const askForProof = async (): Promise<void> => {
    const asked = proof;
    while (asked !== undefined && proof === asked && live !== undefined) {
      const request: Reply = { kind: 'proof-request', gatewayId: live.gatewayId, nonce: asked.nonce };
      await send('reply', JSON.stringify(request));
      await clock.sleep(PROOF_REPEAT_MS);
    }
  };

  const onMessage = (gatewayId: string, topic: string, payload: Uint8Array): void => {
    const topics = topicsOf(gatewayId);
    const text = Buffer.from(payload).toString('utf8');
    if (topic === topics.desired) {
      // A retained message that was cleared comes as an empty one.
      if (text !== '') parts.onDesired(text);
      return;
    }
    if (topic !== topics.cmd) return;
    try {
      const command = decodeJson(Command, text, 'a command', MESSAGE_MAX_BYTES.cmd);
      if (command.kind !== 'proof') parts.onCommand(command);
      else if (proof !== undefined && command.nonce === proof.nonce) proof.answered();
    } catch (thrown) {
      log.warn('a command is not understood', { error: asBranchboxError(thrown) });
    }
  };

  /** One connection from dialling to its end. */
  const connectOnce = async (identity: OwnIdentity, signal: AbortSignal): Promise<void> => {
    const { gatewayId } = identity;
    const { host, port } = parts.endpoint(identity);
    dial = new AbortController();
    const limit = AbortSignal.any([signal, dial.signal]);
    const { session, uplink } = await dialController(
      {
        dialer: parts.dialer,
        uplinks: parts.uplinks(),
        endpoint: { host, port },
        identity,
        onMessage: (topic, payload) => onMessage(gatewayId, topic, payload),
      },
      limit,
    );
    dial = undefined;
    const onAbort = (): void => session.end('the agent ends');
    signal.addEventListener('abort', onAbort, { once: true });
    live = { session, gatewayId, uplink, endpoint: `${host}:${port}` };
    sinceMs = clock.nowMs();
    lastProblem = undefined;
    log.info('controller connected', { uplink: uplink.ifname, host });
    parts.onState();
    if (proof !== undefined) void askForProof();
    // What changed while the connection was made.
    if (changed) check();
    const why = await session.ended;
    signal.removeEventListener('abort', onAbort);
    live = undefined;
    sinceMs = clock.nowMs();
    lostAtMs = clock.monotonicMs();
    lastProblem = why;
    log.info('controller lost', { uplink: uplink.ifname, why });
    parts.onState();
  };

  /** Whether the connection stands on what the box would choose now. */
  const check = (): void => {
    changed = false;
    const at = live;
    if (at === undefined) return;
    const uplinks = parts.uplinks();
    const own = uplinks.find((uplink) => uplink.address === at.uplink.address);
    if (own === undefined) at.session.end(`${at.uplink.ifname} lost its address`);
    else if (!own.alive && uplinks.some((uplink) => uplink.alive)) at.session.end(`${own.ifname} is dark`);
    else {
      void parts.identity().then((identity) => {
        if (live === at && identity !== undefined && endpointText(identity) !== at.endpoint) {
          at.session.end('the controller moved');
        }
      });
    }
  };

  return {
    send,
    wake() {
      changed = true;
      check();
      waker.wake();
    },
    state: () => ({ connected: live !== undefined, uplink: live?.uplink.ifname, sinceMs, lastProblem }),
    awayMs: () => (live === undefined ? clock.monotonicMs() - lostAtMs : 0),
    async prove(signal) {
      const done = Promise.withResolvers<void>();
      const own: Proof = { nonce: randomBytes(16).toString('hex'), answered: done.resolve };
      const onAbort = (): void => done.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      proof = own;
      // Only an answer over a new connection says that the new state lets one through: not over one that is being
      // made on what stood before either.
      dial?.abort(new Error('a new connection is to prove the state on trial'));
      live?.session.end('a new connection is to prove the state on trial');
      waker.wake();
      try {
        signal.throwIfAborted();
        await done.promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
        if (proof === own) proof = undefined;
      }
    },
    async run(signal) {
      let delayMs = RETRY_FIRST_MS;
      while (!signal.aborted) {
        try {
          const identity = await parts.identity();
          if (identity === undefined || parts.uplinks().length === 0) {
            await waker.rest(RETRY_MAX_MS, signal);
            continue;
          }
          const startMs = clock.monotonicMs();
          await connectOnce(identity, signal);
          // A new connection takes the old one's place at once, unless the broker keeps turning us away.
          if (clock.monotonicMs() - startMs > SHORT_LIVED_MS || proof !== undefined) {
            delayMs = RETRY_FIRST_MS;
            continue;
          }
        } catch (thrown) {
          if (signal.aborted) return;
          if (dial?.signal.aborted === true) continue;
          const error = asBranchboxError(thrown);
          if (error.message !== lastProblem) log.warn('the controller cannot be reached', { error });
          lastProblem = error.message;
          if (error.code === 'controller/refused' || error.code === 'system/key-unusable') parts.onRefused();
        }
        // Spread, so that a fleet does not come back as one.
        await waker.rest(delayMs * (0.5 + Math.random() / 2), signal);
        delayMs = proof === undefined ? Math.min(delayMs * 2, RETRY_MAX_MS) : RETRY_FIRST_MS;
      }
    },
  };
}
