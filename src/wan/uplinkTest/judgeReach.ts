/**
 * Owns the verdict on the way to the controller: who answered there, or why nobody did. Pure.
 */
import type { CheckResult } from '../../model/uplinkReport.ts';
import { ms, result } from './checkWords.ts';
import type { Reach } from './findings.ts';

export function judgeReach(reach: Reach | undefined): CheckResult {
  if (reach === undefined) return result('controller', 'unknown', 'The way to the controller was not tried.');
  switch (reach.kind) {
    case 'no-target':
      return result(
        'controller',
        'unknown',
        'No bootstrap server is known yet, so there is nobody to reach.',
        'check DHCP option 143 or the built-in list',
      );
    case 'no-name':
      return result('controller', 'fail', `${reach.host} has no address on this uplink.`, 'see dns');
    case 'portal':
      return result(
        'controller',
        'fail',
        `A captive portal answers in the place of ${reach.host}: ${reach.where}.`,
        'sign in at that portal by a laptop on this line, or ask whoever runs the network to let the box through',
      );
    case 'impostor':
      return result(
        'controller',
        'fail',
        `Somebody else answers HTTPS in the place of ${reach.host}, with a certificate of ${reach.certificate} (${reach.why}).`,
        "have TLS inspection switched off for the box; a captive portal does this too; where the certificate is expired or not yet valid, see to the controller's, and the time here and there",
      );
    case 'stalled':
      return result(
        'controller',
        'fail',
        `${reach.host} takes the connection, and then nothing more comes: most likely packets of full size are lost on the way.`,
        "ask the provider for the line's MTU; have the modem or router before the box clamp TCP's MSS to it",
      );
    case 'silent':
      return result(
        'controller',
        'fail',
        `${reach.host} cannot be reached: ${reach.why}.`,
        'check that the line works with a laptop, and that a firewall before the box lets HTTPS out',
      );
    case 'answers':
    case 'proven':
      return result(
        'controller',
        'pass',
        `${reach.host}:${reach.port} ${reach.kind === 'proven' ? 'answers and is the controller' : 'answers; who it is can be told once the box has an owner'} (connected in ${ms(reach.connectMs)}, TLS in ${ms(reach.handshakeMs)}).`,
      );
  }
}
