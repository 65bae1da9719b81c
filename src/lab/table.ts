/**
 * Owns the table at the end of `lab up` and of `lab status`: text from a lab's status. Pure.
 */
import type { LabNodeStatus, LabStatus } from './labStatus.ts';

const HEADINGS = ['node', 'role', 'state', 'uplinks', 'paths', 'segments', 'apps'] as const;

export function renderStatus(status: LabStatus): string {
  const rows = status.nodes.map(rowOf);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.flatMap((row) => (row[column] ?? []).map((line) => line.length))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const body = rows.flatMap((row) => {
    const height = Math.max(...row.map((cell) => cell.length), 1);
    return Array.from({ length: height }, (_none, at) => line(row.map((cell) => cell[at] ?? '')));
  });
  const conditions = status.nodes.flatMap(({ name, conditions: found, bootstrapProblem }) => [
    ...found.map(({ code, sentence }) => `${name}: ${code}: ${sentence}`),
    ...(bootstrapProblem === undefined ? [] : [`${name}: ${bootstrapProblem}`]),
  ]);
  return [
    line([...HEADINGS]),
    line(widths.map((width) => '-'.repeat(width))),
    ...body,
    ...conditions,
    '',
  ].join('\n');
}

/** Cells of several lines each. */
function rowOf(node: LabNodeStatus): readonly (readonly string[])[] {
  return [
    [node.name],
    [node.role],
    [stateOf(node)],
    node.uplinks.map(({ name, state, address, faults }) => {
      const cut = faults.length === 0 ? '' : ` [${faults.join(', ')}]`;
      return `${name} ${state}${address === undefined ? '' : ` ${address}`}${cut}`;
    }),
    node.paths.map(({ id, state, active }) => `${id} ${state}${active ? ' *' : ''}`),
    node.segments.map(
      ({ id, state, ports }) => `${id} ${state}${ports.length === 0 ? '' : ` on ${ports.join(' ')}`}`,
    ),
    node.apps.map(({ name, state, address }) => `${name} ${state} ${address}`),
  ];
}

function stateOf(node: LabNodeStatus): string {
  if (!node.running) return 'not running';
  if (node.role !== 'hub' && node.role !== 'branch') return 'runs';
  const generation = node.generation === undefined ? '' : ` generation ${node.generation}`;
  const unsaid = node.bootstrap === 'OPERATIONAL' ? 'silent' : (node.bootstrap ?? 'starting');
  return `${node.health ?? unsaid}${generation}`;
}

/** What to try next, with the words of this lab. */
export function renderNextCommands(status: LabStatus): string {
  const lab = status.lab === 'default' ? '' : ` --lab ${status.lab}`;
  const branch = status.nodes.find(({ role }) => role === 'branch');
  const uplink = branch?.uplinks[0]?.name;
  const host = status.nodes.find(
    ({ role, name }) => role === 'host' && name.startsWith(`${branch?.name ?? ''}-`),
  );
  const app = status.nodes.flatMap(({ apps }) => apps)[0];
  const lines = ['next:'];
  if (host !== undefined && app !== undefined) {
    lines.push(`  ./branchbox lab exec${lab} ${host.name} -- curl -s http://${app.address.split('/')[0]}/`);
  }
  if (branch !== undefined) {
    lines.push(`  ./branchbox lab exec${lab} ${branch.name} -- branchbox status`);
    lines.push(`  ./branchbox lab exec${lab} ${branch.name} -- branchbox plan`);
    if (uplink !== undefined) {
      lines.push(`  ./branchbox lab cut${lab} ${branch.name} ${uplink}      (and heal)`);
    }
    lines.push(`  ./branchbox lab shell${lab} ${branch.name}`);
  }
  lines.push(`  ./branchbox lab status${lab}`, `  ./branchbox lab down${lab}`, '');
  return lines.join('\n');
}
