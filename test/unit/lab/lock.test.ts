/** Two commands that make or remove one lab at once: the second is turned away, and whoever ends lets the next in. What whoever waits is told. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { lockLab, lockName, waitForLock } from '../../../src/lab/lock.ts';
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

it('says of a holder, who may be anybody on the machine, a line that is cut and plain', async () => {
  const name = lockName(`flood-${process.pid}`);
  const told = new Set<string>();
  const holder = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`by \u001b[2Jnobody${'x'.repeat(1_000_000)}`);
    // The last that it says is read by then.
    socket.end('\nby another\n');
  });
  holder.listen(name);
  await once(holder, 'listening');
  const { promise: read, resolve: wasRead } = Promise.withResolvers<string>();
  const waiting = waitForLock(name, 'own', (line) => {
    told.add(line);
    wasRead(line);
  });
  expect(await read).toMatch(/^by \[2Jnobodyx{300,400}$/);
  holder.close();
  await (await waiting).release();
  expect(told.size).toBe(1);
});
