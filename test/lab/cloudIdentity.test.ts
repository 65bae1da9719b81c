/**
 * An instance's user data becomes its factory identity, and its bootstrap medium where it holds one: from a disk, from a
 * metadata service, and not otherwise.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const WHOLE = ['idevid.key', 'idevid.crt', 'voucher-anchor.pem', 'serial'];
const SCRIPT = join(import.meta.dirname, '../../firmware/cloud-identity');
const sh = (script: string, env: Record<string, string>): string =>
  execFileSync('sh', ['-euc', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();

/** IMDSv2 as EC2 has it: user data only for who asked for a token first. Without any it takes connections and says nothing. */
const METADATA_SERVICE = `
const { createServer } = require('node:http');
createServer((request, response) => {
  if (process.env.USER_DATA === '') return;
  const isToken = request.method === 'PUT' && request.url === '/latest/api/token';
  const isData = request.url === '/latest/user-data' && request.headers['x-aws-ec2-metadata-token'] === 'secret==';
  response.statusCode = isToken || isData ? 200 : 401;
  response.end(isToken ? 'secret==' : isData ? process.env.USER_DATA : '');
}).listen(80, '169.254.169.254', () => console.log('ready'));
`;

describe('an instance’s identity', () => {
  let directory: string;
  let target: string;
  let service: ChildProcess | undefined;
  const instance = `bbt-ci-${process.pid}`;
  const cloud = `${instance}-cloud`;
  const env = (): Record<string, string> => ({
    SCRIPT,
    TARGET: target,
    DIR: directory,
    INSTANCE: instance,
    CLOUD: cloud,
    BRANCHBOX_MODELS: join(SCRIPT, '../models'),
  });

  /** In the instance's network, with a /run and a /dev of its own; `before` prepares both. */
  const run = (before: string): string =>
    sh(
      `ip netns exec $INSTANCE unshare --mount --propagation private sh -euc '
        mount -t tmpfs run /run; mount -t tmpfs dev /dev
        mknod -m 666 /dev/null c 1 3; mknod /dev/urandom c 1 9; mknod /dev/loop-control c 10 237
        ${before}
        sh $SCRIPT $TARGET'`,
      env(),
    );
  const userData = (names: readonly string[] = WHOLE, serial = 'content of serial'): string => {
    const files = join(directory, 'files');
    mkdirSync(files, { recursive: true });
    for (const name of names) {
      writeFileSync(join(files, name), `${name === 'serial' ? serial : `content of ${name}`}\n`);
    }
    return `#branchbox-factory\n${sh('tar -cz -C $FILES .| base64', { FILES: files })}`;
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-ci-'));
    target = join(directory, 'etc/branchbox/factory');
    mkdirSync(target, { recursive: true });
    sh(
      `ip netns add $INSTANCE; ip netns add $CLOUD
       ip -n $INSTANCE link add wan0 type veth peer name c0 netns $CLOUD
       ip -n $CLOUD address add 169.254.169.254/16 dev c0; ip -n $CLOUD link set c0 up; ip -n $CLOUD link set lo up
       ip -n $CLOUD address add 10.9.0.1/24 dev c0
       ip -n $INSTANCE address add 10.9.0.7/24 dev wan0; ip -n $INSTANCE link set wan0 up`,
      env(),
    );
  });
  afterEach(() => {
    service?.kill();
    service = undefined;
    sh('ip netns del $INSTANCE; ip netns del $CLOUD', env());
    rmSync(directory, { recursive: true });
  });

  const serve = async (data: string): Promise<void> => {
    const child = spawn('ip', ['netns', 'exec', cloud, process.execPath, '-e', METADATA_SERVICE], {
      env: { ...process.env, USER_DATA: data },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    service = child;
    await new Promise((resolve) => child.stdout.once('data', resolve));
  };
  const LEASE = 'mkdir -p /run/branchbox/leases; echo new_routers=10.9.0.1 >/run/branchbox/leases/wan0.env';

  it('is taken from the metadata service, which is asked over the port with the lease, and leaves no route', async () => {
    await serve(userData());
    expect(run(LEASE)).toContain('from the metadata service, by wan0');
    expect(readFileSync(join(target, 'serial'), 'utf8')).toBe('content of serial\n');
    expect(statSync(join(target, 'idevid.key')).mode & 0o777).toBe(0o600);
    expect(sh('ip -n $INSTANCE route', env())).not.toContain('169.254.169.254');
  });

  it('brings along the signed artefacts of a bootstrap medium, for its own serial alone', async () => {
    const media = ['conveyed-information.cms', 'owner-certificate.cms', 'ownership-voucher.vcj'];
    for (const serial of ['SN-cloud', 'SN-other']) {
      const at = join(directory, 'files/branchbox/bootstrap', serial);
      mkdirSync(at, { recursive: true });
      for (const name of media) writeFileSync(join(at, name), `${name} of ${serial}`);
      writeFileSync(join(at, 'label.svg'), 'for people');
    }
    // As a form of a web page sends lines, off a file of an editor that puts a mark before UTF-8.
    const data = `\uFEFF${userData(WHOLE, 'SN-cloud').replaceAll('\n', '\r\n')}`;
    await serve(data);
    run(LEASE);
    const read = join(directory, 'run/branchbox/media/user_data_medium');
    expect(readdirSync(read).toSorted()).toEqual(media);
    for (const name of media) expect(readFileSync(join(read, name), 'utf8')).toBe(`${name} of SN-cloud`);
  });

  it('is taken from a disk labelled for it, before any network is asked', () => {
    const medium = join(directory, 'medium');
    mkdirSync(medium);
    writeFileSync(join(medium, 'user-data'), userData());
    const disk = join(directory, 'disk');
    // ext4: not every kernel that tests run on knows FAT or ISO 9660.
    sh('truncate -s 8M $DISK; mkfs.ext4 -q -L cidata -d $MEDIUM $DISK', { DISK: disk, MEDIUM: medium });
    const loop = sh('losetup --find --show $DISK', { DISK: disk }).trim();
    try {
      const output = run(`mknod ${loop} b $(tr : " " </sys/block/${loop.slice(5)}/dev)`);
      expect(output).toContain(`from ${loop}, user-data`);
    } finally {
      sh(`losetup --detach ${loop}`, {});
    }
    expect(existsSync(join(target, 'serial'))).toBe(true);
  });

  it.each([
    ['meant for somebody else', '#cloud-config\npackages: []\n'],
    ['too large', `#branchbox-factory\n${'A'.repeat(70_000)}`],
  ])('is not made of user data that is %s', async (_what, data) => {
    await serve(data);
    expect(run(LEASE)).toContain('no user data of ours');
    expect(existsSync(join(target, 'serial'))).toBe(false);
  });

  it('is given up where a service takes connections and says nothing, long before the unit’s time is over', async () => {
    await serve('');
    expect(run(LEASE).trim().split('\n')).toEqual([
      'cloud-identity: the metadata service takes the connection and says nothing',
      'cloud-identity: no user data of ours',
    ]);
    expect(sh('ip -n $INSTANCE route', env())).not.toContain('169.254.169.254');
  });

  it('is not made of half an identity, nor of names that are none of its files', async () => {
    await serve(userData(['serial', 'authorized_keys']));
    expect(() => run(LEASE)).toThrow(/lacks idevid\.key|Command failed/);
    expect(existsSync(join(target, 'serial'))).toBe(false);
    expect(existsSync(join(target, 'authorized_keys'))).toBe(false);
  });
});
