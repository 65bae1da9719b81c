/**
 * Owns what Docker Engine is told of a container when it is made: its limits, and what it may do. Pure.
 */
import type { ContainerRequest } from './engine.ts';

/** What of a container's network it could change or forge; an app's own address is ours to give. */
const NETWORK_CAPABILITIES = ['NET_ADMIN', 'NET_RAW'];

/** Docker's create body. Pure. */
export function containerBody(request: ContainerRequest): unknown {
  const joined = request.network.kind === 'joined';
  return {
    Image: request.image,
    Labels: request.labels,
    Env: Object.entries(request.environment).map(([name, value]) => `${name}=${value}`),
    ...(request.command === undefined ? {} : { Cmd: request.command }),
    // A container in another's namespace has its host name and resolver from there; naming them is an error.
    ...(request.hostname === undefined || joined ? {} : { Hostname: request.hostname }),
    HostConfig: {
      Mounts: (request.volumes ?? []).map(({ name, path }) => ({
        Type: 'volume',
        Source: name,
        Target: path,
      })),
      NetworkMode: request.network.kind === 'joined' ? `container:${request.network.container}` : 'none',
      // Without one, Docker hands the box's own resolvers to a tenant.
      ...(joined ? {} : { Dns: ['127.0.0.1'] }),
      RestartPolicy: { Name: request.restart === 'always' ? 'always' : 'no' },
      Memory: request.memoryBytes,
      // Equal to Memory: no swap on top of the limit.
      MemorySwap: request.memoryBytes,
      NanoCpus: Math.round(request.cpus * 1e9),
      PidsLimit: request.pids,
      CapDrop: request.drop === 'all' ? ['ALL'] : NETWORK_CAPABILITIES,
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: request.readOnly,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '2' } },
    },
  };
}
