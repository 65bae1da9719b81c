/**
 * Owns the words of `systemctl` that the supervisor answers, and what each prints: arguments in, an answer out.
 * Printed forms are those of systemd 257, as far as a program reads them. Does not own the socket (main.ts).
 */
import type { LoadedUnit, Manager } from './manager.ts';

export interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** LSB: `is-active` of a unit that is not (systemctl(1), "Exit status"). */
const EXIT_NOT_ACTIVE = 3;
const EXIT_NO_SUCH_UNIT = 4;

interface Words {
  readonly verb: string;
  readonly names: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly properties: readonly string[];
  readonly output: string;
}

export async function answerSystemctl(manager: Manager, argv: readonly string[]): Promise<Answer> {
  const words = parseWords(argv);
  switch (words.verb) {
    case 'start':
      return each(words, (name) => manager.start(name));
    case 'stop':
      return each(words, (name) => manager.stop(name));
    case 'restart':
    case 'reload-or-restart':
      return each(words, (name) => manager.restart(name));
    case 'try-restart':
      return each(words, (name) =>
        manager.get(name)?.status.state === 'active' ? manager.restart(name) : Promise.resolve(),
      );
    case 'reload':
      return each(words, (name) => manager.reload(name));
    case 'is-active':
    case 'is-failed':
      return isInState(manager, words, words.verb === 'is-active' ? 'active' : 'failed');
    case 'show':
      return show(manager, words);
    case '':
    case 'list-units':
      return listUnits(manager, words);
    case 'status':
      return statusOf(manager, words);
    case 'daemon-reload':
    case 'reset-failed':
      manager.reloadFiles();
      return done('');
    // What is enabled is what [Install] says: there is nothing to remember.
    case 'enable':
    case 'disable':
    case 'preset':
      return done('');
    default:
      return { exitCode: 1, stdout: '', stderr: `Unknown command verb '${words.verb}'.\n` };
  }
}

function parseWords(argv: readonly string[]): Words {
  const names: string[] = [];
  const flags = new Set<string>();
  const properties: string[] = [];
  let output = 'text';
  let verb = '';
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? '';
    const takesNext = ['-p', '--property', '-o', '--output', '-t', '--type'].includes(word);
    const value = takesNext ? (argv[(i += 1)] ?? '') : word.slice(word.indexOf('=') + 1);
    if (word === '-p' || word.startsWith('--property')) properties.push(...value.split(','));
    else if (word === '-o' || word.startsWith('--output')) output = value;
    else if (word === '-t' || word.startsWith('--type')) flags.add(`type:${value}`);
    else if (word.startsWith('-')) flags.add(word);
    else if (verb === '') verb = word;
    else names.push(word.includes('.') ? word : `${word}.service`);
  }
  return { verb, names, flags, properties, output };
}

async function each(words: Words, work: (name: string) => Promise<void>): Promise<Answer> {
  const jobs = words.names.map(async (name) => {
    try {
      await work(name);
      return '';
    } catch (error) {
      return `${error instanceof Error ? error.message : String(error)}\n`;
    }
  });
  if (words.flags.has('--no-block')) return done('');
  const stderr = (await Promise.all(jobs)).join('');
  return { exitCode: stderr === '' ? 0 : 1, stdout: '', stderr };
}

function matching(manager: Manager, names: readonly string[]): LoadedUnit[] {
  if (names.length === 0) return [...manager.list()];
  return names.flatMap((name) => {
    if (!/[*?[]/.test(name)) {
      const found = isUnitName(name) ? manager.find(name) : undefined;
      return found === undefined ? [] : [found];
    }
    // `dhcpcd@*` and `dhcpcd@*.service` are both said; the word gained `.service` where it had no dot.
    const pattern = globOf(name.replace(/\*\.service$/, '*'));
    return manager.list().filter(({ unit }) => pattern.test(unit.name));
  });
}

/** A template (`dhcpcd@.service`) is a file and no unit; a name never leads out of the directories of units. */
const isUnitName = (name: string): boolean => !name.includes('@.') && !name.includes('/');

function globOf(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|\\@]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}

function isInState(manager: Manager, words: Words, wanted: string): Answer {
  const states = words.names.map((name) => manager.get(name)?.status.state ?? 'inactive');
  const stdout =
    words.flags.has('--quiet') || words.flags.has('-q') ? '' : states.map((s) => `${s}\n`).join('');
  return { exitCode: states.some((s) => s === wanted) ? 0 : EXIT_NOT_ACTIVE, stdout, stderr: '' };
}

function show(manager: Manager, words: Words): Answer {
  const blocks = words.names.flatMap((name): Record<string, string>[] => {
    const found = matching(manager, [name]);
    if (found.length > 0) return found.map(propertiesOf);
    if (/[*?[]/.test(name)) return [];
    return [
      {
        Id: name,
        LoadState: 'not-found',
        ActiveState: 'inactive',
        SubState: 'dead',
        MainPID: '0',
        NRestarts: '0',
      },
    ];
  });
  const text = blocks.map((block) => {
    const keys = words.properties.length > 0 ? words.properties : Object.keys(block);
    const lines = keys.filter((key) => block[key] !== undefined);
    return lines.map((key) => (words.flags.has('--value') ? block[key] : `${key}=${block[key]}`)).join('\n');
  });
  return done(text.length === 0 ? '' : `${text.join('\n\n')}\n`);
}

function propertiesOf({ unit, status }: LoadedUnit): Record<string, string> {
  return {
    Id: unit.name,
    Names: unit.name,
    Description: unit.description,
    LoadState: 'loaded',
    ActiveState: status.state,
    SubState: subStateOf(status.state, status.mainPid),
    MainPID: String(status.mainPid ?? 0),
    NRestarts: String(status.restarts),
    Result: status.state === 'failed' ? 'exit-code' : 'success',
    StatusText: status.reason ?? '',
  };
}

function subStateOf(state: string, mainPid: number | undefined): string {
  if (state === 'active') return mainPid === undefined ? 'exited' : 'running';
  if (state === 'activating') return mainPid === undefined ? 'auto-restart' : 'start';
  return state === 'failed' ? 'failed' : 'dead';
}

function listUnits(manager: Manager, words: Words): Answer {
  const all = words.flags.has('--all') || words.flags.has('-a') || words.names.length > 0;
  const types = [...words.flags].filter((flag) => flag.startsWith('type:')).map((flag) => flag.slice(5));
  const rows = matching(manager, words.names)
    .filter(({ status }) => all || status.state !== 'inactive')
    .filter(({ unit }) => types.length === 0 || types.some((type) => unit.name.endsWith(`.${type}`)))
    .map(({ unit, status }) => ({
      unit: unit.name,
      load: 'loaded',
      active: status.state,
      sub: subStateOf(status.state, status.mainPid),
      description: unit.description,
    }));
  if (words.output.startsWith('json')) return done(`${JSON.stringify(rows)}\n`);
  const lines = rows.map((row) => `${row.unit} ${row.load} ${row.active} ${row.sub} ${row.description}\n`);
  return done(lines.join(''));
}

/** As systemctl(1): each in turn, and the first exit code that is not 0. */
function statusOf(manager: Manager, words: Words): Answer {
  const names = words.names.length > 0 ? words.names : ['*'];
  const answers = names.map((name): Answer => {
    const found = matching(manager, [name]);
    if (found.length === 0) {
      return { exitCode: EXIT_NO_SUCH_UNIT, stdout: '', stderr: `Unit ${name} could not be found.\n` };
    }
    const isUp = found.every(({ status }) => status.state === 'active');
    return { exitCode: isUp ? 0 : EXIT_NOT_ACTIVE, stdout: found.map(statusText).join('\n'), stderr: '' };
  });
  return {
    exitCode: answers.find(({ exitCode }) => exitCode !== 0)?.exitCode ?? 0,
    stdout: answers.flatMap(({ stdout }) => (stdout === '' ? [] : [stdout])).join('\n'),
    stderr: answers.map(({ stderr }) => stderr).join(''),
  };
}

function statusText({ unit, status }: LoadedUnit): string {
  const { state, mainPid, reason, restarts } = status;
  const why = reason === undefined ? '' : `: ${reason}`;
  return [
    `${unit.name} - ${unit.description}`,
    '     Loaded: loaded',
    `     Active: ${state} (${subStateOf(state, mainPid)})${why}`,
    ...(mainPid === undefined ? [] : [`   Main PID: ${mainPid}`]),
    ...(restarts === 0 ? [] : [`   Restarts: ${restarts}`]),
    '',
  ].join('\n');
}

const done = (stdout: string): Answer => ({ exitCode: 0, stdout, stderr: '' });
