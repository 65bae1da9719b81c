/** Bootstrap as a whole: each gateway of the lab came from a factory identity alone, and a killed one goes on. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { labInfo } from './fleet.ts';
import { inNode, jsonIn, lab, pidOf, tryIn, until } from './lab.ts';

interface BootstrapStatus {
  readonly state: string;
  readonly gatewayId?: string;
  readonly history: readonly { readonly state: string }[];
}
const bootstrapOf = (node: string) =>
  jsonIn<BootstrapStatus>(node, 'branchbox', 'bootstrap', 'status', '--json');

describe('bootstrap from nothing but a factory identity', () => {
  it.each(['hub', 'branch1', 'branch2'])('%s went through every state in order', async (node) => {
    const status = await bootstrapOf(node);
    expect(status.state).toBe('OPERATIONAL');
    expect(status.gatewayId).toBe(node);
    const wanted = [
      'FACTORY',
      'LINK',
      'ADDR',
      'CLOCK_FLOOR',
      'DISCOVER',
      'PROVISIONAL',
      'OWNED',
      'ENROLLING',
      'LDEVID',
      'STRICT',
      'OPERATIONAL',
    ];
    const seen = status.history.map((entry) => entry.state);
    expect(wanted.filter((state) => !seen.includes(state))).toEqual([]);
    const positions = wanted.map((state) => seen.lastIndexOf(state));
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  it('gave the box a certificate of its own, for a key that it made, under the pinned domain', async () => {
    const info = await labInfo();
    const domain = new X509Certificate(readFileSync(info.anchors.domain));
    const certificate = new X509Certificate(
      await inNode('branch1', 'cat', '/var/lib/branchbox/identity/ldevid.crt'),
    );
    expect(certificate.subject).toContain('CN=branch1');
    expect(certificate.checkIssued(domain) || certificate.issuer === domain.subject).toBe(true);
    const factory = new X509Certificate(await inNode('branch1', 'cat', '/etc/branchbox/factory/idevid.crt'));
    expect(certificate.publicKey.export({ type: 'spki', format: 'pem' })).not.toBe(
      factory.publicKey.export({ type: 'spki', format: 'pem' }),
    );
    const mode = await inNode('branch1', 'stat', '-c', '%a', '/var/lib/branchbox/identity/ldevid.key');
    expect(mode.trim()).toBe('600');
  });

  it('learnt the bootstrap server from DHCP option 143', async () => {
    const lease = await inNode('branch1', 'sh', '-c', 'cat /run/branchbox/leases/wan1.env');
    expect(lease).toContain('https://controller.branchbox.example:8443');
  });

  it('goes on after a kill in mid-bootstrap', async () => {
    await lab('restart', 'branch2', '--factory');
    const states = new Set<string>();
    // Kill it each time it has reached a state it was not killed in before, until it is through.
    await until(
      'branch2 is operational again in spite of the kills',
      async () => {
        const ended = await tryIn('branch2', ['branchbox', 'bootstrap', 'status', '--json']);
        if (ended.exitCode !== 0) return false;
        const { state } = JSON.parse(ended.stdout) as BootstrapStatus;
        if (state === 'OPERATIONAL') return true;
        if (!states.has(state)) {
          states.add(state);
          const pid = await pidOf('branch2', 'branchbox-identity.service');
          if (pid > 0) await tryIn('branch2', ['kill', '-9', String(pid)]);
        }
        return false;
      },
      120_000,
    );
    expect(states.size).toBeGreaterThan(0);
    await until(
      'red reaches branch2 again',
      async () => (await tryIn('branch1-red', ['ping', '-c', '1', '-W', '1', '10.10.0.12'])).exitCode === 0,
    );
  });
});
