/** Owns the form of what a container engine says of apps. Does not own asking it (containers) nor what follows (telemetry). */

export interface AppObservation {
  readonly app: string;
  readonly state: 'running' | 'starting' | 'stopped' | 'failed';
  readonly restarts: number;
  /** Why it does not run, where the engine knows. */
  readonly reason: string | undefined;
}

/** All apps; or why the engine does not tell them, in its words. */
export type AppsReading = { readonly apps: readonly AppObservation[] } | { readonly untold: string };

export const observedApp = (reading: AppsReading, name: string): AppObservation | undefined =>
  'apps' in reading ? reading.apps.find(({ app }) => app === name) : undefined;
