/** What the SSH server is told, what is known of it, and the socket of who may look: on real files and sockets. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accountIdOf } from '../../../src/agent/accounts.ts';
import { serveLookSocket } from '../../../src/agent/lookSocket.ts';
import { holdAuthorizedKeys, renderAuthorizedKeys } from '../../../src/agent/sshKeys.ts';
import { fingerprintOf, readSshServer } from '../../../src/agent/sshServer.ts';
import type { SshAccess } from '../../../src/model/ssh.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { ECDSA_P256, ED25519 } from '../model/sshKeys.ts';
import { silentLog as LOG } from '../../fakes/silentLog.ts';
const ssh: SshAccess = { keys: [ED25519, ECDSA_P256], from: ['203.0.113.0/24', '2001:db8::/48'] };
const files = createFiles();
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-ssh-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('whom the server lets in', () => {
  let stopped: string[];
  const path = () => join(directory, 'ssh/authorized_keys');
  const hold = (access: SshAccess | undefined) =>
    holdAuthorizedKeys(
      {
        files,
        services: {
          // Before the file is another: what is started in between reads what it is started for, or is stopped.
          stop: async (units) => void stopped.push(...units, await readFile(path(), 'utf8')),
        },
      },
      path(),
      access,
    );
  beforeEach(() => {
    stopped = [];
  });

  it('is each key by itself, from the sources alone, with a terminal and nothing else', () => {
    const options = 'restrict,pty,from="203.0.113.0/24,2001:db8::/48"';
    expect(renderAuthorizedKeys(ssh)).toBe(`${options} ${ED25519}\n${options} ${ECDSA_P256}\n`);
  });

  it('is a file that its account can read and not write', async () => {
    await hold(ssh);
    expect((await stat(path())).mode & 0o777).toBe(0o644);
    expect(await readFile(path(), 'utf8')).toBe(renderAuthorizedKeys(ssh));
    await hold(ssh);
    expect(stopped).toEqual([]);
  });

  it.each([
    ['another key', { ...ssh, keys: [ED25519] }],
    ['another source', { ...ssh, from: ['203.0.113.0/25'] }],
    ['nobody', undefined],
  ])('ends the sessions when it becomes %s', async (_, next) => {
    await hold(ssh);
    await hold(next);
    expect(stopped).toEqual(['branchbox-ssh.service', renderAuthorizedKeys(ssh)]);
    expect(await files.readText(path())).toBe(next === undefined ? undefined : renderAuthorizedKeys(next));
  });
});

describe('the server', () => {
  it('leaves its sessions no room on the disk, and others the processor', async () => {
    const unit = join(import.meta.dirname, '../../../firmware/units/branchbox-ssh.service');
    const lines = (await readFile(unit, 'utf8')).split('\n');
    expect(lines).toEqual(expect.arrayContaining(['ProtectSystem=strict', 'PrivateTmp=disconnected']));
    expect(lines).toContain('CPUWeight=20');
  });

  const read = () => readSshServer(files, join(directory, 'host.pub'), join(directory, 'sshd'));

  it('is no fact where it is not installed', async () => {
    await writeFile(join(directory, 'host.pub'), ED25519);
    expect(await read()).toBeUndefined();
  });

  it('is known by its host key once there is one', async () => {
    await writeFile(join(directory, 'sshd'), '');
    expect(await read()).toEqual({});
    await writeFile(join(directory, 'host.pub'), 'cut off by a power c');
    expect(await read()).toEqual({});
    await writeFile(join(directory, 'host.pub'), `${ED25519}\n`);
    expect(await read()).toEqual({ hostKey: fingerprintOf(ED25519) });
  });

  it('is called as ssh-keygen -l calls it', () =>
    expect(fingerprintOf(ED25519)).toBe('SHA256:eWfUZieZYCdD9KyStsrI2YCQwVG3LlzyH0F44Rot9w0'));
});

describe('who may look', () => {
  const ask = (socketPath: string, method: string, path = '/status'): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ socketPath, path, method }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });

  it('is the group of the account, by number', () => {
    const groups = 'root:x:0:\nbranchbox:x:1:\nbranchbox-look:x:993:';
    expect(accountIdOf(groups, 'branchbox-look')).toBe(993);
    for (const other of ['', 'root:x:0:', 'branchbox-look', 'branchbox-look:x:', 'branchbox-look:x:-1:'])
      expect(accountIdOf(other, 'branchbox-look'), other).toBeUndefined();
  });

  it('reads, and asks for nothing', async () => {
    const groups = join(directory, 'group');
    await writeFile(groups, 'branchbox-look:x:993:\n');
    const socket = join(directory, 'look/agent.sock');
    const ended = new AbortController();
    const readOuts = { '/status': () => Promise.resolve({}) };
    await serveLookSocket({ socket, readOuts, files, groups, log: LOG }, ended.signal);
    try {
      const { mode, uid, gid } = await stat(socket);
      expect([mode & 0o777, uid, gid]).toEqual([0o660, 0, 993]);
      expect([await ask(socket, 'GET'), await ask(socket, 'POST')]).toEqual([200, 404]);
    } finally {
      ended.abort();
    }
  });

  it('is answered one after the other, however many ask at once', async () => {
    const groups = join(directory, 'group');
    await writeFile(groups, 'branchbox-look:x:993:\n');
    const socket = join(directory, 'look/agent.sock');
    const ended = new AbortController();
    const begun: string[] = [];
    const endings: (() => void)[] = [];
    const slow = (name: string) => () =>
      new Promise<void>((resolve) => {
        begun.push(name);
        endings.push(resolve);
      });
    const readOuts = { '/status': slow('status'), '/plan': slow('plan') };
    await serveLookSocket({ socket, readOuts, files, groups, log: LOG }, ended.signal);
    try {
      const first = ask(socket, 'GET');
      await expect.poll(() => begun).toEqual(['status']);
      const second = ask(socket, 'GET', '/plan');
      const third = ask(socket, 'GET', '/none');
      expect(await third).toBe(404);
      expect(begun).toEqual(['status']);
      endings[0]?.();
      expect(await first).toBe(200);
      await expect.poll(() => begun).toEqual(['status', 'plan']);
      endings[1]?.();
      expect(await second).toBe(200);
    } finally {
      ended.abort();
    }
  });

  it('is nobody where there is no such account', async () => {
    const socket = join(directory, 'look/agent.sock');
    const parts = { socket, readOuts: {}, files, groups: join(directory, 'none'), log: LOG };
    await serveLookSocket(parts, new AbortController().signal);
    await expect(stat(socket)).rejects.toThrow('ENOENT');
  });
});
