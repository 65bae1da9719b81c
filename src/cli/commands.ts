/**
 * Owns the table of the command line's first words and where each one's code is.
 * A command is one file exporting `register(program: Command): void`; it is loaded only when it is
 * called, so that `branchbox lab exec` does not pay for MQTT, fastify or pkijs.
 */
import type { Command } from 'commander';

export interface CommandModule {
  readonly register: (program: Command) => void;
}

export interface CommandEntry {
  readonly name: string;
  /** Shown by `branchbox --help` without loading the command. */
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** Set by the bundler (image/bundle.ts): a box has no checkout to make a lab from, so the lab's code is left out. */
declare const BRANCHBOX_BUNDLED: boolean | undefined;
const LAB: readonly CommandEntry[] =
  typeof BRANCHBOX_BUNDLED === 'undefined'
    ? [
        {
          name: 'lab',
          summary: 'an internet, a controller, a hub, branches and hosts on this machine',
          load: () => import('./lab.ts'),
        },
      ]
    : [];

/** Ordered as `--help` shows them. Adding a command is adding a file and a line here. */
export const COMMANDS: readonly CommandEntry[] = [
  ...LAB,
  {
    name: 'fleet',
    summary: 'describe the fleet to its controller, and see how it is',
    load: () => import('./fleet.ts'),
  },
  {
    name: 'controller',
    summary: 'the process that boxes belong to: API, bootstrap and EST server, MQTT',
    load: () => import('./controller.ts'),
  },
  {
    name: 'manufacturer',
    summary: 'factory identities and voucher signing, in a process of its own',
    load: () => import('./manufacturer.ts'),
  },
  {
    name: 'signer',
    summary: 'domain CA and configuration signing, in a process of its own',
    load: () => import('./signer.ts'),
  },
  {
    name: 'bootstrap',
    summary: 'how far this box is on its way into service',
    load: () => import('./bootstrap.ts'),
  },
  {
    name: 'identity',
    summary: 'the identity process of this box (started by its unit)',
    load: () => import('./identity.ts'),
  },
  {
    name: 'installer-page',
    summary: 'the page on LAN ports of a box that is not enrolled (started by its unit)',
    load: () => import('./installerPage.ts'),
  },
  {
    name: 'status',
    summary: 'on a box: what it holds to, and how it is',
    load: () => import('./status.ts'),
  },
  {
    name: 'console',
    summary: 'on a box: its status screen',
    load: () => import('./console.ts'),
  },
  {
    name: 'plan',
    summary: 'on a box: what would change, as text',
    load: () => import('./plan.ts'),
  },
  {
    name: 'explain',
    summary: 'on a box: why an item is as it is, or why it waits',
    load: () => import('./explain.ts'),
  },
  {
    name: 'check',
    summary: 'on a box: what this kernel offers, and what is missing for what',
    load: () => import('./check.ts'),
  },
  {
    name: 'test',
    summary: 'on a box: tests its uplinks, in sentences for whoever installs it',
    load: () => import('./test.ts'),
  },
  {
    name: 'firmware',
    summary: 'on a box: its firmware, what is on trial, and updating it',
    load: () => import('./firmware.ts'),
  },
  {
    name: 'agent',
    summary: 'the process that holds this box to its desired state (started by its unit)',
    load: () => import('./agent.ts'),
  },
];
