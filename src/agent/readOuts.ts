/**
 * Owns which read-outs and actions the agent's socket has, and who answers each. Does not own serving them
 * (localApi.ts), nor what a status or a plan says (localStatus.ts).
 */
import { decode } from '../model/decode.ts';
import type { Facts } from '../model/facts.ts';
import { FirmwareRequest } from '../model/firmware.ts';
import type { KeyHolding } from '../model/keyHolder.ts';
import type { LocalEvents } from '../model/localStatus.ts';
import type { GatewayEvent } from '../model/status.ts';
import { UplinkTestRequest } from '../model/uplinkReport.ts';
import type { AnyItem } from '../reconcile/item.ts';
import type { Updater } from '../update/updater.ts';
import { checkBox } from './check.ts';
import { explainItem, type Knowledge, listItems } from './explain.ts';
import type { Lanes } from './items.ts';
import type { LocalApi } from './localApi.ts';
import { readLocalPlan, readLocalStatus } from './localStatus.ts';
import type { StatusBody } from './reporting.ts';
import type { UplinkTests } from './uplinkTests.ts';

type StatusParts = Parameters<typeof readLocalStatus>[0];

const MAX_EVENTS = 1000;

export function localApiOf(
  parts: Omit<StatusParts, 'body' | 'modems'> & {
    readonly modems: () => StatusParts['modems'];
    readonly body: () => Promise<StatusBody>;
    readonly items: (limit: AbortSignal) => Promise<readonly AnyItem[]>;
    readonly facts: () => Facts;
    readonly keys: () => KeyHolding;
    /** Oldest first. */
    readonly events: (limit: number) => readonly GatewayEvent[];
    readonly lanes: Lanes;
    readonly updater: Pick<Updater, 'read' | 'request' | 'status'>;
    readonly uplinkTests: Pick<UplinkTests, 'read' | 'start'>;
  },
): Pick<LocalApi, 'readOuts' | 'actions'> {
  const { holding, updater, uplinkTests } = parts;
  const knowledge = async (limit: AbortSignal): Promise<Knowledge> => ({
    wanted: await parts.items(limit),
    reports: holding.states().flatMap(({ report }) => report ?? []),
    defects: holding
      .states()
      .flatMap(({ owns, defect }) => (defect === undefined ? [] : { owns, error: defect })),
  });
  return {
    readOuts: {
      '/status': async () => readLocalStatus({ ...parts, modems: parts.modems(), body: await parts.body() }),
      '/plan': async (_, limit) => readLocalPlan(parts.lanes, await parts.items(limit), limit),
      '/explain': async (query, limit) => explainItem(query.get('item') ?? '', await knowledge(limit)),
      '/items': async (_, limit) => listItems(await knowledge(limit)),
      '/check': () => checkBox(parts.facts(), parts.keys()),
      '/firmware': (_, limit) => updater.read(limit),
      '/uplink-test': () => Promise.resolve(uplinkTests.read()),
      '/events': async (): Promise<LocalEvents> => ({ events: [...parts.events(MAX_EVENTS)] }),
    },
    actions: {
      '/firmware': async (body) => {
        await updater.request(decode(FirmwareRequest, body, 'the request'));
        return updater.status();
      },
      '/uplink-test': (body) =>
        uplinkTests.start(decode(UplinkTestRequest, body, 'the request'), 'asked-here'),
    },
  };
}
