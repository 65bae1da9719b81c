/**
 * SSH of a box from end to end but for the controller: the real agent holds to a committed state under a real systemd,
 * starts the unit in its sandbox, and real clients at the far end of its uplink come in, or do not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DesiredState } from '../../src/model/desired.ts';
import { Explanation, LocalStatus } from '../../src/model/localStatus.ts';
import { SSH_UNIT, SSH_USER, type SshAccess } from '../../src/model/ssh.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { appSpec } from './appSpec.ts';
import { type SystemdNode, startSystemdNode } from './systemdNode.ts';

const WAIT = { timeout: 90_000, interval: 250 };
const BOX = '203.0.113.2';
const OPERATOR = '203.0.113.17';
const STRANGER = '203.0.113.33';
const FROM = ['203.0.113.16/28', '2001:db8::10/124'];
const AUTHORIZED_KEYS = '/run/branchbox/ssh/authorized_keys';
const HOST_KEY = '/var/lib/branchbox/ssh/host_ed25519';

describe('SSH of a box', () => {
  const runner = createRunner();
  let node: SystemdNode;
  let far: string;
  let generation = 0;

  /** Of the client: a file that `ssh-keygen` made in the node's root, which clients use as theirs. */
  const publicKey = (name: string): string => readFileSync(`${node.root}/client/${name}.pub`, 'utf8').trim();
  const atFarEnd = (...words: string[]): string[] => [
    `--net=/run/netns/${far}`,
    'chroot',
    node.root,
    ...words,
  ];
  const sshWords = (who: string, { from = OPERATOR, options = [] as string[], user = SSH_USER } = {}) =>
    atFarEnd(
      'ssh',
      '-F',
      'none',
      '-b',
      from,
      '-i',
      `/client/${who}`,
      ...[
        'IdentitiesOnly=yes',
        'BatchMode=yes',
        'UserKnownHostsFile=/client/known',
        'StrictHostKeyChecking=accept-new',
        'ConnectTimeout=5',
      ].flatMap((option) => ['-o', option]),
      ...options,
      `${user}@${BOX}`,
    );
  const ssh = (who: string, command: readonly string[], how?: Parameters<typeof sshWords>[1]) =>
    runner.run('nsenter', [...sshWords(who, how), ...command], { timeoutMs: 60_000 });
  /** Nothing came back: neither a greeting nor a reset. */
  const hearsNothing = expect.objectContaining({
    exitCode: 255,
    stderr: expect.stringMatching(/Connection timed out/),
  });
  const listeners = async (): Promise<string> => (await node.checked('ss', '-Hltn', 'sport = :22')).trim();
  const state = (): Promise<string> => node.property(SSH_UNIT, 'ActiveState');
  const status = async (): Promise<LocalStatus> =>
    LocalStatus.parse(JSON.parse(await node.checked('branchbox', 'status', '--json')));
  const sources = () => node.checked('nft', 'list', 'set', 'inet', 'branchbox', 'ssh_sources');
  const isOpen = async (): Promise<boolean> =>
    (await status().catch(() => undefined))?.health.conditions.some(({ code }) => code === 'ssh-open') ===
    true;

  /** As after a commit or a roll-back: what the box holds to, from now on. Verified before it was written, so unsigned. */
  async function holdTo(access: SshAccess | undefined): Promise<void> {
    generation += 1;
    const addressing = { kind: 'static', address: `${BOX}/24`, gateway: '203.0.113.1', dns: [] } as const;
    const { uplinks, ...rest } = appSpec();
    const payload = DesiredState.parse({
      schema: 1,
      gatewayId: 'branch1',
      epoch: 1,
      generation,
      notBefore: 0,
      spec: {
        ...rest,
        apps: [],
        uplinks: uplinks.map((uplink) => ({ ...uplink, addressing })),
        ...(access === undefined ? {} : { ssh: access }),
      },
    });
    const jws = `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.e30`;
    const path = '/var/lib/branchbox/agent/committed.jws';
    await node.checked('sh', '-c', 'mkdir -p "${0%/*}" && printf %s "$1" >"$0"', path, jws);
    await node.checked('systemctl', 'restart', 'branchbox-agent.service');
    const held = async () => (await status().catch(() => undefined))?.committed?.generation;
    await expect.poll(held, WAIT).toBe(generation);
  }
  async function open(access: Partial<SshAccess> = {}): Promise<void> {
    await holdTo({ keys: [publicKey('ada')], from: FROM, ...access });
    // The last thing that opening does.
    await expect.poll(sources, WAIT).toContain('elements');
    await expect.poll(isOpen, WAIT).toBe(true);
  }
  /** A session that stays, until somebody ends it. */
  async function session(who: string): Promise<{ readonly ended: Promise<number | null> }> {
    const child: ChildProcess = spawn('nsenter', [...sshWords(who), 'echo in; exec sleep infinity'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      void ended.then((code) => reject(new Error(`no session: ${code}`)));
    });
    return { ended };
  }

  beforeAll(async () => {
    node = await startSystemdNode({ name: 'ssh', directories: {} });
    await node.checked(
      'sh',
      '-euc',
      // As the packages' own scripts do it, on an image or a machine.
      `systemd-sysusers openssh-server.conf
       useradd --system --user-group --home-dir / --no-create-home --shell /bin/bash --password '*' ${SSH_USER}
       usermod --append --groups systemd-journal ${SSH_USER}
       # Of Debian's, that the image does not have.
       mv /etc/ssh /etc/ssh.debian
       mkdir -m 700 /client
       for who in ada bob; do ssh-keygen -q -t ed25519 -N '' -C $who -f /client/$who; done`,
    );
    far = `${node.netns}-far`;
    const ip = (...words: string[]) => runner.runChecked('ip', words);
    await ip('netns', 'add', far);
    const pair = `link add name wan1 netns ${node.netns} type veth peer name far0 netns ${far}`;
    await ip(...pair.split(' '));
    for (const address of ['203.0.113.1', OPERATOR, STRANGER])
      await ip('-n', far, 'address', 'add', `${address}/24`, 'dev', 'far0');
    await ip('-n', far, 'link', 'set', 'dev', 'far0', 'up');
  });
  afterAll(async () => {
    await node.stop();
    await runner.run('ip', ['netns', 'delete', far]);
  });

  it('is closed unless the desired state opens it: no listener, no answer, no key', async () => {
    await holdTo(undefined);
    const pings = async () =>
      (await runner.run('nsenter', atFarEnd('ping', '-c1', '-W1', BOX))).exitCode === 0;
    await expect.poll(pings, WAIT).toBe(true);
    expect(await listeners()).toBe('');
    expect(await state()).toBe('inactive');
    // The firewall of a box that starts comes a moment after its address.
    await expect.poll(() => ssh('ada', ['true']), WAIT).toEqual(hearsNothing);
    expect((await status()).facts.ssh).toEqual({});
    expect((await node.run('ls', HOST_KEY)).exitCode).not.toBe(0);
  });

  it('opened, it lets a named key in from a named network, to look', async () => {
    await open();
    expect(await state()).toBe('active');
    const { exitCode, stdout, stderr } = await ssh('ada', ['branchbox', 'status', '--json']);
    expect([exitCode, stderr.replace(/^Warning: Permanently added .*\r?\n/, '')]).toEqual([0, '']);
    expect(LocalStatus.parse(JSON.parse(stdout)).gatewayId).toBe('branch1');
    for (const command of ['branchbox explain link:wan1', 'branchbox check', 'ip route', 'ss -ltn'])
      expect((await ssh('ada', [command])).exitCode, command).toBe(0);
    expect((await ssh('ada', ['journalctl -n1 --no-pager'])).stdout).not.toBe('');
    const tty = await ssh('ada', ['tty'], { options: ['-tt'] });
    expect(tty.stdout).toMatch(/^\/dev\/pts\/\d+/);
  });

  it('shows the host key that the box tells of, and keeps it', async () => {
    const known = await node.checked('ssh-keygen', '-lf', '/client/known');
    const { facts, health } = await status();
    expect(known.split(' ')[1]).toBe(facts.ssh?.hostKey);
    const condition = health.conditions.find(({ code }) => code === 'ssh-open');
    expect(condition?.sentence).toContain(facts.ssh?.hostKey);
    expect((await node.checked('stat', '-c', '%a %U', HOST_KEY)).trim()).toBe('600 root');
    await node.checked('systemctl', 'restart', SSH_UNIT);
    await expect.poll(async () => (await ssh('ada', ['true'])).exitCode, WAIT).toBe(0);
  });

  it('refuses another key, another account, and offers nothing but keys', async () => {
    const denied = { exitCode: 255, stderr: expect.stringContaining('Permission denied (publickey).') };
    expect(await ssh('bob', ['true'])).toMatchObject(denied);
    for (const user of ['root', 'sshd', 'nobody'])
      expect(await ssh('ada', ['true'], { user }), user).toMatchObject(denied);
    const asked = await ssh('bob', ['true'], {
      options: ['-v', '-o', 'PreferredAuthentications=password,keyboard-interactive'],
    });
    expect(asked.stderr.match(/Authentications that can continue: .*/g)).toEqual([
      expect.stringMatching(/: publickey\r?$/),
    ]);
  });

  it('answers nobody whose network is not named, not with a reset either', async () => {
    expect(await ssh('ada', ['true'], { from: STRANGER })).toEqual(hearsNothing);
  });

  it('holds a key to its networks where the firewall does not', async () => {
    const rule = ['inet', 'branchbox', 'ssh_sources', `{ ${STRANGER} }`];
    await node.checked('nft', 'add', 'element', ...rule);
    expect(await ssh('ada', ['true'], { from: STRANGER })).toMatchObject({
      stderr: expect.stringContaining('Permission denied (publickey).'),
    });
    await node.run('nft', 'delete', 'element', ...rule);
  });

  it('gives a session no right to change, to see secrets, or to go on from here', async () => {
    const refused = async (command: string): Promise<void> => {
      const { stdout } = await ssh('ada', [`{ ${command}; } >&2; echo "ended with $?"`]);
      expect(stdout.trim(), command).toMatch(/^ended with [1-9]/);
    };
    await refused('branchbox firmware update');
    await refused('branchbox test uplinks');
    await refused('ls /var/lib/branchbox/identity');
    await refused('ls /var/lib/branchbox/agent');
    await refused(`cat ${HOST_KEY}`);
    await refused('ls /run/branchbox/agent.sock');
    await refused('ls /run/systemd/private');
    await refused('touch /run/x');
    await refused('touch /var/lib/branchbox/x');
    await refused('ip link set wan1 down');
    await refused('nft list ruleset');
    await refused('systemctl status');
    await refused('unshare --user true');
    for (const to of ['203.0.113.1/4789', '127.0.0.1/53']) await refused(`echo x >/dev/udp/${to}`);
    expect((await ssh('ada', ['sftp'], { options: ['-s'] })).stderr).toContain('subsystem request failed');
    const forwarded = await ssh('ada', [], { options: ['-W', '127.0.0.1:22'] });
    expect(forwarded.stderr).toMatch(/administratively prohibited|open failed/);
    expect((await ssh('ada', ['cat /proc/self/status'])).stdout).toMatch(/^NoNewPrivs:\s1$/m);
  });

  it('ends the sessions of whoever is named no longer, and lets in who is', async () => {
    const { ended } = await session('ada');
    await open({ keys: [publicKey('bob')] });
    expect(await ended).toBe(255);
    await expect.poll(async () => (await ssh('bob', ['true'])).exitCode, WAIT).toBe(0);
    expect((await ssh('ada', ['true'])).stderr).toContain('Permission denied (publickey).');
  });

  it('goes on without the agent', async () => {
    await node.checked('systemctl', 'kill', '--signal=KILL', 'branchbox-agent.service');
    expect((await ssh('bob', ['true'])).exitCode).toBe(0);
  });

  it('closed again, it ends with its sessions and leaves its host key alone', async () => {
    const { ended } = await session('bob');
    const before = await node.checked('cat', `${HOST_KEY}.pub`);
    await holdTo(undefined);
    expect(await ended).toBe(255);
    await expect.poll(state, WAIT).toBe('inactive');
    expect(await listeners()).toBe('');
    await expect.poll(() => ssh('bob', ['true']), WAIT).toEqual(hearsNothing);
    expect((await node.run('ls', AUTHORIZED_KEYS)).exitCode).not.toBe(0);
    await expect.poll(sources, WAIT).not.toContain('elements');
    expect(await node.checked('cat', `${HOST_KEY}.pub`)).toBe(before);
    expect(await isOpen()).toBe(false);
  });

  it('takes the place of Debian’s own server before anybody is let in', async () => {
    // systemd's own way to SSH links itself into a new one at a start.
    await node.checked('rm', '-rf', '/etc/ssh');
    await node.checked('mv', '/etc/ssh.debian', '/etc/ssh');
    await node.checked('systemctl', 'start', 'ssh.service');
    expect(await listeners()).not.toBe('');
    await open();
    expect(await node.property('ssh.service', 'ActiveState')).toBe('inactive');
    expect((await ssh('ada', ['true'])).exitCode).toBe(0);
  });

  it('waits, in words, where no server is installed', async () => {
    await holdTo(undefined);
    await expect.poll(sources, WAIT).not.toContain('elements');
    await expect.poll(state, WAIT).toBe('inactive');
    await node.checked('mv', '/usr/sbin/sshd', '/usr/sbin/sshd.away');
    await holdTo({ keys: [publicKey('ada')], from: FROM });
    const explain = async () =>
      Explanation.parse(
        JSON.parse(await node.checked('branchbox', 'explain', '--json', `service:${SSH_UNIT}`)),
      );
    await expect.poll(async () => (await explain()).state, WAIT).toBe('blocked');
    expect((await explain()).sentence).toContain('This box has no SSH server (/usr/sbin/sshd)');
    expect(await isOpen()).toBe(false);
    expect(await ssh('ada', ['true'])).toEqual(hearsNothing);
  });
});
