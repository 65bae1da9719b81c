/**
 * Owns speaking to the init system by `systemctl`: systemd on the box, the lab's supervisor in a node.
 * Does not own which units run.
 */
import type { Runner, ServiceState, Services } from '../ports.ts';

/** systemd's own start time-out is 90 s; a unit that takes longer than this is started, and looked at later. */
const CHANGE_TIMEOUT_MS = 30_000;

export function createServices(options: { readonly runner: Runner }): Services {
  const { runner } = options;
  const change = async (verb: string, units: readonly string[]): Promise<void> => {
    if (units.length === 0) return;
    await runner.runChecked('systemctl', [verb, ...units], { timeoutMs: CHANGE_TIMEOUT_MS });
  };
  return {
    start: (units) => change('start', units),
    stop: (units) => change('stop', units),
    restart: (units) => change('restart', units),
    async list(...patterns) {
      const text = await runner.runChecked('systemctl', [
        'show',
        '--no-pager',
        '--property=Id,LoadState,ActiveState,MainPID,NRestarts',
        ...patterns,
      ]);
      return parseShow(text);
    },
  };
}

/** `systemctl show`: one `Key=value` a line, an empty line between units. Pure. */
export function parseShow(text: string): readonly ServiceState[] {
  const units: ServiceState[] = [];
  for (const block of text.split(/\n\s*\n/)) {
    const values = new Map<string, string>();
    for (const line of block.split('\n')) {
      const at = line.indexOf('=');
      if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).trim());
    }
    const unit = values.get('Id');
    // A name that matches no file is answered too, as `not-found`; it is no unit of this box.
    if (unit === undefined || values.get('LoadState') === 'not-found') continue;
    const mainPid = Number(values.get('MainPID') ?? 0);
    units.push({
      unit,
      active: values.get('ActiveState') === 'active',
      mainPid: mainPid > 0 ? mainPid : undefined,
      restarts: Number(values.get('NRestarts') ?? 0),
    });
  }
  return units;
}
