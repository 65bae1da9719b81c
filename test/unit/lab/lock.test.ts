/** Two commands that make or remove one lab at once: the second is turned away, and whoever ends lets the next in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { lockLab } from '../../../src/lab/lock.ts';
import { labPaths } from '../../../src/lab/paths.ts';

// Of this process alone: abstract names are the machine's.
const paths = labPaths(`lock-${process.pid}`);

it('lets one in, says whom it turns away and what to do, and goes by the name of the lab', async () => {
  const lock = await lockLab(paths);
  await expect(lockLab(paths)).rejects.toMatchObject({
    code: 'lab/busy',
    message: expect.stringContaining(`on lab ${paths.lab}`),
    mend: expect.stringContaining('--lab NAME'),
  });
  await (await lockLab(labPaths(`other-${process.pid}`))).release();
  await lock.release();
  await (await lockLab(paths)).release();
});

it('is free again when its process was killed', async () => {
  const holder = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { lockLab } = await import(${JSON.stringify(new URL('../../../src/lab/lock.ts', import.meta.url).href)});
       const { labPaths } = await import(${JSON.stringify(new URL('../../../src/lab/paths.ts', import.meta.url).href)});
       await lockLab(labPaths(${JSON.stringify(paths.lab)}));
       process.stdout.write('held');
       process.stdin.resume();`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(holder.stdout, 'data');
  await expect(lockLab(paths)).rejects.toMatchObject({ code: 'lab/busy' });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await (await lockLab(paths)).release();
});
