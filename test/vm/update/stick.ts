/**
 * Owns a firmware version on a USB stick, for tests, and a stick that is mounted by hand. Does not own the stick
 * (usbStick.ts) nor the version (versions.ts).
 */
import { inNode, until } from '../../lab/mainjob/lab.ts';
import { plugStickIn, type Stick } from '../usbStick.ts';
import { BOX } from './box.ts';
import { PART_FILES } from './versions.ts';

/** A version's parts are in `folder`, where a box looks for them by itself or does not. */
export const plugVersionIn = (
  from: string,
  version: string,
  folder: 'branchbox/update' | 'elsewhere',
): Promise<Stick> =>
  plugStickIn(
    from,
    folder,
    PART_FILES.map((end) => `branchbox-${version}.${end}`),
  );

/** By hand, as somebody with a shell would. Returns the place. */
export async function mountStick({ name }: Stick): Promise<string> {
  const directory = '/mnt';
  await until('the stick is mounted', async () => {
    await inNode(BOX, 'mount', '-o', 'ro', `/dev/${name}`, directory);
    return true;
  });
  return directory;
}
