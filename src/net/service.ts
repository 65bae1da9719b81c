/**
 * Owns units that items ask for: instances of templates, the installer's page, and SSH. wireguard-go's are not among them:
 * they are part of a link.
 * The init system's state is the mark: what fits one of these patterns runs for us, or not at all.
 */
import { SSH_UNIT } from '../model/ssh.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { service } from './itemIds.ts';
import type { ServiceItem } from './items.ts';
import { eachAtOnce } from './outcome.ts';

/** All in one call at every observation: a template stands here when something renders it. */
const TEMPLATES = ['dhcpcd@*', 'dhcpcd6@*', 'pppoe@*', 'branchbox-installer-*', SSH_UNIT] as const;

export function createServiceDriver({ services }: Pick<System, 'services'>): Driver<ServiceItem> {
  const start = (items: readonly ServiceItem[]) =>
    eachAtOnce(items, ({ spec }) => services.start([spec.unit]));
  return {
    async observe() {
      const found = await services.list(...TEMPLATES);
      // One that failed counts as missing: starting it again is what mends it.
      return found.flatMap(({ unit, active }) => (active ? [service({ unit })] : []));
    },
    create: start,
    modify: (changes) => start(changes.map((change) => change.to)),
    delete: (items) => eachAtOnce(items, ({ spec }) => services.stop([spec.unit])),
    needsRecreate: () => true,
  };
}
