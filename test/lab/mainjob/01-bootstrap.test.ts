/** Bootstrap as a whole: each gateway of the lab came from a factory identity alone, and a killed one goes on. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { labInfo } from './fleet.ts';
import { inNode, jsonIn, lab, tryIn, until } from './lab.ts';
import { INTO_SERVICE } from '../../journeyStates.ts';

interface BootstrapStatus {
  readonly state: string;
  readonly gatewayId?: string;
  readonly history: readonly { readonly state: string }[];
}
/**
 * Runs on the box, since a state may last a tenth of a second: kills the identity process once in each state that the
 * journal shows, until the box is through, and says in which it was when it died. Between a look and a kill there is no
 * process to be started: on a busy machine the box would be a state further. It comes back by itself; later, where its
 * unit would wait for up to half a minute by then, by a word.
 */
const KILLER = `
last() {
  state=
  while IFS= read -r line; do
    case $line in *'"state": "'*) state=\${line##*'"state": "'}; state=\${state%%'"'*} ;; esac
  done 2>/dev/null </var/lib/branchbox/identity/journal.json
  :
}
killed=' ' old=0
while last; [ "$state" != OPERATIONAL ]; do
  pid=$(systemctl show -p MainPID --value branchbox-identity.service)
  if [ "\${pid:-0}" -le 0 ] || [ "$pid" = "$old" ]; then
    case $killed in ' '*' '*' '*' '*) systemctl start branchbox-identity.service ;; esac
    sleep 0.01
    continue
  fi
  while last; kill -0 "$pid" 2>/dev/null; do
    case $state in '') ;; OPERATIONAL) break ;; *) case $killed in *" $state "*) ;; *) break ;; esac ;; esac
    sleep 0.01
  done
  if [ "$state" = OPERATIONAL ] || ! kill -9 "$pid"; then continue; fi
  old=$pid
  last
  killed="$killed$state "
done
echo $killed`;
const bootstrapOf = (node: string) =>
  jsonIn<BootstrapStatus>(node, 'branchbox', 'bootstrap', 'status', '--json');

describe('bootstrap from nothing but a factory identity', () => {
  it.each(['hub', 'branch1', 'branch2'])('%s went through every state in order', async (node) => {
    const status = await bootstrapOf(node);
    expect(status.state).toBe('OPERATIONAL');
    expect(status.gatewayId).toBe(node);
    const seen = status.history.map((entry) => entry.state);
    expect(INTO_SERVICE.filter((state) => !seen.includes(state))).toEqual([]);
    const positions = INTO_SERVICE.map((state) => seen.lastIndexOf(state));
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

  it('goes on after a kill in every state that it stays in for a moment', async () => {
    await lab('restart', 'branch2', '--factory');
    const ended = await tryIn('branch2', ['timeout', '300', 'sh', '-c', KILLER]);
    expect(ended.exitCode, ended.stderr).toBe(0);
    const killedIn = ended.stdout.trim().split(' ');
    // One kill a state: on both sides of the certificate, whichever of them a machine is too fast for.
    expect(new Set(killedIn).size).toBe(killedIn.length);
    expect(killedIn.length).toBeGreaterThanOrEqual(4);
    expect(killedIn.some((state) => ['PROVISIONAL', 'OWNED', 'ENROLLING'].includes(state))).toBe(true);
    expect(killedIn.some((state) => ['LDEVID', 'STRICT', 'TRIAL'].includes(state))).toBe(true);
    expect((await bootstrapOf('branch2')).state).toBe('OPERATIONAL');
    await until(
      'red reaches branch2 again',
      async () => (await tryIn('branch1-red', ['ping', '-c', '1', '-W', '1', '10.10.0.12'])).exitCode === 0,
    );
  }, 480_000);
});
