/**
 * Owns how far bootstrap is as the running identity process tells it: of all its parts at once, each asked anew.
 * Does not own the words (renderStatus.ts) nor what files tell while the process is away (statusByFiles.ts).
 */
import { claimCodeOf } from '../model/assignment.ts';
import type { BootstrapStatus } from '../model/bootstrap.ts';
import type { BrokerProblem } from '../model/obstacle.ts';
import type { ServiceContext } from './context.ts';
import type { DeviceKeys } from './deviceKeys.ts';
import type { Journal } from './journal.ts';
import { createKeyHoldings } from './keyLoss.ts';
import type { Machine } from './machine.ts';
import { mediumLineNotices } from './mediumLine.ts';
import { renderStatus } from './renderStatus.ts';
import { type BlockDevicePaths, unreadMedia } from './pluggedMedia.ts';

export interface LiveStatus {
  read(): Promise<BootstrapStatus>;
  /** What keeps the agent from its broker, as the agent tells it; undefined: nothing. */
  broker(problem: BrokerProblem | undefined): void;
}

export function createLiveStatus(
  context: Pick<
    ServiceContext,
    | 'files'
    | 'factory'
    | 'ldevid'
    | 'owners'
    | 'activation'
    | 'medium'
    | 'moves'
    | 'uplinks'
    | 'cables'
    | 'notices'
  >,
  parts: {
    readonly journal: Pick<Journal, 'history'>;
    readonly machine: Pick<Machine, 'lastProblem'>;
    readonly keys: Pick<DeviceKeys, 'readiness'>;
    /** Default: the machine's own. */
    readonly blockDevices: BlockDevicePaths | undefined;
  },
): LiveStatus {
  const { files, factory, ldevid, owners, activation, medium, moves, uplinks, cables, notices } = context;
  const { journal, machine, keys } = parts;
  const keyHoldings = createKeyHoldings({ files, keys, factory, ldevid });
  let brokerProblem: BrokerProblem | undefined;
  return {
    broker(problem) {
      brokerProblem = problem;
    },
    async read() {
      // Asked for anew each time: it goes when the medium goes.
      const wasOwned = await owners.wasOwned();
      notices.set('media', await unreadMedia(files, wasOwned, parts.blockDevices));
      const isOffline = (await uplinks.all()).length === 0;
      // In service the desired state describes the lines.
      const line = wasOwned ? undefined : medium.described();
      const wanPorts = line?.port === undefined ? [] : await cables.wanPorts();
      notices.set('line', mediumLineNotices(line, { isOffline, wanPorts }));
      return renderStatus({
        history: journal.history(),
        keys: await keyHoldings(),
        serial: factory.serial,
        claimCode: claimCodeOf(factory.idevid.spkiSha256),
        gatewayId: (await owners.read())?.gatewayId,
        secondFactor: activation.state(),
        medium: medium.report(),
        move: await moves.status(),
        offline: isOffline,
        broker: brokerProblem,
        lastProblem: machine.lastProblem(),
        notices: notices.all(),
      });
    },
  };
}
