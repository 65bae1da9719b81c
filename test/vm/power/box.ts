/**
 * Owns what the power-cut tests do to the box and ask of it beside its power: whether it is at work, a configuration
 * change, an update. Does not own when its power goes (cuts.ts) nor what must survive that (possessions.ts).
 */
import { editFleet, fleetGateway } from '../../lab/mainjob/fleet.ts';
import { branchbox, elapse, jsonIn, LAB, tryIn, until } from '../../lab/mainjob/lab.ts';
import { BOX, want } from '../update/box.ts';
import { makeVersion, upload } from '../update/versions.ts';

const HOST_ELSEWHERE = 'branch1-red';
const HOST_OF_BOX = '10.10.0.12';
const APP_OF_BOX = '10.10.0.101';
/** The LAN port that a configuration change gives to red, and the next takes away again. */
const CHANGED_PORT = 'lan3';
/** Of these tests alone: a version is one content. */
const VERSION = '0.1.9';
/** Each look is several processes on the cores that emulate the box. */
const LOOK_MS = 2_000;

interface Status {
  readonly committed?: { readonly generation: number };
  readonly controller: { readonly connected: boolean };
}
interface Firmware {
  readonly status: { readonly version: string; readonly state: string };
  readonly history: readonly { readonly version: string; readonly result: string }[];
}

/** Where several processes answer a look, it is not taken again at once. */
const looking =
  <T>(probe: () => Promise<T>) =>
  async (): Promise<T> => {
    const answer = await probe();
    if (answer === false || answer === undefined) await elapse(LOOK_MS);
    return answer;
  };

/** By what tenants see, by what the box says of itself, and by its session with the controller. */
export const awaitWork = (patienceMs: number): Promise<boolean> =>
  until('the box is at work again', looking(atWork), patienceMs);

async function atWork(): Promise<boolean> {
  // The app is the last to come.
  const fetch = ['curl', '-s', '-f', '-o', '/dev/null', '--max-time', '5', `http://${APP_OF_BOX}/`];
  for (const command of [fetch, ['ping', '-n', '-c', '1', '-W', '2', HOST_OF_BOX]])
    if ((await tryIn(HOST_ELSEWHERE, command)).exitCode !== 0) return false;
  // Exit code 1 says that a node is not well, which is expected here.
  const { stdout } = await branchbox(['lab', 'status', '--json', '--lab', LAB]);
  const { nodes } = JSON.parse(stdout === '' ? '{"nodes":[]}' : stdout) as {
    nodes: { name: string; bootstrap?: string; apps: { state: string }[]; segments: { state: string }[] }[];
  };
  const own = nodes.find(({ name }) => name === BOX);
  if (own?.bootstrap !== 'OPERATIONAL' || own.apps.length === 0) return false;
  if (![...own.apps, ...own.segments].every(({ state }) => state === 'running' || state === 'up'))
    return false;
  // By its own certificate and key, since this start.
  return (await ownStatus()).controller.connected;
}

export const changeConfiguration = (): Promise<void> =>
  editFleet((fleet) => {
    const gateway = fleetGateway(fleet, BOX);
    const has = gateway.ports.some(({ port }) => port === CHANGED_PORT);
    gateway.ports = has
      ? gateway.ports.filter(({ port }) => port !== CHANGED_PORT)
      : [...gateway.ports, { port: CHANGED_PORT, segment: 'red' }];
  });

/** Whatever became of a change that a cut fell into, the next one is taken. */
export async function acceptAnother(patienceMs: number): Promise<void> {
  const before = (await ownStatus()).committed?.generation ?? 0;
  await changeConfiguration();
  await until(
    'the box commits another change',
    looking(async () => ((await ownStatus()).committed?.generation ?? 0) > before),
    patienceMs,
  );
}

const ownStatus = (): Promise<Status> => jsonIn<Status>(BOX, 'branchbox', 'status', '--json');

/** Makes a version that the box does not have, and gives it to the controller. */
export const offerUpdate = async (): Promise<unknown> => upload(await makeVersion(VERSION));

/** undefined: the version that it has is wanted, or whichever. */
export const wantUpdate = (wanted: boolean): Promise<void> => want(wanted ? { version: VERSION } : undefined);

/** What became of the version: committed, or taken back after its power was cut too often on trial. */
export const awaitUpdateEnded = (patienceMs: number, isOver = () => false): Promise<string> =>
  until(
    'the update ends',
    looking(async () => {
      if (isOver()) return 'not known';
      const { status, history } = await jsonIn<Firmware>(BOX, 'branchbox', 'firmware', 'status', '--json');
      const ended = history.findLast(({ version }) => version === VERSION)?.result;
      return ended === 'committed' && status.version !== VERSION ? undefined : ended;
    }),
    patienceMs,
  );
