/**
 * Owns offering the box a version that is broken on purpose, and following it until the box has given it up.
 * Does not own what it says of it then.
 */
import type { Variant } from '../../../image/staging.ts';
import type { ToldFirmware } from '../../../src/model/firmware.ts';
import { BOX, type Booted, followTo, want } from './box.ts';
import { forget, makeVersion, upload } from './versions.ts';

/** `from`: what the box runs, and comes back to. */
export async function offerBroken(
  from: Pick<Booted, 'version'>,
  broken: { readonly version: string; readonly variant: Variant },
): Promise<ToldFirmware> {
  await want(undefined);
  await forget(broken.version);
  await upload(await makeVersion(broken.version, broken.variant));
  await want({ version: broken.version });
  return followTo(
    `${BOX} gives ${broken.version} up`,
    ({ version, state }) => version === from.version && state === 'rolled-back',
    ({ version, state }) => version === broken.version || state === 'refused',
  );
}
