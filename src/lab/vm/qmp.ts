/**
 * Owns speaking QMP to a machine: one command, its answer, and the connection is closed, since QEMU serves one at a time.
 * Format: QEMU's interop/qmp-spec.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';

const ANSWER_TIMEOUT_MS = 30_000;
const Message = z.looseObject({
  QMP: z.unknown().optional(),
  return: z.unknown().optional(),
  error: z.looseObject({ desc: z.string() }).optional(),
});

export interface QmpCommand {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** What QEMU returned; events in between are passed over. */
export function askQmp(socketPath: string, command: QmpCommand): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (why: string): void => {
      socket.destroy();
      reject(new BranchboxError('lab/not-ready', { message: `QEMU, ${command.execute}: ${why}` }));
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail(`no answer within ${ANSWER_TIMEOUT_MS} ms`));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('it hung up'));
    const sayAll = [{ execute: 'qmp_capabilities' }, command];
    const lines = createInterface({ input: socket });
    // It tells of its input's error too, and would end the process where nobody listens.
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      let message: z.output<typeof Message>;
      try {
        message = decodeJson(Message, line, 'QMP');
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
        return;
      }
      if (message.error !== undefined) return fail(message.error.desc);
      if (message.QMP === undefined && !('return' in message)) return;
      const next = sayAll.shift();
      if (next !== undefined) socket.write(`${JSON.stringify(next)}\n`);
      else {
        socket.destroy();
        resolve(message.return);
      }
    });
  });
}

/** The carrier that the machine sees at a port. */
export async function setCarrier(socketPath: string, port: string, up: boolean): Promise<void> {
  await askQmp(socketPath, { execute: 'set_link', arguments: { name: `nic-${port}`, up } });
}
