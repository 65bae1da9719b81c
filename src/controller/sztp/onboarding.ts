/**
 * Owns what a box is told to become, as RFC 8572 has it: the same from the bootstrap server and on a medium. Pure.
 * Does not own signing it.
 */
import type { MediumConfiguration } from '../../model/medium.ts';
import type { OnboardingInformation } from '../../model/sztp.ts';

export function onboardingOf(configuration: MediumConfiguration): OnboardingInformation {
  return {
    'ietf-sztp-conveyed-info:onboarding-information': {
      'configuration-handling': 'replace',
      configuration: Buffer.from(JSON.stringify(configuration)).toString('base64'),
    },
  };
}
