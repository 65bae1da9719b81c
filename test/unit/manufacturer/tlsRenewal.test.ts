/** The certificate of the manufacturer's port: a process that runs for longer than it lasts, and names that it is told later. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { initManufacturer } from '../../../src/controller/manufacturer/keys.ts';
import { serveManufacturer } from '../../../src/controller/manufacturer/server.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const files = createFiles();
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-manufacturer-tls-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** What it shows to whoever connects now. */
function shownAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

it('is renewed while the process runs', async () => {
  let nowMs = Date.now();
  let wake = (): void => undefined;
  const clock = {
    ...createClock(),
    nowMs: () => nowMs,
    sleep: (_durationMs: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        wake = resolve;
        signal?.addEventListener('abort', () => reject(new Error('ended')), { once: true });
      }),
  };
  await initManufacturer({ files, clock, directory, dnsName: 'localhost', addresses: ['127.0.0.1'] });
  const ending = new AbortController();
  const listening = Promise.withResolvers<number>();
  const served = serveManufacturer({
    files,
    clock,
    log: silentLog,
    directory,
    host: '127.0.0.1',
    port: 0,
    signal: ending.signal,
    onListening: listening.resolve,
  });
  served.catch(listening.reject);
  const port = await listening.promise;
  const first = await shownAt(port);
  nowMs += 300 * 86_400_000;
  wake();
  await expect.poll(() => shownAt(port)).not.toBe(first);
  ending.abort();
  await served;
});

it('init has its TLS certificate name an address that it is told later, and keeps every key that boxes hang on', async () => {
  const own = await mkdtemp(join(tmpdir(), 'bbt-manufacturer-'));
  try {
    const init = (...addresses: readonly string[]) =>
      initManufacturer({ files, clock: createClock(), directory: own, dnsName: 'localhost', addresses });
    const first = await init('127.0.0.1', '2001:db8::1');
    expect((await init('2001:DB8::0:1')).tls.certificate.pem).toBe(first.tls.certificate.pem);
    const later = await init('127.0.0.1', '192.0.2.1');
    expect(later.tls.certificate.ipAddresses).toContain('192.0.2.1');
    expect(later.ca.certificate.pem).toBe(first.ca.certificate.pem);
    expect(later.voucherCa.certificate.pem).toBe(first.voucherCa.certificate.pem);
  } finally {
    await rm(own, { recursive: true });
  }
});
