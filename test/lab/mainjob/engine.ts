/**
 * Owns asking the container engine of a gateway what it runs, by its own API: a box has no engine's command line.
 */
import { jsonIn } from './lab.ts';

interface Container {
  readonly State: { readonly Pid: number; readonly Running: boolean };
  readonly HostConfig: {
    readonly NetworkMode: string;
    readonly Memory: number;
    readonly NanoCpus: number;
    readonly CpuQuota: number;
  };
}

const ask = <T>(node: string, path: string): Promise<T> =>
  jsonIn<T>(node, 'curl', '-sf', '--unix-socket', '/run/docker.sock', `http://engine${path}`);

/** The container of an app itself, not the anchor that holds its namespace. */
export async function inspectApp(node: string, app: string): Promise<Container> {
  const filters = encodeURIComponent(JSON.stringify({ label: ['io.branchbox.app'] }));
  const all = await ask<{ Id: string; Names: string[]; HostConfig: { NetworkMode: string } }[]>(
    node,
    `/containers/json?filters=${filters}`,
  );
  const found = all.find(
    ({ Names, HostConfig }) =>
      HostConfig.NetworkMode.startsWith('container:') && Names.some((name) => name.endsWith(app)),
  );
  if (found === undefined)
    throw new Error(
      `${node} runs no container of app ${app}: ${JSON.stringify(all.map(({ Names }) => Names))}`,
    );
  return ask<Container>(node, `/containers/${found.Id}/json`);
}
