/**
 * Owns a process that uses a key of a TPM as a box does, for tests: `make DIR`, `prove FILE`, `contexts FILE COUNT`,
 * `connect FILE CERTIFICATE ANCHOR PORT…` (`-` between two waits for SIGUSR2). Says what came of it,
 * a line each.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { connectByUplink } from '../../src/bootstrap/connect.ts';
import { createHttps, type Exchange } from '../../src/bootstrap/https.ts';
import { tellingKeyLoss } from '../../src/bootstrap/keyLoss.ts';
import { openDeviceKeys } from '../../src/bootstrap/tpmKeys.ts';
import { asBranchboxError } from '../../src/model/errors.ts';
import { Secret } from '../../src/model/secret.ts';
import { toPemBlock } from '../../src/pki/pem.ts';
import { createRequestBy } from '../../src/pki/request.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import { createTpmUse } from '../../src/system/tpmUse.ts';
import { createUplinkDialer } from '../../src/system/uplinkDial.ts';

const [what = '', path = '', ...more] = process.argv.slice(2);
const system = createLinuxSystem({ name: 'tpm-key' });
const use = createTpmUse();
const keys = openDeviceKeys({ system, use, told: process.env['BRANCHBOX_TPM'] });
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const pemAt = async (file: string): Promise<Secret> => new Secret(await readFile(file, 'utf8'));

/** A signal that nobody waits for yet ends this process. */
const untilTold = (): Promise<void> =>
  new Promise((resolve) => {
    const alive = setInterval(() => {}, 60_000);
    process.once('SIGUSR2', () => {
      clearInterval(alive);
      resolve();
    });
    say('waits');
  });

async function attempt(work: () => Promise<string>): Promise<void> {
  try {
    say(await work());
  } catch (thrown) {
    const { code, message, mend } = asBranchboxError(thrown);
    say(`${code}: ${message.split('\n')[0] ?? ''} (${mend ?? ''})`);
  }
}

if (what === 'make') {
  const key = await keys.make();
  await writeFile(`${path}/key.pem`, key.pem.reveal());
  const names = { commonName: 'branch1', serialNumber: 'SN-1' };
  await writeFile(
    `${path}/request.pem`,
    toPemBlock('CERTIFICATE REQUEST', await createRequestBy(key, names)),
  );
  say(JSON.stringify({ holder: key.holder, ...keys.readiness() }));
}
if (what === 'prove') {
  await attempt(async () => {
    await keys.prove(keys.open(await pemAt(path)));
    return 'usable';
  });
}
if (what === 'contexts') {
  const key = (await pemAt(path)).reveal();
  await attempt(async () => {
    // Each with other options, as no context before it.
    for (let count = 0; count < Number(more[0]); count += 1) {
      use.context({ key, sessionIdContext: `${count}` });
      use.sign(new Secret(key), Buffer.from('something'));
    }
    return 'all of them';
  });
}
if (what === 'connect') {
  const [certificate = '', anchor = '', ...ports] = more;
  const identity = { key: await pemAt(path), certificatePem: await readFile(certificate, 'utf8') };
  const anchorsPem = await readFile(anchor, 'utf8');
  const dialer = createUplinkDialer({ leases: () => [], log: system.log });
  const plain = createHttps({ connect: connectByUplink(dialer, use), nowMs: Date.now });
  const https = tellingKeyLoss(plain, keys, { tls: identity });
  for (const port of ports) {
    if (port === '-') {
      await untilTold();
      continue;
    }
    await attempt(async () => {
      const exchange: Exchange = {
        server: { host: '127.0.0.1', port: Number(port) },
        uplink: { ifname: 'lo', address: '127.0.0.1', dns: [], bootstrapServers: [] },
        identity,
        peer: { anchorsPem, judge: async () => {} },
        method: 'GET',
        path: '/',
        accept: 'text/html',
        maxBytes: 100_000,
      };
      const { status, body } = await https(exchange, AbortSignal.timeout(30_000));
      return `${status} over ${/^\s*Protocol *: (\S+)/m.exec(Buffer.from(body).toString())?.[1] ?? 'nothing'}`;
    });
  }
  say('done');
}
