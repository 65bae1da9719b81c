/**
 * Owns whom a command of the controller is for. Does not own carrying it out, nor the proof of a trial, which the
 * connection answers by itself (controllerLink.ts).
 */
import type { Command, Reply } from '../model/mqtt.ts';
import type { Holding } from './holding.ts';
import type { Orders } from './orders.ts';
import type { Reporting } from './reporting.ts';
import type { UplinkTests } from './uplinkTests.ts';

export function createCommandHandler(parts: {
  readonly reporting: Pick<Reporting, 'stored' | 'connected'>;
  readonly uplinkTests: Pick<UplinkTests, 'stored'>;
  readonly orders: Orders;
  readonly holding: Pick<Holding, 'wakeAll'>;
  readonly reply: (reply: Reply) => Promise<boolean>;
}): (command: Exclude<Command, { kind: 'proof' }>) => void {
  return (command) => {
    switch (command.kind) {
      case 'events-stored':
        parts.reporting.stored(command.ids);
        return;
      case 'report-stored':
        void parts.uplinkTests.stored(command.id);
        return;
      case 'order':
        void parts.orders.carryOut(command.id, command.jws);
        return;
      case 'resync':
        parts.holding.wakeAll();
        // As to a new connection, which knows nothing yet.
        parts.reporting.connected();
        void parts.reply({
          kind: 'done',
          id: command.id,
          ok: true,
          message: 'looking at everything anew',
        });
    }
  };
}
