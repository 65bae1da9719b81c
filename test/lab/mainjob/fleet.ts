/**
 * Owns how tests change the fleet: by the REST API, as an operator's script would, from a host on the internet.
 */
import { readFileSync } from 'node:fs';
import { lab, tryIn } from './lab.ts';

/** The parts of a fleet that tests touch; the API validates the whole. */
export interface FleetDocument {
  fleet: Record<string, unknown>;
  gateways: {
    id: string;
    serial?: string;
    uplinks: { name: string; port: string; static?: { address: string; gateway: string; dns?: string[] } }[];
    ports: { port: string; segment: string }[];
    apps: { name: string; memoryMiB: number; cpus: number }[];
    firmware?: { version?: string; allowDowngrade?: boolean };
  }[];
  segments: { id: string; tenant: string; vni: number; subnet?: string }[];
}

interface LabInfo {
  readonly nodes: readonly {
    readonly name: string;
    readonly role: string;
    readonly pid: number;
    readonly netns: string;
  }[];
  readonly endpoints: Readonly<
    Record<
      'sztp' | 'est' | 'api' | 'mqtt' | 'manufacturer',
      { readonly url: string; readonly reachableFrom: readonly string[] }
    >
  >;
  readonly anchors: Readonly<Record<'manufacturer' | 'voucher' | 'domain' | 'tls', string>>;
  readonly adminCredential: string;
}

export async function labInfo(): Promise<LabInfo> {
  return JSON.parse(await lab('info', '--json')) as LabInfo;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly etag: string | undefined;
}

/** One request to the controller's REST API. */
export async function api(
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<ApiAnswer> {
  const info = await labInfo();
  const from = 'internet-host';
  const anchor = readFileSync(info.anchors.domain, 'utf8');
  const bearer = readFileSync(info.adminCredential, 'utf8').trim();
  await tryIn(from, ['sh', '-c', 'umask 077; mkdir -p /run/test; cat > /run/test/ca.pem'], anchor);
  await tryIn(from, ['sh', '-c', 'cat > /run/test/headers'], `Authorization: Bearer ${bearer}\n`);
  const base = info.endpoints.api.url.replace(/\/api\/v1\/?$/, '').replace(/\/$/, '');
  const extra = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const sending = body === undefined ? [] : ['-H', 'Content-Type: application/json', '--data-binary', '@-'];
  const ended = await tryIn(
    from,
    [
      'curl',
      '-sS',
      '--max-time',
      '20',
      '--cacert',
      '/run/test/ca.pem',
      '-H',
      '@/run/test/headers',
      '-X',
      method,
      '-D',
      '-',
      '-H',
      'Expect:',
      '-w',
      '\n%{http_code}',
      ...extra,
      ...sending,
      `${base}${path}`,
    ],
    body === undefined ? '' : JSON.stringify(body),
  );
  if (ended.exitCode !== 0)
    throw new Error(`${method} ${path}: curl ended with ${ended.exitCode}: ${ended.stderr}`);
  const lines = ended.stdout.split('\n');
  const status = Number(lines.pop());
  // Headers end at the first empty line; what follows is the body.
  const end = lines.findIndex((line) => line.trim() === '');
  const etag = /^etag:\s*(.+?)\s*$/im.exec(lines.slice(0, end).join('\n'))?.[1];
  const text = lines.slice(end + 1).join('\n');
  return { status, body: text === '' ? undefined : (JSON.parse(text) as unknown), etag };
}

export async function readFleet(): Promise<{
  readonly fleet: FleetDocument;
  readonly etag: string | undefined;
}> {
  const answer = await api('GET', '/api/v1/fleet');
  if (answer.status !== 200) throw new Error(`GET fleet: ${answer.status} ${JSON.stringify(answer.body)}`);
  return { fleet: answer.body as FleetDocument, etag: answer.etag };
}

/** Reads the fleet, changes it, and writes it back. */
export async function editFleet(change: (fleet: FleetDocument) => void): Promise<void> {
  const { fleet, etag } = await readFleet();
  const placed = fleet.gateways
    .filter(({ serial }) => serial !== undefined)
    .map(({ id, serial }) => ({ id, serial }));
  change(fleet);
  // A test that takes boxes out of the fleet means it.
  const removes = placed.filter(
    (box) => !fleet.gateways.some(({ id, serial }) => id === box.id && serial === box.serial),
  ).length;
  const answer = await api(
    'PUT',
    `/api/v1/fleet?removes=${removes}`,
    fleet,
    etag === undefined ? {} : { 'If-Match': etag },
  );
  if (answer.status >= 300) throw new Error(`PUT fleet: ${answer.status} ${JSON.stringify(answer.body)}`);
}

export function fleetGateway(fleet: FleetDocument, id: string): FleetDocument['gateways'][number] {
  const gateway = fleet.gateways.find((candidate) => candidate.id === id);
  if (gateway === undefined) throw new Error(`no gateway ${id} in the fleet`);
  return gateway;
}
