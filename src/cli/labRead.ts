/**
 * Owns `lab status`, `info`, `identity` and `events`: what is printed of a lab that is up.
 */
import { join, resolve } from 'node:path';
import { createControllerNode } from '../lab/controllerNode.ts';
import { followEvents, type LabEvent } from '../lab/events.ts';
import { labInfo } from '../lab/info.ts';
import { ailmentOf } from '../lab/readiness.ts';
import { renderStatus } from '../lab/table.ts';
import { gather } from '../lab/up.ts';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { GatewayId } from '../model/ids.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import { openLab } from './labUp.ts';

/** As the manufacturer's own. */
const MAX_REQUEST_BYTES = 64 * 1024;

export async function printStatus(lab: string, json: boolean): Promise<void> {
  const status = await gather(await openLab(lab));
  process.stdout.write(json ? `${JSON.stringify(status)}\n` : renderStatus(status));
  const ailments = status.nodes.flatMap((node) => {
    const ailment = ailmentOf(node);
    return ailment === undefined ? [] : [`${node.name}: ${ailment}\n`];
  });
  for (const line of ailments) process.stderr.write(line);
  process.exitCode = ailments.length === 0 ? 0 : 1;
}

export async function printInfo(lab: string): Promise<void> {
  const { paths, topology, nodes } = await openLab(lab);
  process.stdout.write(`${JSON.stringify(labInfo(paths, topology, nodes), undefined, 2)}\n`);
}

/** The manufacturer makes it, the inventory gets its serial, and the fleet a gateway of that name. Said again, it goes on. */
export async function makeLabIdentity(
  lab: string,
  name: string,
  out: string,
  requestPath?: string,
): Promise<void> {
  decode(GatewayId, name, `gateway name "${name}"`, 'cli/usage');
  const system = createLinuxSystem({ name: 'lab' });
  const request =
    requestPath === undefined ? undefined : await system.files.readText(requestPath, MAX_REQUEST_BYTES);
  if (requestPath !== undefined && request === undefined) {
    throw new BranchboxError('cli/usage', { message: `there is no request at ${requestPath}` });
  }
  const running = await openLab(lab);
  const node = running.topology.nodes.find(({ role }) => role === 'controller')?.name;
  if (node === undefined) throw new BranchboxError('cli/usage', { message: `lab ${lab} has no controller` });
  if (running.topology.nodes.some((other) => other.name === name)) {
    throw new BranchboxError('cli/usage', {
      message: `${name} is a node of lab ${lab} and has an identity of its own`,
      mend: 'give the client a name that no node has',
    });
  }
  const controller = createControllerNode({ ...system, paths: running.paths, nodes: running.nodes, node });
  const serial = `LAB-${name.toUpperCase()}`;
  const identity = await controller.makeIdentity(serial, 'lab', request);
  await controller.makeKnown([serial]);
  await controller.addGateway({ id: name, serial });
  for (const [file, content] of Object.entries(identity)) {
    await system.files.writeDurable(join(resolve(out), file), content, file.endsWith('.key') ? 0o600 : 0o644);
  }
  process.stdout.write(
    `${serial} is known to the controller as ${name}; its identity is in ${resolve(out)}\n`,
  );
}

export async function printEvents(lab: string, json: boolean): Promise<void> {
  const { paths, topology } = await openLab(lab);
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  const nodes = topology.nodes.filter(({ role }) => role !== 'host').map(({ name }) => name);
  const print = (event: LabEvent): void => {
    const { node, time, unit, state, reason, problem } = event;
    const why = reason === undefined ? '' : ` (${reason})`;
    const text = `${time} ${node} ${problem ?? `${unit ?? ''} ${state ?? ''}${why}`}`;
    process.stdout.write(`${json ? JSON.stringify(event) : text}\n`);
  };
  followEvents(paths, nodes, print, ending.signal);
  await new Promise<void>((done) => ending.signal.addEventListener('abort', () => done(), { once: true }));
}
