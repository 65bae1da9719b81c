/**
 * Owns signed desired states for tests of the agent.
 */
import type { DesiredState } from '../../../src/model/desired.ts';
import { signJws } from '../../../src/pki/jws.ts';
import { BARE_BRANCH } from '../model/bareBranch.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';

export const GATEWAY = 'branch1';
const ca = makeCa('Domain CA');
export const ANCHORS = [ca.certificate];
const signer = issue(ca, { kind: 'configuration-signing', commonName: 'signer' });
const ldevid = issue(ca, { kind: 'ldevid', gatewayId: GATEWAY });
const stranger = issue(makeCa('Other CA'), { kind: 'configuration-signing', commonName: 'signer' });

export function desired(generation: number, change: Partial<DesiredState> = {}): DesiredState {
  return {
    schema: 1,
    gatewayId: GATEWAY,
    epoch: 1,
    generation,
    notBefore: NOW_MS - 1000,
    spec: BARE_BRANCH,
    ...change,
  };
}

const SIGNERS = { signer, ldevid, stranger } as const;

export function signed(state: unknown, by: keyof typeof SIGNERS = 'signer'): string {
  return signJws(new TextEncoder().encode(JSON.stringify(state)), SIGNERS[by]);
}
