/** What `lab exec` leaves to the command that it becomes: pipes that wait for whoever is at their other ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

const SOURCES = new URL('../../../src/cli/', import.meta.url).href;
/** Tells that it reads, and reads on until its input ends. */
const COMMAND = `process.execve('/bin/sh', ['sh', '-c', 'echo reads; exec cat']);`;

it('a command whose input is late reads it all the same', async () => {
  const script = `
    await import('${SOURCES}program.ts');
    const { waitForOtherEnds } = await import('${SOURCES}labExec.ts');
    waitForOtherEnds();
    ${COMMAND}
  `;
  // A pipe of the kernel, as a shell makes it: Node's own would be a socket.
  const child = spawn('/bin/sh', ['-c', 'cat | "$0" --input-type=module -e "$1"', process.execPath, script]);
  const said = text(child.stdout);
  await once(child.stdout, 'data');
  child.stdin.end('late');
  expect(await said).toContain('late');
  expect((await once(child, 'close'))[0]).toBe(0);
});
