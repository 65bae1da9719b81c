/** The sockets of the far end of uplink tests: what ends none of them, and what there is without them. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startUplinkTest } from '../../../src/controller/uplinkTest/farEnd.ts';
import { SESSION_PATH } from '../../../src/model/uplinkProbe.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { silentLog } from '../../fakes/silentLog.ts';

/** A datagram from port 0: no socket sends one, and whoever makes packets by hand can. */
const RAW_PROBE = `
  use Socket;
  my ($to, $probe) = @ARGV;
  $probe = pack("H*", $probe);
  socket(my $raw, PF_INET, SOCK_RAW, 17) or die "raw socket: $!";
  my $datagram = pack("nnnn", 0, $to, 8 + length $probe, 0) . $probe;
  send($raw, $datagram, 0, sockaddr_in(0, inet_aton("127.0.0.1"))) or die "send: $!";
`;

describe('the responder', () => {
  it('lives on where a probe comes from port 0, which nothing can be sent to', async () => {
    const probe = randomBytes(100).toString('hex');
    const responder = join(import.meta.dirname, '../../../src/controller/uplinkTest/responder.ts');
    // A process and a network of its own, whose root may make packets. Each probe is answered with itself.
    const script = `
      import { execFileSync } from 'node:child_process';
      import { createSocket } from 'node:dgram';
      import { startResponder } from '${responder}';
      const sessions = { answer: (datagram) => datagram };
      const log = { warn: (...words) => console.log(...words) };
      const address = '127.0.0.1';
      const responder = await startResponder({ address, ports: [8447, 8448], sessions, log });
      execFileSync('perl', ['-e', \`${RAW_PROBE.replaceAll('$', '\\$')}\`, '8447', '${probe}']);
      const box = createSocket('udp4');
      box.once('message', (answer) => {
        console.log(answer.toString('hex'));
        box.close();
        responder.close();
      });
      // Behind the other in the same socket's line.
      box.send(Buffer.from('${probe}', 'hex'), 8447, address);
    `;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const words = ['--user', '--map-root-user', '--net', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh'];
    expect(await createRunner().runChecked('unshare', [...words, ...node])).toBe(`${probe}\n`);
  });
});

describe('a far end', () => {
  const session = async (ports: [number, number]) => {
    const warnings: unknown[] = [];
    const far = await startUplinkTest({
      address: '127.0.0.1',
      ports,
      clock: { monotonicMs: () => 0 },
      log: { ...silentLog, warn: (...words: unknown[]) => void warnings.push(words) },
    });
    const request = new IncomingMessage(new Socket());
    const line = { method: 'POST', path: SESSION_PATH };
    const answer = await far.routes.handle('branch1', request, new ServerResponse(request), line);
    far.close();
    return { answer, warnings: warnings.length };
  };

  it('that cannot have both of its ports grants no probes, which would be lost', async () => {
    const taken = createSocket('udp4');
    taken.bind(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address();
    expect(await session([0, port])).toMatchObject({ answer: { status: 404 }, warnings: 1 });
    expect(await session([port, 0])).toMatchObject({ answer: { status: 404 }, warnings: 1 });
    expect(await session([0, 0])).toMatchObject({ answer: { status: 200 }, warnings: 0 });
    taken.close();
  });
});
