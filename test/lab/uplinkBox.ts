/**
 * Owns a process that tests one uplink from inside a node's network namespace and prints the result as one line.
 * Arguments: a file of JSON (BoxOptions).
 */
import { readFileSync } from 'node:fs';
import { Secret } from '../../src/model/secret.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { createUplinkTester } from '../../src/wan/uplinkTest/measure.ts';
import type { Subject } from '../../src/wan/uplinkTest/subject.ts';

export interface BoxOptions {
  /** Of the node's PID 1: its programs and its /sys are used. */
  readonly pid: number;
  readonly subject: Subject;
  readonly credentials?: {
    readonly key: string;
    readonly certificatePem: string;
    readonly anchorPem: string;
  };
}

const { pid, subject, credentials } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as BoxOptions;
const host = createRunner();
const files = createFiles();
const enter = ['-t', String(pid), '-m', '-n', '-r', '-w', '--'];
const test = createUplinkTester({
  runner: {
    run: (command, args, options) => host.run('nsenter', [...enter, command, ...args], options),
    runChecked: (command, args, options) => host.runChecked('nsenter', [...enter, command, ...args], options),
    follow: (command, args, onLine, signal) =>
      host.follow('nsenter', [...enter, command, ...args], onLine, signal),
  },
  files: { readText: (path, maxBytes) => files.readText(`/proc/${pid}/root${path}`, maxBytes) },
  clock: createClock(),
  credentials: async () =>
    credentials === undefined ? undefined : { ...credentials, key: new Secret(credentials.key) },
});
const result = await test(subject, new AbortController().signal, (step) => console.error(step));
console.log(JSON.stringify(result));
