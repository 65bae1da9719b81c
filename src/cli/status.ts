/**
 * Owns the words of `branchbox status` on a box.
 */
import type { Command } from 'commander';
import { renderState } from '../model/bootstrap.ts';
import { LocalEvents, LocalStatus } from '../model/localStatus.ts';
import { askAgent } from './askAgent.ts';
import { renderTable } from './table.ts';
import { print } from './terminal.ts';

export function register(program: Command): void {
  program
    .command('status')
    .description('what this box is, holds to, and how it is')
    .option('--json', 'for programs: one JSON object')
    .option(
      '--events',
      'also the events that wait for the controller (with --json these alone); those it has are at its /api/v1/events',
    )
    .addHelpText('after', '\nexample: branchbox status --json\nexample: branchbox status --events --json')
    .action(async (flags: { readonly json?: boolean; readonly events?: boolean }) => {
      if (flags.json === true && flags.events === true) {
        print(JSON.stringify(await askAgent('/events', LocalEvents)));
        return;
      }
      const status = await askAgent('/status', LocalStatus);
      if (flags.json === true) {
        print(JSON.stringify(status));
        return;
      }
      print(describeStatus(status).join('\n'));
      if (flags.events !== true) return;
      const { events } = await askAgent('/events', LocalEvents);
      const rows = events.map(({ atMs, kind, subject, sentence }) => [
        new Date(atMs).toISOString(),
        kind,
        subject,
        sentence,
      ]);
      if (rows.length === 0) {
        print('\nevents: none waits, the controller has them all');
        return;
      }
      print(
        ['', 'events that wait for the controller', ...renderTable(['at', 'kind', 'of', 'what'], rows)].join(
          '\n',
        ),
      );
    });
}

/** Pure. */
export function describeStatus(status: LocalStatus): readonly string[] {
  const { agent, controller, health } = status;
  const lines = [
    `${status.gatewayId ?? `no owner yet, serial ${status.facts.serial}`}: ${health.state}`,
    `holds to   ${heldTo(status)}`,
    `controller ${controller.connected ? `connected over ${controller.uplink ?? 'an uplink'}` : `away${controller.lastProblem === undefined ? '' : `: ${controller.lastProblem}`}`}`,
    `agent      ${agent.version}, up ${seconds(agent.upMs)}, ${mebibytes(agent.residentBytes)}, ${agent.cpuPercent} % of a core, ${agent.childProcessesPerMinute} processes in the last minute`,
  ];
  const { bootstrap, firmware } = status;
  if (bootstrap !== undefined) lines.push(`bootstrap  ${renderState(bootstrap)}`);
  if (firmware !== undefined) {
    const slot = firmware.slot === undefined ? '' : `, slot ${firmware.slot}`;
    lines.push(`firmware   ${firmware.version}${slot}, ${firmware.state}: ${firmware.sentence}`);
  }
  if (status.refused !== undefined) {
    const over =
      status.refused.overAtMs === undefined ? '' : ' (over: the state it holds was published again)';
    lines.push(`refused    ${status.refused.reason}${over}`);
    for (const { path, message } of status.refused.problems) lines.push(`             ${path} ${message}`);
  }
  const section = (title: string, head: readonly string[], rows: readonly (readonly string[])[]): void => {
    if (rows.length > 0) lines.push('', title, ...renderTable(head, rows));
  };
  section(
    'conditions',
    ['severity', 'code', 'of', 'what'],
    health.conditions.map((one) => [one.severity, one.code, one.subject, one.sentence]),
  );
  section(
    'uplinks',
    ['name', 'port', 'state', 'carrier', 'address', 'gateway'],
    status.uplinks.flatMap((one) => {
      const own = [one.name, one.ifname ?? one.port, one.state, one.carrier ? 'yes' : 'no'];
      // A line a family: IPv6 addresses are long.
      if (one.address6 === undefined) return [[...own, one.address ?? '-', one.gateway ?? '-']];
      const six = [one.address6, one.gateway6 ?? '-'];
      if (one.address === undefined) return [[...own, ...six]];
      return [
        [...own, one.address, one.gateway ?? '-'],
        ['', '', '', '', ...six],
      ];
    }),
  );
  section(
    'modems',
    ['port', 'state', 'network', 'by', 'signal', 'what'],
    (status.modems ?? []).map((one) => [
      one.port,
      one.reason,
      `${one.operator ?? '-'}${one.roaming === true ? ' (roaming)' : ''}`,
      one.technology ?? '-',
      one.signalPercent === undefined ? '-' : `${one.signalPercent} %`,
      one.sentence,
    ]),
  );
  section(
    'paths',
    ['path', 'state', 'active', 'preference', 'handshake'],
    status.paths.map((one) => [
      one.id,
      one.state,
      one.active ? 'yes' : 'no',
      String(one.preference),
      one.handshakeAgeS === undefined ? '-' : `${one.handshakeAgeS} s ago`,
    ]),
  );
  section(
    'segments',
    ['segment', 'tenant', 'vni', 'state', 'ports', 'other sites'],
    status.segments.map((one) => [
      one.id,
      one.tenant,
      String(one.vni),
      one.state,
      one.ports
        .map((port) => (one.portsMissing?.includes(port) === true ? `${port} (missing)` : port))
        .join(' ') || '-',
      one.remoteVteps.join(' ') || '-',
    ]),
  );
  section(
    'apps',
    ['app', 'tenant', 'segment', 'address', 'state', 'restarts', 'image'],
    status.apps.map((one) => [
      one.name,
      one.tenant,
      one.segment,
      one.address,
      one.state,
      String(one.restarts),
      one.image,
    ]),
  );
  section(
    'lanes',
    ['lane', 'as wanted', 'items', 'blocked', 'failed', 'took'],
    agent.lanes.map((one) => [
      one.name,
      one.converged === undefined ? '-' : one.converged ? 'yes' : 'no',
      String(one.items),
      String(one.blocked),
      String(one.failed),
      `${one.durationMs} ms`,
    ]),
  );
  return lines;
}

function heldTo({ agent, committed, trial }: LocalStatus): string {
  if (trial !== undefined) {
    return `${trial.epoch}/${trial.generation}, on trial until ${new Date(trial.endsAtMs).toISOString()}`;
  }
  if (committed !== undefined) return `${committed.epoch}/${committed.generation}`;
  return `${agent.source}: every WAN port by DHCP`;
}

const seconds = (durationMs: number): string => `${Math.round(durationMs / 1000)} s`;
const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;
