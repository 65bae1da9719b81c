/**
 * Owns a virtual machine as a node of the lab: what it needs before its first start, and running something in it with
 * the manners of a node in namespaces. Does not own its cables (wiring.ts) nor its end (nodes.ts).
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { Secret } from '../../model/secret.ts';
import type { Clock, CommandResult, Files, Runner, RunOptions } from '../../system/ports.ts';
import { NODE_ENVIRONMENT } from '../enter.ts';
import { FACTORY_DIRECTORY } from '../controllerNode.ts';
import { askNode } from '../localSocket.ts';
import type { LabPaths } from '../paths.ts';
import { type AcceleratorChoice, chooseAccelerator } from './accelerator.ts';
import type { Machine } from './argv.ts';
import { emptyDisk, makeFactoryDisk } from './disk.ts';
import { connectInMachine, openSession } from './guestExec.ts';
import { notedImage } from './image.ts';
import { machinePaths } from './machinePaths.ts';
import { switchOn } from './machines.ts';
import { setCarrier } from './qmp.ts';

export interface MachineSpec extends Machine {
  /** Labels of the ports without a cable in. */
  readonly unplugged: readonly string[];
}

export interface Machines {
  /** With a disk of the image where it has none yet, `files` of the factory on it. */
  start(node: string, spec: MachineSpec, files: Readonly<Record<string, string>>): Promise<void>;
  /** What runs it on this host. */
  accelerator(): Promise<AcceleratorChoice>;
  /** While it is off: its disk as the factory left it. UEFI variables and the TPM are the hardware's, and stay. */
  resetDisk(node: string): Promise<void>;
  exec(node: string, command: readonly string[], options?: RunOptions): Promise<CommandResult>;
  ask(node: string, socket: string, path: string): Promise<unknown>;
  setCarrier(node: string, port: string, up: boolean): Promise<void>;
}

export interface MachinesDeps {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly files: Pick<Files, 'readText' | 'writeDurable'>;
  readonly paths: LabPaths;
}

/** A machine may be emulated on a busy host, where a process alone takes a second to start. */
const EXEC_TIMEOUT_MS = 120_000;
const ASK_TIMEOUT_MS = 20_000;
/** Whoever looks at all nodes does not want to wait for one that boots. */
const ASK_BEGIN_TIMEOUT_MS = 6_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export function createMachines({ runner, clock, files, paths }: MachinesDeps): Machines {
  const image = () => notedImage(files, paths);
  const accelerator = async (): Promise<AcceleratorChoice> =>
    chooseAccelerator({ runner, files }, await image());
  return {
    accelerator,
    async start(node, machine, nodeFiles) {
      const own = machinePaths(paths, node);
      const source = await image();
      if (!existsSync(own.factoryDisk)) {
        const ofFactory = Object.entries(nodeFiles).filter(([path]) =>
          path.startsWith(`${FACTORY_DIRECTORY}/`),
        );
        const factory = Object.fromEntries(ofFactory.map(([path, text]) => [basename(path), text]));
        await makeFactoryDisk({ runner, image: source, paths: own }, factory);
      }
      if (!existsSync(own.disk)) await emptyDisk({ runner, image: source, paths: own });
      const chosen = await accelerator();
      await switchOn({
        clock,
        paths,
        tools: source.tools,
        machine,
        accelerator: chosen.accelerator,
        unplugged: machine.unplugged,
      });
    },
    resetDisk: async (node) => emptyDisk({ runner, image: await image(), paths: machinePaths(paths, node) }),
    setCarrier: (node, port, up) => setCarrier(machinePaths(paths, node).qmpSocket, port, up),
    async exec(node, command, options = {}) {
      const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
      let sizeBytes = 0;
      const tooMuch = new AbortController();
      const timeoutMs = Math.max(options.timeoutMs ?? 0, EXEC_TIMEOUT_MS);
      const timeout = AbortSignal.timeout(timeoutMs);
      const asked = options.signal === undefined ? [] : [options.signal];
      const signal = AbortSignal.any([timeout, tooMuch.signal, ...asked]);
      const session = await openSession(
        { kind: 'exec', command, environment: NODE_ENVIRONMENT },
        {
          clock,
          paths: machinePaths(paths, node),
          beginTimeoutMs: timeoutMs,
          signal,
          onOutput: (name, data) => {
            sizeBytes += data.length;
            if (sizeBytes > (options.maxOutputBytes ?? MAX_OUTPUT_BYTES)) tooMuch.abort();
            else output[name].push(data);
          },
        },
      );
      if (options.stdin !== undefined) {
        const text = options.stdin instanceof Secret ? options.stdin.reveal() : options.stdin;
        await session.write(Buffer.from(text));
      }
      session.endInput();
      try {
        const exitCode = await session.ended;
        const text = (name: 'stdout' | 'stderr'): string => Buffer.concat(output[name]).toString('utf8');
        return { exitCode, stdout: text('stdout'), stderr: text('stderr') };
      } catch (cause) {
        if (!timeout.aborted) throw cause;
        throw new BranchboxError('system/command-timeout', {
          message: `${command[0] ?? ''} in ${node} did not end within ${timeoutMs} ms`,
          cause,
        });
      }
    },
    async ask(node, socket, path) {
      try {
        const stream = await connectInMachine(socket, {
          clock,
          paths: machinePaths(paths, node),
          beginTimeoutMs: ASK_BEGIN_TIMEOUT_MS,
        });
        return await askNode({ stream }, path, ASK_TIMEOUT_MS);
      } catch (error) {
        // As of a node whose process does not listen yet: a machine that boots says nothing.
        if (error instanceof BranchboxError) return undefined;
        throw error;
      }
    },
  };
}
