/** A way that was made ahead and ended before somebody took it; going back by live sockets is in controllerLink.test.ts. */
import { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import { createWayAhead } from '../../../src/agent/wayAhead.ts';
import { Secret } from '../../../src/model/secret.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const uplink = { ifname: 'wan1', address: '192.0.2.1', dns: [] };

it('is taken while it stands, and not once its other end has gone', async () => {
  const socket = new TLSSocket(new Duplex({ read: () => undefined, write: () => undefined }));
  const ahead = createWayAhead(log);
  const make = () =>
    ahead.make(
      {
        dialer: { connectTls: async () => ({ socket, uplink }) },
        uplinks: [uplink],
        endpoint: { host: 'controller.branchbox.example', port: 8883 },
        identity: { gatewayId: 'branch1', key: new Secret('key'), certificatePem: '', anchorPem: '' },
      },
      'wan1',
      new AbortController().signal,
    );
  expect(await make()).toBe(true);
  expect(ahead.take()?.socket).toBe(socket);
  expect(await make()).toBe(true);
  socket.destroy();
  expect(ahead.take()).toBeUndefined();
});
