import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ownDirectory } from '../../../ownDirectory.ts';
import {
  createFrameReader,
  encodeInput,
  encodeInputEnd,
  encodeStart,
  MAX_PAYLOAD_BYTES,
} from '../../../../src/lab/vm/channel.ts';

const ID = '00112233445566778899aabbccddeeff';
const frame = (type: string, payload: string): Buffer => {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(payload.length, 1);
  return Buffer.concat([header, Buffer.from(payload)]);
};

describe('what comes from a machine', () => {
  it('begins at this session’s marker, however it is cut into pieces', () => {
    const marker = Buffer.concat([Buffer.from('\0BBS'), Buffer.from(ID, 'hex')]);
    const stream = Buffer.concat([
      frame('1', 'of an earlier session'),
      Buffer.from('\0BBS and half a marker'),
      marker,
      frame('1', 'out'),
      frame('2', 'err'),
      frame('X', '7'),
    ]);
    for (const size of [1, 3, 1000]) {
      const reader = createFrameReader(ID);
      const frames = [];
      for (let at = 0; at < stream.length; at += size)
        frames.push(...reader.push(stream.subarray(at, at + size)));
      expect(frames).toEqual([
        { type: 'stdout', data: Buffer.from('out') },
        { type: 'stderr', data: Buffer.from('err') },
        { type: 'exit', code: 7 },
      ]);
    }
  });
});

describe('what goes to a machine', () => {
  it('first fills up what a client before may have left unfinished', () => {
    const start = encodeStart(ID, { kind: 'exec', command: ['true'], environment: {} });
    expect(start.subarray(0, MAX_PAYLOAD_BYTES + 5).every((byte) => byte === 0)).toBe(true);
    expect(start.toString('latin1', MAX_PAYLOAD_BYTES + 5)[0]).toBe('R');
  });

  it('ends the input by an empty frame, and sends none for nothing', () => {
    expect(encodeInput(Buffer.alloc(0))).toHaveLength(0);
    expect(encodeInputEnd()).toEqual(frame('I', ''));
    expect(encodeInput(Buffer.alloc(MAX_PAYLOAD_BYTES + 1))).toHaveLength(MAX_PAYLOAD_BYTES + 1 + 10);
  });

  it('refuses a command that no frame holds, or that would be cut at a zero', () => {
    const start = (command: string[]) => () => encodeStart(ID, { kind: 'exec', command, environment: {} });
    expect(start(['x'.repeat(MAX_PAYLOAD_BYTES)])).toThrow(/longer than/);
    expect(start(['a\0b'])).toThrow(/zero byte/);
  });
});

/** guest-exec.pl with a socket in a port's place: what a virtio-serial port adds is tried in test/vm. */
function serveOverPipe(): {
  readonly send: (data: Buffer) => void;
  readonly child: ReturnType<typeof spawn>;
} {
  const code = readFileSync(join(import.meta.dirname, '../../../../src/lab/vm/guest-exec.pl'), 'utf8');
  const cut = code.slice(0, code.indexOf('for my $path (grep { is_port'));
  const file = join(ownDirectory(), 'exec.pl');
  // One file of both ways, as a port is.
  writeFileSync(file, `${cut}\nopen $port, '+<&=', 3 or die; serve();\n`);
  const child = spawn('perl', [file], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const port = child.stdio[3];
  return {
    child,
    send: (data) => void (port !== null && port !== undefined && 'write' in port && port.write(data)),
  };
}

describe('guest-exec.pl', () => {
  const run = (command: readonly string[], input: Buffer, garbage: Buffer = Buffer.alloc(0)) =>
    new Promise<{ code: number; stdout: Buffer; stderr: string }>((resolve) => {
      const { child, send } = serveOverPipe();
      const reader = createFrameReader(ID);
      const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
      child.stdio[3]?.on('data', (chunk: Buffer) => {
        for (const each of reader.push(chunk)) {
          if (each.type === 'stdout' || each.type === 'stderr') output[each.type].push(each.data);
          if (each.type !== 'exit') continue;
          child.kill('SIGKILL');
          resolve({
            code: each.code,
            stdout: Buffer.concat(output.stdout),
            stderr: Buffer.concat(output.stderr).toString(),
          });
        }
      });
      const environment = { PATH: '/usr/bin:/bin', GREETING: 'a=b c' };
      send(garbage);
      send(encodeStart(ID, { kind: 'exec', command, environment }));
      send(Buffer.concat([encodeInput(input), encodeInputEnd()]));
    });

  it('carries exit code, both outputs and the environment', async () => {
    const ended = await run(['sh', '-c', 'echo "$GREETING"; echo err >&2; exit 7'], Buffer.alloc(0));
    expect(ended).toEqual({ code: 7, stdout: Buffer.from('a=b c\n'), stderr: 'err\n' });
  });

  it('carries any bytes, in order, both ways', async () => {
    const input = Buffer.from(Array.from({ length: 300_000 }, (_none, i) => (i * 7 + (i >> 8)) & 0xff));
    const ended = await run(['cat'], input);
    expect(ended.code).toBe(0);
    expect(ended.stdout.equals(input)).toBe(true);
  });

  it('says how a command died, and that there is none of a name', async () => {
    expect((await run(['sh', '-c', 'kill -9 $$'], Buffer.alloc(0))).code).toBe(137);
    const missing = await run(['no-such-command'], Buffer.alloc(0));
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain('no-such-command');
  });

  it('does not wait for a daemon that a command left behind', async () => {
    const ended = await run(['sh', '-c', 'sleep 600 & echo started'], Buffer.alloc(0));
    expect(ended).toMatchObject({ code: 0, stdout: Buffer.from('started\n') });
  });

  it('begins once where a client asks twice', async () => {
    const file = join(ownDirectory(), 'count');
    const command = ['sh', '-c', `echo begun >>${file}; cat ${file}; sleep 0.2`];
    const again = encodeStart(ID, { kind: 'exec', command, environment: { PATH: '/usr/bin:/bin' } });
    expect((await run(command, Buffer.alloc(0), again)).stdout.toString()).toBe('begun\n');
  });

  it('begins anew after a client that died in the middle of a frame', async () => {
    const half = frame('I', 'x'.repeat(60_000)).subarray(0, 100);
    expect((await run(['true'], Buffer.alloc(0), half)).code).toBe(0);
  });
});
