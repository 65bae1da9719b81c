/** `branchbox controller anchors` where something that it needs is not there: told in words, by name. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeAnchorFiles } from '../../../src/controller/anchorFiles.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { ownDirectory } from '../../ownDirectory.ts';

const anchors = (configPath: string) =>
  writeAnchorFiles({
    files: createFiles(),
    clock: createClock(),
    log: createLogger({ name: 'test', write: () => undefined }),
    configPath,
    out: join(ownDirectory(), 'out'),
    patienceMs: 1,
  });

it('names the socket of a signer that does not run, and how to start one', async () => {
  const directory = ownDirectory();
  const [config, socket] = [join(directory, 'controller.toml'), join(directory, 'signer.sock')];
  writeFileSync(
    config,
    `names = ["controller.example"]\n[manufacturer]\nurl = "https://manufacturer.example:9443"\n[signer]\nsocket = "${socket}"\n`,
  );
  await expect(anchors(config)).rejects.toMatchObject({
    code: 'controller/unreachable',
    message: expect.stringContaining(socket),
    mend: expect.stringContaining(`branchbox signer serve --state DIR --socket ${socket}`),
  });
});

it('says of a configuration that is not there to name another one', async () => {
  const config = join(ownDirectory(), 'none.toml');
  await expect(anchors(config)).rejects.toMatchObject({
    message: `${config} is not there`,
    mend: 'name the one that is there: --config',
  });
});
