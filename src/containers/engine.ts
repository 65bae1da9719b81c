/**
 * Owns the port to a container engine: what Branchbox needs of Docker Engine, and later of Podman.
 * Does not own any engine's protocol (dockerEngine), nor what is done with it (the drivers).
 */

export interface EngineVersion {
  readonly name: 'docker' | 'podman';
  readonly version: string;
}

/** As an engine's list shows it; only containers that carry our label are ever listed. */
export interface EngineContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'removing' | 'dead';
  /** `none`, `container:<id>`. */
  readonly networkMode: string;
}

export interface EngineContainerDetails {
  readonly id: string;
  readonly running: boolean;
  /** Path of the network namespace, valid while it runs: unlike a PID it is never another's. */
  readonly namespacePath: string | undefined;
  readonly restarts: number;
  readonly exitCode: number;
  readonly outOfMemory: boolean;
  /** In the engine's words, why it did not start. */
  readonly error: string;
}

export interface EngineImage {
  readonly id: string;
  /** Tags and digests by which it is known. */
  readonly names: readonly string[];
  readonly sizeBytes: number;
}

export interface ContainerRequest {
  readonly name: string;
  readonly image: string;
  readonly hostname?: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** By the engine's name; made where there is none, and kept when the container goes. */
  readonly volumes?: readonly { readonly name: string; readonly path: string }[];
  readonly labels: Readonly<Record<string, string>>;
  readonly network: { readonly kind: 'none' } | { readonly kind: 'joined'; readonly container: string };
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  readonly restart: 'always' | 'never';
  readonly readOnly: boolean;
  /** all: not one capability; network: those by which it could change or forge its network. */
  readonly drop: 'all' | 'network';
}

export interface EngineEvent {
  /** An app, or an image. */
  readonly subject: string;
  readonly action: string;
}

/** Every call takes at most its own time, and fails with `engine/unreachable` or, in the engine's words, `engine/refused`. */
export interface Engine {
  version(signal: AbortSignal): Promise<EngineVersion>;
  /** One call for all containers with the label, running or not. */
  listContainers(label: string, signal: AbortSignal): Promise<readonly EngineContainer[]>;
  /** undefined where there is none. */
  inspectContainer(idOrName: string, signal: AbortSignal): Promise<EngineContainerDetails | undefined>;
  /** The new container's id. */
  createContainer(request: ContainerRequest, signal: AbortSignal): Promise<string>;
  startContainer(idOrName: string, signal: AbortSignal): Promise<void>;
  /** Kills it where it runs; no error where it is not there. */
  removeContainer(idOrName: string, signal: AbortSignal): Promise<void>;
  listImages(signal: AbortSignal): Promise<readonly EngineImage[]>;
  pullImage(reference: string, signal: AbortSignal): Promise<void>;
  /** Loads an archive in `docker save` format; the names it brought. */
  loadImage(archivePath: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Makes an image of one layer from a tar, with one entry point. */
  importImage(tar: Uint8Array, name: string, entrypoint: string, signal: AbortSignal): Promise<void>;
  tagImage(idOrName: string, name: string, signal: AbortSignal): Promise<void>;
  /** Takes one name away, and the image with its last; no error where it is not there or a container holds it. */
  removeImage(name: string, signal: AbortSignal): Promise<void>;
  /** What happens to containers with the label and to images, until the signal aborts. Only a reason to look again. */
  follow(label: string, onEvent: (event: EngineEvent) => void, signal: AbortSignal): Promise<void>;
}
