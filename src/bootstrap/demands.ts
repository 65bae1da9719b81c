/**
 * Owns what onboarding information asks of a box beside its configuration (RFC 8572 2.2: boot image, scripts), and what
 * a box does of that: run the image that it runs. Pure. Does not own the configuration (conveyedInformation.ts) nor updates.
 *
 * What is asked for and not done is refused and never passed over: whoever asked would count on it.
 */
import { BranchboxError } from '../model/errors.ts';
import { asciiOf } from '../model/foreignText.ts';
import type { OnboardingInformation, ProgressType } from '../model/sztp.ts';

/** What runs here, as get-bootstrapping-data tells it. */
export interface RunningOs {
  readonly name: string;
  readonly version: string;
}

export interface Unmet {
  /** In the order of sending; the last one ends it (RFC 8572 5.6). */
  readonly progress: readonly ProgressType[];
  readonly why: BranchboxError;
}

type Information = OnboardingInformation['ietf-sztp-conveyed-info:onboarding-information'];

/** Of a name that an owner wrote. */
const MAX_SHOWN = 64;

/** The first in the order in which RFC 8572 5.6 has them done; undefined where the box is as it is asked to be. */
export function unmetBy(information: Information, os: RunningOs): Unmet | undefined {
  const image = unmetImage(information['boot-image'], os);
  if (image !== undefined) return { progress: ['boot-image-mismatch', 'boot-image-error'], why: image };
  if ((information['pre-configuration-script'] ?? '') !== '')
    return { progress: ['pre-script-error'], why: scriptIn('pre-configuration-script') };
  if ((information['post-configuration-script'] ?? '') !== '')
    return { progress: ['post-script-error'], why: scriptIn('post-configuration-script') };
  return undefined;
}

/** A criterion that is not named is met by whatever runs. */
function unmetImage(image: Information['boot-image'], os: RunningOs): BranchboxError | undefined {
  if (image === undefined) return undefined;
  const { 'os-name': name, 'os-version': version } = image;
  if (name === undefined && version === undefined) {
    const isEmpty =
      (image['download-uri'] ?? []).length === 0 && (image['image-verification'] ?? []).length === 0;
    return isEmpty
      ? undefined
      : new BranchboxError('pki/mismatch', {
          message:
            'The onboarding information asks for a boot image and names neither os-name nor os-version of it',
          mend: 'have the owner name them: a box cannot tell by a file’s address or hash what it runs',
        });
  }
  if ((name ?? os.name) === os.name && (version ?? os.version) === os.version) return undefined;
  const wanted = `${asciiOf(name ?? os.name, MAX_SHOWN)} ${asciiOf(version ?? os.version, MAX_SHOWN)}`;
  return new BranchboxError('pki/mismatch', {
    message: `The onboarding information asks for the boot image ${wanted}, and this box runs ${os.name} ${os.version}`,
    mend: 'have the owner leave boot-image out and update the box once it is in service, or install that version first',
  });
}

const scriptIn = (leaf: string): BranchboxError =>
  new BranchboxError('pki/mismatch', {
    message: `The onboarding information brings a ${leaf}, and a box runs no code but its image's`,
    mend: `have the owner leave ${leaf} out`,
  });
