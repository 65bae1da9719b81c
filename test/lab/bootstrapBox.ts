/**
 * Owns a process that is the identity process of a box, but for where its files are. Arguments: the directory. Its TPM,
 * where it has one, is told as branchbox.sh tells it.
 */
import { runIdentity } from '../../src/bootstrap/main.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';

const [directory = ''] = process.argv.slice(2);
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());
await runIdentity({
  system: createLinuxSystem({ name: 'identity' }),
  tpmTold: process.env['BRANCHBOX_TPM'],
  version: '0.0.0-test',
  builtAtMs: Date.UTC(2026, 0, 1),
  signal: ending.signal,
  paths: {
    factory: `${directory}/factory`,
    state: `${directory}/identity`,
    agent: `${directory}/agent`,
    socket: `${directory}/identity.sock`,
    installerSocket: `${directory}/installer/identity.sock`,
    portsSocket: `${directory}/installer/agent.sock`,
    resetMarks: [`${directory}/factory-reset`],
    hardwareClocks: `${directory}/rtc`,
    knownTime: `${directory}/run/known-time.json`,
  },
  leaseDirectory: `${directory}/leases`,
  leadsNowhereDirectory: `${directory}/leads-nowhere`,
  mediaDirectory: `${directory}/root/run/branchbox/media`,
});
