/**
 * Owns an owner of bootstrap's tests who says that it has revocation lists: its record, and the lists that its server hands out.
 * Does not own what a box makes of them.
 */
import { signConveyed } from '../../../src/pki/conveyed.ts';
import { REVOCATION_LISTS_PATH } from '../../../src/model/deviceApi.ts';
import type { Owner } from '../../../src/model/bootstrap.ts';
import { createRevocationList } from '../../../src/pki/crl.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import { type Authorities, DAY_MS, NOW_MS, ownerRecord } from './authorities.ts';
import { onboarding, type Reply, type TestController } from './servers.ts';

export interface Listed {
  readonly by: Credential;
  readonly number?: number;
  readonly thisUpdateMs?: number;
  readonly lifeMs?: number;
  readonly revoked?: readonly string[];
}

/** PEM. */
export function listPem(listed: Listed): string {
  const { by: issuer, number = 1, thisUpdateMs = NOW_MS, lifeMs = 10 * DAY_MS, revoked = [] } = listed;
  return createRevocationList({
    issuer,
    number,
    thisUpdateMs,
    nextUpdateMs: thisUpdateMs + lifeMs,
    revoked: revoked.map((one) => ({ number: one, revokedAtMs: NOW_MS, reason: 'keyCompromise' as const })),
  }).pem;
}

export const asLists = (...pems: readonly string[]): Reply => ({
  headers: { 'content-type': 'application/x-pem-file' },
  body: pems.join(''),
});

export const ownerWithLists = (authorities: Authorities, port: number): Owner => ({
  ...ownerRecord(authorities, port),
  revocationListsPath: REVOCATION_LISTS_PATH,
});

/** From now on: boxes are told of an owner who has lists, and its server hands out one that names nobody. */
export function withLists(authorities: Authorities, controller: TestController): void {
  const { behaviour } = controller;
  const before = behaviour.artefacts;
  behaviour.artefacts = (nonce) => ({
    ...before(nonce),
    conveyed: signConveyed({
      content: onboarding(ownerWithLists(authorities, controller.port)),
      format: 'json',
      owner: authorities.ownerSigner,
    }),
  });
  behaviour.revocationLists = () => asLists(listPem({ by: authorities.domain }));
}
