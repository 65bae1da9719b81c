/**
 * Owns the image of the lab's app: an HTTP server that says its name, from the tree's own busybox, as an archive in
 * `docker save` format, so that no registry is needed. Does not own where it runs (fleet.toml).
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Runner } from '../system/ports.ts';

export interface AppImage {
  readonly reference: string;
  readonly appName: string;
}

/** Same bytes for the same input: the archive is known by its digest. */
const REPRODUCIBLE = [
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--format=ustar',
];
const APPLETS = ['sh', 'httpd', 'cat', 'echo', 'hostname', 'ip', 'ping', 'sleep', 'wget'];

export async function buildAppImage(
  runner: Runner,
  options: { readonly tree: string; readonly image: AppImage; readonly out: string },
): Promise<void> {
  // Beside what it becomes: killed half-way, it goes with the lab.
  const scratch = await mkdtemp(`${options.out}.`);
  try {
    const root = join(scratch, 'root');
    await mkdir(join(root, 'bin'), { recursive: true });
    await mkdir(join(root, 'www'));
    await copyFile(join(options.tree, 'bin/busybox'), join(root, 'bin/busybox'));
    for (const applet of APPLETS) await symlink('busybox', join(root, 'bin', applet));
    await writeFile(join(root, 'www/index.html'), `${options.image.appName}\n`);
    const image = join(scratch, 'image');
    await mkdir(image);
    const layer = join(image, 'layer.tar');
    await runner.runChecked('tar', ['-C', root, ...REPRODUCIBLE, '-cf', layer, 'bin', 'www'], {
      timeoutMs: 60_000,
    });
    const config = renderImageConfig(
      createHash('sha256')
        .update(await readFile(layer))
        .digest('hex'),
    );
    await writeFile(join(image, 'config.json'), config);
    const manifest = [{ Config: 'config.json', RepoTags: [options.image.reference], Layers: ['layer.tar'] }];
    await writeFile(join(image, 'manifest.json'), JSON.stringify(manifest));
    const part = `${options.out}.part`;
    await runner.runChecked(
      'tar',
      ['-C', image, ...REPRODUCIBLE, '-cf', part, 'config.json', 'layer.tar', 'manifest.json'],
      {
        timeoutMs: 60_000,
      },
    );
    await rename(part, options.out);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What it saw of its network when it began is a page of its own: an app must never start before its address is there. */
const COMMAND = '/bin/ip -4 -o address >/www/at-start; exec /bin/httpd -f -p 80 -h /www';

/** OCI image configuration, as little of it as Docker Engine takes. */
export function renderImageConfig(layerSha256: string): string {
  return JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh', '-c', COMMAND], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layerSha256}`] },
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'branchbox lab' }],
  });
}
