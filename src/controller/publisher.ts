/**
 * Owns getting desired states out: after any change every gateway is designed anew, and one whose design differs from
 * what was last signed gets a new generation, signed, stored, then published (retained).
 * Does not own the design (designer.ts), signing (the signer) nor the connection (broker/link.ts).
 */
import { createHash } from 'node:crypto';
import { DESIRED_SCHEMA, type DesiredSpec } from '../model/desired.ts';
import { asBranchboxError } from '../model/errors.ts';
import { topicsOf } from '../model/mqtt.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { Admissions } from './admission.ts';
import type { BrokerLink } from './broker/link.ts';
import { designGateway } from './designer.ts';
import type { FleetService } from './fleetService.ts';
import type { SignerClient } from './signer/client.ts';
import type { DesiredRecord, FleetRevision } from './store/entities.ts';
import type { Store } from './store/store.ts';

export interface PublisherOptions {
  readonly store: Store;
  readonly fleet: FleetService;
  readonly admissions: Pick<Admissions, 'standing'>;
  readonly signer: SignerClient;
  readonly link: () => Pick<BrokerLink, 'publish' | 'connected'>;
  readonly controller: DesiredSpec['controller'];
  /** Whole firmware versions: version → signed manifest. */
  readonly firmware: () => Promise<ReadonlyMap<string, string>>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Publisher {
  /** Something changed. Returns at once; many calls become one round. */
  trigger(): void;
  /** The broker may have lost what was retained: everything is published once more. */
  republish(): void;
  /** Resolves when nothing is left to be published. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export function createPublisher(options: PublisherOptions): Publisher {
  const { clock, log } = options;
  const ending = new AbortController();
  /** What the broker holds, as far as this process knows. */
  const published = new Map<string, string>();
  let wanted = false;
  let running: Promise<void> | undefined;

  async function rounds(): Promise<void> {
    let pauseMs = RETRY_MS;
    while (wanted && !ending.signal.aborted) {
      wanted = false;
      try {
        const startedAtMs = clock.monotonicMs();
        await publishAll(options, published);
        pauseMs = RETRY_MS;
        // A thousand boxes that enrol trigger a thousand rounds over a thousand gateways: they take a tenth of the time at most.
        const restMs = 9 * (clock.monotonicMs() - startedAtMs);
        if (restMs > 0) await clock.sleep(restMs, ending.signal).catch(() => undefined);
      } catch (thrown) {
        // The signer or the broker is away; what was signed is stored and only waits to be sent.
        log.warn('desired states could not all be published', { error: asBranchboxError(thrown), pauseMs });
        wanted = true;
        await clock.sleep(pauseMs, ending.signal).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS);
      }
    }
    // With the look at `wanted`, in one step: a change that came in between would be nobody's.
    running = undefined;
  }

  function trigger(): void {
    wanted = true;
    if (running !== undefined || ending.signal.aborted) return;
    running = rounds();
  }

  return {
    trigger,
    republish() {
      published.clear();
      trigger();
    },
    settled: async () => running,
    async stop() {
      ending.abort();
      await running;
    },
  };
}

async function publishAll(options: PublisherOptions, published: Map<string, string>): Promise<void> {
  const { store, link } = options;
  const stored = await readFleet(options);
  if (stored === undefined) return;
  const inputs = {
    fleet: stored.fleet,
    allocations: stored.allocations,
    publicKeys: await peerKeys(options),
    bundleSizes: await store.records.bundles(),
    firmware: await options.firmware(),
    controller: options.controller,
  };
  const known = new Map((await store.gateways.allDesired()).map((record) => [record.gatewayId, record]));
  const epoch = await store.gateways.epoch();
  let failure: unknown;
  for (const gateway of stored.fleet.gateways) {
    try {
      const spec = designGateway(inputs, gateway);
      const last = known.get(gateway.id);
      const record = isCurrent(last, spec, epoch) ? last : await sign(options, gateway.id, spec, epoch, last);
      if (published.get(gateway.id) === record.digest) continue;
      await link().publish(topicsOf(gateway.id).desired, record.jws, { retain: true });
      published.set(gateway.id, record.digest);
    } catch (thrown) {
      // One gateway's trouble keeps no other from its state; the round is repeated.
      failure ??= thrown;
    }
  }
  const present = new Set(stored.fleet.gateways.map((gateway) => gateway.id));
  for (const { gatewayId, jws } of known.values()) {
    if (present.has(gatewayId) || jws === '') continue;
    // An empty retained message clears the topic (MQTT 5, 3.3.1.3): a box that comes back finds nothing.
    await link().publish(topicsOf(gatewayId).desired, '', { retain: true });
    await link().publish(topicsOf(gatewayId).status, '', { retain: true });
    await store.gateways.removeDesired(gatewayId);
    await store.gateways.removeStatus(gatewayId);
    published.delete(gatewayId);
  }
  if (failure !== undefined) throw failure;
}

/** undefined where there is none to publish. */
async function readFleet({ fleet, log }: PublisherOptions): Promise<FleetRevision | undefined> {
  try {
    return await fleet.read();
  } catch (thrown) {
    if (fleet.ailment === undefined) throw thrown;
    // Trying again mends nothing; the change that does triggers the next round. Boxes keep what they were told.
    log.error('no gateway is told anything new', { error: asBranchboxError(thrown) });
    return undefined;
  }
}

/**
 * What others may have as a peer: a box that was revoked, or whose place another box has, is one of nobody, so that
 * revoking a stolen box also ends its tunnels.
 */
async function peerKeys({ store, admissions }: PublisherOptions): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>();
  for (const { gatewayId, serial, publicKey } of await store.gateways.reportedKeys()) {
    if ((await admissions.standing(gatewayId, serial)).kind === 'admitted') keys.set(gatewayId, publicKey);
  }
  return keys;
}

function isCurrent(last: DesiredRecord | undefined, spec: DesiredSpec, epoch: number): last is DesiredRecord {
  return last !== undefined && last.jws !== '' && last.epoch === epoch && last.specDigest === digestOf(spec);
}

async function sign(
  options: PublisherOptions,
  gatewayId: string,
  spec: DesiredSpec,
  epoch: number,
  last: DesiredRecord | undefined,
): Promise<DesiredRecord> {
  const { store, signer, clock, log } = options;
  const generation = last?.epoch === epoch ? last.generation + 1 : 1;
  const jws = await signer.desired({
    schema: DESIRED_SCHEMA,
    gatewayId,
    epoch,
    generation,
    // A box's clock may be behind ours: "at once" is said without one.
    notBefore: 0,
    spec,
  });
  const record: DesiredRecord = {
    gatewayId,
    epoch,
    generation,
    digest: sha256(jws),
    specDigest: digestOf(spec),
    jws,
  };
  // Stored before it is sent: a number that a box has seen is never used again.
  await store.gateways.putDesired(record, clock.nowMs());
  log.info('signed a desired state', { gatewayId, epoch, generation });
  return record;
}

function digestOf(spec: DesiredSpec): string {
  return sha256(JSON.stringify(spec));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
