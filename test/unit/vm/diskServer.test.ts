import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ownDirectory } from '../../ownDirectory.ts';
import { serveDisk } from '../../vm/power/diskServer.ts';
import { COMMANDS } from '../../vm/power/nbd.ts';
import { openVolatileDisk, SECTOR_BYTES } from '../../vm/power/volatileDisk.ts';

/** As QEMU's client does it (nbd doc/proto.md); a machine's own client is in test/vm/withoutPower.test.ts. */
const GO = Buffer.concat([
  Buffer.from('00000003', 'hex'),
  Buffer.from('49484156454f5054', 'hex'),
  Buffer.from('00000007', 'hex'),
  Buffer.from('00000006', 'hex'),
  Buffer.alloc(6),
]);
/** Greeting 18 bytes; info reply 20 + 12, its end 20. */
const NEGOTIATED_BYTES = 18 + 32 + 20;
const REPLY_BYTES = 16;

function request(command: number, offset: number, length: number): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(0x25609513, 0);
  header.writeUInt16BE(command, 6);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return header;
}

async function answered(socket: Socket, bytes: number): Promise<Buffer> {
  let got = Buffer.alloc(0);
  while (got.length < bytes) got = Buffer.concat([got, (await once(socket, 'data'))[0] as Buffer]);
  return got;
}

it('serves reads, writes and flushes, stops at the flush it is told to, and loses power when its client is gone', async () => {
  const directory = ownDirectory();
  writeFileSync(join(directory, 'base'), Buffer.alloc(64 * 1024, 'b'));
  const disk = openVolatileDisk(join(directory, 'base'), join(directory, 'overlay'));
  let flushes = 0;
  let lost: { readonly lost: number } | undefined;
  let gone = (): void => undefined;
  const poweredOff = new Promise<void>((resolve) => (gone = resolve));
  const path = join(directory, 'socket');
  const server = await serveDisk(path, disk, {
    onPowerLoss() {
      lost = disk.losePower(() => false);
      gone();
    },
    stopsAtFlush: () => (flushes += 1) === 2,
  });
  const client = connect(path);
  client.write(GO);
  await answered(client, NEGOTIATED_BYTES);

  const write = (offset: number, letter: string): void =>
    void client.write(
      Buffer.concat([request(COMMANDS.write, offset, SECTOR_BYTES), Buffer.alloc(SECTOR_BYTES, letter)]),
    );
  write(0, 'f');
  client.write(request(COMMANDS.flush, 0, 0));
  write(SECTOR_BYTES, 'u');
  client.write(request(COMMANDS.read, 0, 2 * SECTOR_BYTES));
  const answers = await answered(client, 4 * REPLY_BYTES + 2 * SECTOR_BYTES);
  const read = answers.subarray(4 * REPLY_BYTES).toString();
  expect([read[0], read.at(-1)]).toEqual(['f', 'u']);

  let isAnswered = false;
  client.on('data', () => (isAnswered = true));
  client.write(request(COMMANDS.flush, 0, 0));
  client.end(request(COMMANDS.read, 0, SECTOR_BYTES));
  await poweredOff;
  expect(isAnswered).toBe(false);
  expect(lost).toEqual({ kept: 0, lost: 1 });
  expect(disk.read(0, 2 * SECTOR_BYTES).toString()).toMatch(/^f+b+$/);
  await server.close();
  disk.close();
});

it('asks nothing of a disk any more when it was closed under a client', async () => {
  const directory = ownDirectory();
  writeFileSync(join(directory, 'base'), Buffer.alloc(64 * 1024, 'b'));
  const disk = openVolatileDisk(join(directory, 'base'), join(directory, 'overlay'));
  const path = join(directory, 'socket');
  let losses = 0;
  const server = await serveDisk(path, disk, {
    onPowerLoss: () => (losses += 1),
    stopsAtFlush: () => false,
  });
  const client = connect(path);
  client.on('error', () => undefined);
  const isGone = once(client, 'close');
  client.write(GO);
  await answered(client, NEGOTIATED_BYTES);
  await server.close();
  disk.close();
  await isGone;
  expect(losses).toBe(0);
});
