/** What is uploaded over the REST API (apps' bundles, firmware), held against its digest, its signer and its caps. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { signJws } from '../../../src/pki/jws.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { imageArchive } from '../../fakes/imageArchive.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';
import { RELEASE, type RunningApi, useApi } from './apiWorld.ts';
import { SMALL_FLEET } from './fixtures.ts';

let running: RunningApi;
useApi((fresh) => {
  running = fresh;
});

const putFleet = () => running.call('PUT', '/api/v1/fleet', SMALL_FLEET);

describe('a bundle', () => {
  const content = imageArchive();
  const sha256 = createHash('sha256').update(content).digest('hex');
  const tar = { 'content-type': 'application/x-tar' };

  it('is taken in by its digest', async () => {
    const taken = await running.call('POST', `/api/v1/bundles?sha256=${sha256}`, content, tar);
    expect([taken.status, taken.json]).toEqual([201, { sha256, sizeBytes: content.length }]);
    expect((await running.call('GET', '/api/v1/bundles')).json).toEqual([
      { sha256, sizeBytes: content.length },
    ]);
  });

  it('of another digest, too large or empty is refused and leaves nothing', async () => {
    const other = await running.call('POST', `/api/v1/bundles?sha256=${'0'.repeat(64)}`, content, tar);
    expect(other.json.message).toContain('SHA-256');
    expect((await running.call('POST', '/api/v1/bundles', Buffer.alloc(5000), tar)).status).toBe(413);
    expect((await running.call('POST', '/api/v1/bundles', {}, {})).status).toBe(415);
    expect((await running.call('POST', '/api/v1/bundles', Buffer.alloc(0), tar)).status).toBe(400);
    expect(await createFiles().list(join(running.directory, 'bundles'))).toEqual([]);
  });

  it('that can be no image is refused with why, and leaves nothing', async () => {
    const refused = await running.call('POST', '/api/v1/bundles', Buffer.from('an archive'), tar);
    expect([refused.status, refused.json]).toEqual([
      400,
      {
        code: 'model/invalid',
        message: 'the bundle is of another form: it is no tar',
        mend: expect.stringContaining('docker save'),
        problems: [],
      },
    ]);
    expect(await createFiles().list(join(running.directory, 'bundles'))).toEqual([]);
    expect((await running.call('GET', '/api/v1/bundles')).json).toEqual([]);
  });
});

describe('a firmware version', () => {
  const version = makeVersion('1.1.0', { builtAtMs: NOW_MS });
  const { manifest } = version.target;
  const sign = (what: object, by = RELEASE.key): string => signJws(Buffer.from(JSON.stringify(what)), by);
  const jose = { 'content-type': 'application/jose' };
  const stream = { 'content-type': 'application/octet-stream' };
  const register = (jws: string) => running.call('POST', '/api/v1/firmware', jws, jose);
  const upload = (sha256: string, bytes: Buffer) =>
    running.call('POST', `/api/v1/firmware/parts?sha256=${sha256}`, bytes, stream);
  const wanting = (firmware: object) => ({
    ...SMALL_FLEET,
    fleet: { ...SMALL_FLEET.fleet, firmware },
  });

  it('is offered when all its parts are here, and wanted only then', async () => {
    const jws = sign(manifest);
    const registered = await register(jws);
    expect([registered.status, registered.json.missing.length]).toEqual([201, 3]);
    const early = await running.call('PUT', '/api/v1/fleet', wanting({ version: '1.1.0' }));
    expect([early.status, early.json.problems[0].path]).toEqual([400, '$.fleet.firmware.version']);
    for (const { role, sha256 } of manifest.parts) {
      expect((await upload(sha256, version.bytes[role])).status).toBe(201);
    }
    expect((await running.call('GET', '/api/v1/firmware')).json).toMatchObject([
      { version: '1.1.0', missing: [] },
    ]);
    const window = { start: '01:00', end: '04:00' };
    expect((await running.call('PUT', '/api/v1/fleet', wanting({ version: '1.1.0', window }))).status).toBe(
      200,
    );
    const kept = await running.call('DELETE', '/api/v1/firmware/1.1.0');
    expect([kept.status, kept.json.code]).toEqual([409, 'controller/conflict']);
    await putFleet();
    expect((await running.call('DELETE', '/api/v1/firmware/1.1.0')).status).toBe(204);
    expect(await createFiles().list(join(running.directory, 'firmware'))).toEqual([]);
  });

  it.each<[string, () => string]>([
    [
      'by nobody that is trusted',
      () => sign(manifest, issue(makeCa(), { kind: 'firmware-signing', commonName: 'x' })),
    ],
    [
      'by a key for other things',
      () => sign(manifest, issue(RELEASE.ca, { kind: 'owner', commonName: 'x' })),
    ],
    ['over something else', () => sign({ hello: 1 })],
    ['not at all', () => 'no.jws'],
  ])('signed %s is not taken', async (_, jws) => {
    const answer = await register(jws());
    expect([answer.status, answer.json.code]).toEqual([400, 'model/invalid']);
    expect((await running.call('GET', '/api/v1/firmware')).json).toEqual([]);
  });

  it('takes no part that it does not name, and no other bytes than its own', async () => {
    const [root] = manifest.parts;
    const sha256 = root?.sha256 ?? '';
    expect((await upload(sha256, version.bytes.root)).status).toBe(404);
    await register(sign(manifest));
    expect((await upload('0'.repeat(64), version.bytes.root)).status).toBe(404);
    expect((await upload(sha256, version.bytes.verity)).json.message).toContain('SHA-256');
    expect(
      (await upload(sha256, Buffer.concat([version.bytes.root, Buffer.from('x')]))).json.message,
    ).toContain('at most');
    expect((await running.call('GET', '/api/v1/firmware')).json[0].missing.length).toBe(3);
  });

  it('is one content: another build of that name is a conflict', async () => {
    await register(sign(manifest));
    const other = await register(sign({ ...manifest, rootHash: 'e'.repeat(64) }));
    expect([other.status, other.json.code]).toEqual([409, 'controller/conflict']);
    expect((await register(sign(manifest))).status).toBe(201);
  });
});
