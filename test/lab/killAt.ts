/**
 * Owns ending the process that loads it (`node --import`) by SIGKILL at one step of one durable write, told by
 * BRANCHBOX_KILL_AT: `FILE STEP [STATE]`. STEP: `written` its temporary has the content, `synced` and was synced,
 * `renamed` has the file's name, `durable` and its directory was synced. STATE: of journal.json, the write alone whose
 * last line is that state.
 * All else is Node's: the calls reach the kernel as they would, and nothing of the process's own code runs after it.
 */
import { syncBuiltinESMExports } from 'node:module';
import promises from 'node:fs/promises';
import { basename, dirname } from 'node:path';

type Step = 'written' | 'synced' | 'renamed' | 'durable';

const [file = '', wanted = '', state] = (process.env['BRANCHBOX_KILL_AT'] ?? '').split(' ');
const { open, rename } = promises;
/** Temporary of the write in question, once it has its content. */
let mine: string | undefined;
let isNamed = false;

const isWanted = (content: string): boolean =>
  state === undefined || /.*"state": "([A-Z_]+)"/s.exec(content)?.[1] === state;

function reached(step: Step): void {
  if (step === wanted) process.kill(process.pid, 'SIGKILL');
}

promises.open = async (path, flags, ...more) => {
  if (isNamed && flags === 'wx') {
    console.error(`${file} was written, and never ${wanted}`);
    process.exit(1);
  }
  const handle = await open(path, flags, ...more);
  const at = String(path);
  const writeFile = handle.writeFile.bind(handle);
  const sync = handle.sync.bind(handle);
  handle.writeFile = async (content, options) => {
    await writeFile(content, options);
    if (!basename(at).startsWith(`.${file}.`) || !isWanted(String(content))) return;
    mine = at;
    reached('written');
  };
  handle.sync = async () => {
    await sync();
    if (at === mine) reached('synced');
    else if (isNamed && mine !== undefined && at === dirname(mine)) reached('durable');
  };
  return handle;
};
promises.rename = async (from, to) => {
  await rename(from, to);
  if (from !== mine) return;
  isNamed = true;
  reached('renamed');
};
syncBuiltinESMExports();
