/** Where the operations of somebody else's bootstrap server stand (RFC 8040 3.1). */
import { describe, expect, it } from 'vitest';
import type { Https } from '../../../src/bootstrap/https.ts';
import { createOperations, parseHostMeta } from '../../../src/bootstrap/restconfRoot.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { Secret } from '../../../src/model/secret.ts';

const xrd = (...links: readonly string[]): string =>
  `<?xml version="1.0"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n${links.join('\n')}\n</XRD>`;

describe('a host-meta document', () => {
  it.each([
    [xrd('<Link rel="restconf" href="/restconf"/>'), '/restconf'],
    [xrd("<Link rel='lrdd' href='/x'/>", "<Link href='/top/api/'\n  rel='restconf'></Link>"), '/top/api'],
    [xrd('<x:Link rel="restconf" href="/"/>'), ''],
    [xrd('<Link rel="restconf" href="/a"/>', '<Link rel="restconf" href="/b"/>'), undefined],
    [xrd('<Link rel="restconf"/>'), undefined],
    [xrd('<Link rel="other" href="/restconf"/>'), undefined],
    [xrd('<Link rel="restconf" href="https://elsewhere.example/restconf"/>'), undefined],
    [xrd('<Link rel="restconf" href="//elsewhere.example/restconf"/>'), undefined],
    [xrd('<Link rel="restconf" href="/x?y=z"/>'), undefined],
    [xrd('<Link rel="restconf" href="/x&#10;Host: y"/>'), undefined],
    [xrd(`<Link rel="restconf" href="/${'x'.repeat(300)}"/>`), undefined],
    ['', undefined],
  ])('%j leads to %j', (document, root) => expect(parseHostMeta(document)).toBe(root));
});

describe('an operation', () => {
  const exchange = {
    server: { host: 'sztp.example', port: 443 },
    uplink: { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] },
    identity: { key: new Secret(''), certificatePem: '' },
    peer: undefined,
    method: 'POST',
    accept: 'application/yang-data+json',
    maxBytes: 1024,
  } as const;
  type Reply = { readonly status: number; readonly contentType?: string; readonly body?: string };

  /** Lines of what was asked, and the status that came of it. */
  async function invoke(replies: Readonly<Record<string, Reply>>) {
    const asked: string[] = [];
    const https: Https = async ({ method, path }) => {
      asked.push(`${method} ${path}`);
      const reply = replies[path];
      if (reply === undefined)
        throw new BranchboxError('bootstrap/unreachable', { message: 'nobody answers' });
      return {
        status: reply.status,
        contentType: reply.contentType ?? '',
        body: Buffer.from(reply.body ?? ''),
        retryAfterMs: undefined,
        asksForBasic: false,
      };
    };
    const { signal } = new AbortController();
    const { answer } = await createOperations(https).invoke('report-progress', exchange, signal);
    return { asked, status: answer.status };
  }
  const at = (root: string): string => `${root}/operations/ietf-sztp-bootstrap-server:report-progress`;
  const META = '/.well-known/host-meta';
  const meta = { status: 200, body: xrd('<Link rel="restconf" href="/top/api"/>') };

  it('is invoked below /restconf, and nothing else asked, where that answers', async () => {
    const { asked } = await invoke({ [at('/restconf')]: { status: 204 } });
    expect(asked).toEqual([`POST ${at('/restconf')}`]);
  });

  it('is looked for where the host says, where nothing is there', async () => {
    const page = { status: 404, contentType: 'text/html' };
    const replies = { [at('/restconf')]: page, [META]: meta, [at('/top/api')]: { status: 204 } };
    expect(await invoke(replies)).toEqual({
      asked: [`POST ${at('/restconf')}`, `GET ${META}`, `POST ${at('/top/api')}`],
      status: 204,
    });
  });

  it.each([
    ['RESTCONF itself refuses', { [META]: meta }, 'application/yang-data+json', 1],
    ['the host says nothing', { [META]: { status: 404 } }, 'text/plain', 2],
    [
      'the host says the same',
      { [META]: { ...meta, body: xrd('<Link rel="restconf" href="/restconf/"/>') } },
      '',
      2,
    ],
    ['nobody answers', {}, 'text/plain', 2],
  ])('is refused as it was first, where %s', async (_, replies, contentType, count) => {
    const { asked, status } = await invoke({ [at('/restconf')]: { status: 404, contentType }, ...replies });
    expect([asked.length, status]).toEqual([count, 404]);
  });
});
