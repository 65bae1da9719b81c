/**
 * Owns what a message of the controller is: a desired state, the answer that a proof waits for, or another command. One that
 * is none of these is told, and forgotten: nothing that comes ends the connection.
 * Does not own the connection (controllerLink.ts), nor what becomes of a state (desiredState.ts) or a command (commands.ts).
 */
import { decodeJson } from '../model/decode.ts';
import { asBranchboxError } from '../model/errors.ts';
import { Command, MESSAGE_MAX_BYTES, topicsOf } from '../model/mqtt.ts';
import type { Logger } from '../system/ports.ts';

export interface MessageTakers {
  readonly onDesired: (jws: string) => void;
  readonly onProof: (nonce: string) => void;
  readonly onCommand: (command: Exclude<Command, { kind: 'proof' }>) => void;
}

/** Never throws: it is called within an event of the connection, where nobody would catch it. */
export function takeMessage(
  gatewayId: string,
  { topic, payload }: { readonly topic: string; readonly payload: Uint8Array },
  { onDesired, onProof, onCommand }: MessageTakers,
  log: Logger,
): void {
  const topics = topicsOf(gatewayId);
  const text = Buffer.from(payload).toString('utf8');
  try {
    if (topic === topics.cmd) {
      const command = readCommand(text, log);
      if (command?.kind === 'proof') onProof(command.nonce);
      else if (command !== undefined) onCommand(command);
    }
    // A retained message that was cleared comes as an empty one.
    if (topic === topics.desired && text !== '') onDesired(text);
  } catch (thrown) {
    log.error('a message of the controller cannot be taken', { topic, error: asBranchboxError(thrown) });
  }
}

function readCommand(text: string, log: Logger): Command | undefined {
  try {
    return decodeJson(Command, text, 'a command', MESSAGE_MAX_BYTES.cmd);
  } catch (thrown) {
    log.warn('a command is not understood', { error: asBranchboxError(thrown) });
    return undefined;
  }
}
