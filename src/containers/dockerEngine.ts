/**
 * Owns Docker Engine as an `Engine`: its API's calls (v1.41 to v1.45), and what its answers mean.
 * Does not own the wire (engineHttp), nor when something is asked, nor what a container may do (dockerContainer).
 */
import { z } from 'zod';
import { decodeJson } from './engineJson.ts';
import { containerBody } from './dockerContainer.ts';
import type { Engine, EngineContainer } from './engine.ts';
import { createEngineHttp, type EngineAnswer, type EngineCall, type EngineHttp } from './engineHttp.ts';
import { BranchboxError } from '../model/errors.ts';

/** The newest version these calls were written against. */
const NEWEST_API = { major: 1, minor: 45 };
/** On a slow disk the kernel takes long to kill a process. */
const REMOVE_TIMEOUT_MS = 60_000;
/** Between two lines of progress: a layer is unpacked silently. */
const PROGRESS_TIMEOUT_MS = 180_000;

const Version = z.object({ Version: z.string().max(100), ApiVersion: z.string().regex(/^\d+\.\d+$/) });
const Listed = z.array(
  z.object({
    Id: z.string(),
    Labels: z.record(z.string(), z.string()).nullable(),
    State: z.enum(['created', 'running', 'paused', 'restarting', 'exited', 'removing', 'dead']),
    HostConfig: z.object({ NetworkMode: z.string() }),
  }),
);
const Inspected = z.object({
  Id: z.string(),
  RestartCount: z.number(),
  State: z.object({
    Running: z.boolean(),
    ExitCode: z.number(),
    OOMKilled: z.boolean(),
    Error: z.string(),
  }),
  NetworkSettings: z.object({ SandboxKey: z.string() }),
});
const Images = z.array(
  z.object({
    Id: z.string(),
    RepoTags: z.array(z.string()).nullable(),
    RepoDigests: z.array(z.string()).nullable(),
    Size: z.number(),
  }),
);
const Created = z.object({ Id: z.string() });
const Progress = z.object({ error: z.string().optional(), stream: z.string().optional() });
const Event = z.object({
  Type: z.string().optional(),
  Action: z.string().optional(),
  Actor: z
    .object({ ID: z.string().optional(), Attributes: z.record(z.string(), z.string()).optional() })
    .optional(),
});

export function createDockerEngine(options: { readonly socketPath: string }): Engine {
  return dockerEngineOver(createEngineHttp(options));
}

/** Apart from the socket, so that answers can be played in tests. */
export function dockerEngineOver(http: EngineHttp): Engine {
  /** Asked once, and again after a refusal: the engine may have been upgraded under us. */
  let prefix: string | undefined;
  const negotiate = async (signal: AbortSignal): Promise<string> => {
    const answer = await http.call({ method: 'GET', path: '/version', signal });
    return apiPrefix(decodeJson(Version, answer.text).ApiVersion);
  };
  /** Every call but that one goes this way: `send` gets it with the path of the version that is spoken. */
  const inVersion = async <T>(call: EngineCall, send: (call: EngineCall) => Promise<T>): Promise<T> => {
    // Not a promise that callers share: the first of them may give up, and take the others along.
    const spoken = prefix ?? (await negotiate(call.signal));
    prefix = spoken;
    try {
      return await send({ ...call, path: spoken + call.path });
    } catch (thrown) {
      if (thrown instanceof BranchboxError && thrown.code === 'engine/refused') prefix = undefined;
      throw thrown;
    }
  };
  const ask = (call: EngineCall): Promise<EngineAnswer> => inVersion(call, (whole) => http.call(whole));
  const call = async (of: EngineCall): Promise<string> => (await ask(of)).text;
  const lines = (of: EngineCall, onLine: (line: string) => void): Promise<void> =>
    inVersion(of, (whole) => http.lines(whole, onLine));
  /** A progress stream says 200 first and its error later. */
  const progress = async (of: EngineCall, onText: (text: string) => void): Promise<void> => {
    let error: string | undefined;
    await lines({ ...of, idleTimeoutMs: PROGRESS_TIMEOUT_MS }, (line) => {
      if (line.trim() === '') return;
      const step = decodeJson(Progress, line);
      error ??= step.error;
      if (step.stream !== undefined) onText(step.stream);
    });
    if (error !== undefined) {
      throw new BranchboxError('engine/image', { message: `the engine says: ${error.slice(0, 600)}` });
    }
  };

  return {
    async version(signal) {
      const answer = await http.call({ method: 'GET', path: '/version', signal });
      return { name: 'docker', version: decodeJson(Version, answer.text).Version };
    },
    async listContainers(label, signal) {
      const query = encode({ all: '1', filters: JSON.stringify({ label: [label] }) });
      const text = await call({ method: 'GET', path: `/containers/json?${query}`, signal });
      return decodeJson(Listed, text).map(
        (found): EngineContainer => ({
          id: found.Id,
          labels: found.Labels ?? {},
          state: found.State,
          networkMode: found.HostConfig.NetworkMode,
        }),
      );
    },
    async inspectContainer(idOrName, signal) {
      const path = `/containers/${encodeURIComponent(idOrName)}/json`;
      const answer = await ask({ method: 'GET', path, signal, accept: [404] });
      if (answer.status === 404) return undefined;
      const found = decodeJson(Inspected, answer.text);
      const sandbox = found.NetworkSettings.SandboxKey;
      return {
        id: found.Id,
        running: found.State.Running,
        namespacePath: found.State.Running && sandbox !== '' ? sandbox : undefined,
        restarts: found.RestartCount,
        exitCode: found.State.ExitCode,
        outOfMemory: found.State.OOMKilled,
        error: found.State.Error,
      };
    },
    async createContainer(request, signal) {
      const path = `/containers/create?${encode({ name: request.name })}`;
      const body = { kind: 'json', value: containerBody(request) } as const;
      return decodeJson(Created, await call({ method: 'POST', path, body, signal })).Id;
    },
    async startContainer(idOrName, signal) {
      const path = `/containers/${encodeURIComponent(idOrName)}/start`;
      await call({ method: 'POST', path, signal, idleTimeoutMs: REMOVE_TIMEOUT_MS });
    },
    async removeContainer(idOrName, signal) {
      const path = `/containers/${encodeURIComponent(idOrName)}?force=1&v=1`;
      await call({
        method: 'DELETE',
        path,
        signal,
        idleTimeoutMs: REMOVE_TIMEOUT_MS,
        accept: [404],
      });
    },
    async listImages(signal) {
      const text = await call({ method: 'GET', path: '/images/json', signal });
      return decodeJson(Images, text).map((found) => ({
        id: found.Id,
        names: [...(found.RepoTags ?? []), ...(found.RepoDigests ?? [])].filter((n) => !n.includes('<none>')),
        sizeBytes: found.Size,
      }));
    },
    async pullImage(reference, signal) {
      const query = encode({ fromImage: reference });
      await progress({ method: 'POST', path: `/images/create?${query}`, signal }, () => {});
    },
    async loadImage(archivePath, signal) {
      const names: string[] = [];
      const body = { kind: 'tar-file', path: archivePath } as const;
      await progress({ method: 'POST', path: '/images/load?quiet=1', body, signal }, (text) => {
        const name = /^Loaded image(?: ID)?: (\S+)/.exec(text)?.[1];
        if (name !== undefined) names.push(name);
      });
      return names;
    },
    async importImage(tar, name, entrypoint, signal) {
      const query = encode({
        fromSrc: '-',
        repo: name.slice(0, name.lastIndexOf(':')),
        tag: name.slice(name.lastIndexOf(':') + 1),
        changes: `ENTRYPOINT ${JSON.stringify([entrypoint])}`,
      });
      const body = { kind: 'tar', bytes: tar } as const;
      await progress({ method: 'POST', path: `/images/create?${query}`, body, signal }, () => {});
    },
    async tagImage(idOrName, name, signal) {
      const query = encode({
        repo: name.slice(0, name.lastIndexOf(':')),
        tag: name.slice(name.lastIndexOf(':') + 1),
      });
      await call({ method: 'POST', path: `/images/${idOrName}/tag?${query}`, signal });
    },
    async removeImage(name, signal) {
      // 409: a container holds it; it goes with a later sweep.
      await call({
        method: 'DELETE',
        path: `/images/${name}`,
        signal,
        idleTimeoutMs: REMOVE_TIMEOUT_MS,
        accept: [404, 409],
      });
    },
    async follow(label, onEvent, signal) {
      // Docker holds a label filter against images too, and theirs carry none of ours: filtered here.
      const query = encode({ filters: JSON.stringify({ type: ['container', 'image'] }) });
      await lines({ method: 'GET', path: `/events?${query}`, signal, idleTimeoutMs: 0 }, (line) => {
        const event = decodeJson(Event, line);
        const app = event.Actor?.Attributes?.[label];
        if (event.Type === 'image' || app !== undefined) {
          onEvent({ subject: app ?? event.Actor?.ID ?? '', action: event.Action ?? '' });
        }
      });
    },
  };
}

function apiPrefix(theirs: string): string {
  const [major = 1, minor = 41] = theirs.split('.').map(Number);
  const older = major < NEWEST_API.major || (major === NEWEST_API.major && minor < NEWEST_API.minor);
  return older ? `/v${major}.${minor}` : `/v${NEWEST_API.major}.${NEWEST_API.minor}`;
}

const encode = (query: Readonly<Record<string, string>>): string => new URLSearchParams(query).toString();
