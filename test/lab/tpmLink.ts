/**
 * Owns a process that connects to the controller's broker as the agent of a box does, by the identity that bootstrap left.
 * Arguments: the box's directory, the broker's address. Says `connected as NAME`.
 */
import { dialController } from '../../src/agent/controllerDial.ts';
import { readOwnIdentity } from '../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../src/agent/paths.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import { createTpmUse } from '../../src/system/tpmUse.ts';
import { createUplinkDialer } from '../../src/system/uplinkDial.ts';
import { ADDRESS } from './bootstrapWorld.ts';

const [directory = ''] = process.argv.slice(2);
const { files, log } = createLinuxSystem({ name: 'link' });
const paths = { ...AGENT_PATHS, identity: `${directory}/identity` };
const identity = await readOwnIdentity(files, paths, createTpmUse());
if (identity === undefined) throw new Error('this box has no owner');
const { session } = await dialController(
  {
    dialer: createUplinkDialer({ leases: () => [], log }),
    uplinks: [{ ifname: 'wan1', address: ADDRESS.box, dns: [ADDRESS.names] }],
    endpoint: identity.owner.mqtt,
    identity,
    onMessage: () => {},
  },
  AbortSignal.timeout(30_000),
);
process.stdout.write(`connected as ${identity.gatewayId}\n`);
session.end('that is all');
