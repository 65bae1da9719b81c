/** Rows of the fault table: orders to move that a box does not take. */
import type { BootstrapState } from '../../../../src/model/bootstrap.ts';
import { wrapConveyed, ownerCertificate } from '../../../../src/pki/conveyed.ts';
import { conveyedBy, createFaultBench } from '../faultBench.ts';
import { type NextOwner, orderOf, refusal, useNextOwner } from '../moving.ts';
import { onboarding, redirect } from '../servers.ts';
import { type FaultRow, faultTable } from './table.ts';

const bench = createFaultBench();
let next: NextOwner;
useNextOwner(bench, (made) => (next = made));
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const row = (
  fault: string,
  code: string,
  told: string,
  order: () => string,
  state?: BootstrapState,
): FaultRow => ({
  fault,
  must: 'refuse it, and stay where it is',
  outcome: `${code}, no move, OPERATIONAL of branch1`,
  told: `${code}: ${told}`,
  run: () => refusal(bench, order(), state),
});

const RESET = {
  order: 'factory-reset',
  serial: undefined,
  idevidSpkiSha256: undefined,
  generation: undefined,
  notAfterMs: undefined,
  withinS: undefined,
  domainAnchorPem: undefined,
  conveyedInformation: undefined,
  ownerCertificate: undefined,
};

faultTable('order to move', [
  row(
    'of a stranger',
    'pki/untrusted',
    'The certificate of "signer" is not trusted: no path leads from it to an anchor that must be used',
    () => orderOf(bench, next, {}, bench.authorities.stranger),
  ),
  row(
    'of the next owner itself',
    'pki/untrusted',
    'The certificate of "signer" is not trusted: no path leads from it to an anchor that must be used',
    () => orderOf(bench, next, {}, next.authorities.domain),
  ),
  row(
    'for another gateway',
    'pki/mismatch',
    'The order is not for this box ($.gatewayId is branch2, this box is branch1)',
    () => orderOf(bench, next, { gatewayId: 'branch2' }),
  ),
  row(
    'for another serial',
    'pki/mismatch',
    'The order is not for this box ($.serial is BBX-0002, this box is BBX-0001)',
    () => orderOf(bench, next, { serial: 'BBX-0002' }),
  ),
  row(
    'for another factory key under this serial',
    'pki/mismatch',
    'The order is not for this box ($.idevidSpkiSha256 is of another factory key)',
    () => orderOf(bench, next, { idevidSpkiSha256: '0'.repeat(64) }),
  ),
  row('that is too old', 'pki/expired', 'The order ended 2026-06-01T11:59:59.999Z', () =>
    orderOf(bench, next, { notAfterMs: bench.box.clock.nowMs() - 1 }),
  ),
  row('that is one to reset', 'pki/mismatch', 'The order is to factory-reset, not to move', () => {
    const { domain } = bench.authorities;
    return orderOf(bench, next, RESET, domain);
  }),
  row(
    'to an owner who signed nothing',
    'pki/malformed',
    'CMS content 1.2.840.113549.1.9.16.1.43 is not signed data',
    () => orderOf(bench, next, { conveyedInformation: base64(wrapConveyed(onboarding(next.owner), 'json')) }),
  ),
  row(
    'with the word of somebody else than it pins',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () =>
      orderOf(bench, next, {
        conveyedInformation: base64(conveyedBy(bench, onboarding(next.owner))),
        ownerCertificate: base64(ownerCertificate(bench.authorities.ownerSigner)),
      }),
  ),
  row(
    'to an owner who wants another boot image',
    'pki/mismatch',
    'The onboarding information asks for the boot image branchbox 9, and this box runs branchbox 0.0.0-test (have the owner leave boot-image out and update the box once it is in service, or install that version first)',
    () => {
      const content = onboarding(next.owner, { 'boot-image': { 'os-version': '9' } });
      return orderOf(bench, next, {
        conveyedInformation: base64(conveyedBy(bench, content, next.authorities.ownerSigner)),
      });
    },
  ),
  row(
    'with a redirect in the place of an owner',
    'pki/mismatch',
    'The order holds a redirect, not onboarding information',
    () =>
      orderOf(bench, next, {
        conveyedInformation: base64(
          conveyedBy(bench, redirect([{ address: '192.0.2.1', port: 443 }]), next.authorities.ownerSigner),
        ),
      }),
  ),
  row(
    'while the box renews',
    'bootstrap/move-refused',
    'the box is in RENEW, and moves from OPERATIONAL alone (order it again once that is over; it waits for a new certificate)',
    () => orderOf(bench, next),
    'RENEW',
  ),
  row(
    'while the box is quarantined',
    'bootstrap/move-refused',
    'the box is in QUARANTINED, and moves from OPERATIONAL alone (order it again once that is over; it waits for an operator, with the traffic of tenants off)',
    () => orderOf(bench, next),
    'QUARANTINED',
  ),
]);
