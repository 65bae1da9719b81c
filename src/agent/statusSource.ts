/**
 * Owns handing telemetry what it judges a status by.
 */
import type { Engine } from '../containers/engine.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { Condition, GatewayStatus } from '../model/status.ts';
import type { System } from '../system/ports.ts';
import type { LinkState } from './controllerLink.ts';
import type { DesiredSnapshot } from './desiredState.ts';
import type { LaneState } from './holding.ts';

export interface StatusInput {
  readonly spec: DesiredSpec | undefined;
  readonly facts: Facts;
  readonly states: readonly LaneState[];
  readonly desired: DesiredSnapshot;
  readonly link: LinkState;
}
export type StatusParts = Pick<GatewayStatus, 'health' | 'uplinks' | 'paths' | 'segments' | 'apps'>;

export function createStatusSource(_: { readonly system: System; readonly engine: Engine }): {
  read(input: StatusInput): Promise<StatusParts>;
} {
  return {
    async read({ states, facts, spec }) {
      const conditions: Condition[] = [];
      for (const { report } of states) {
        for (const [id, error] of report?.failures ?? []) {
          conditions.push({
            code: 'item-failed',
            severity: 'error',
            subject: id,
            sentence: error.message,
            sinceMs: 0,
          });
        }
        for (const { id, missing } of report?.plan.blocked ?? []) {
          const sentence = `waits for ${missing.join(', ')}`;
          conditions.push({ code: 'item-blocked', severity: 'warning', subject: id, sentence, sinceMs: 0 });
        }
      }
      return {
        health: { state: conditions.length === 0 ? 'ok' : 'degraded', conditions },
        uplinks: (spec?.uplinks ?? []).map((uplink) => {
          const port = facts.ports.find(({ label }) => label === uplink.port);
          const lease = facts.leases.find(({ ifname }) => ifname === port?.ifname);
          return {
            name: uplink.name,
            port: uplink.port,
            ...(port?.ifname === undefined ? {} : { ifname: port.ifname }),
            carrier: port?.carrier ?? false,
            ...(lease === undefined ? {} : { address: lease.address, gateway: lease.gateway }),
            state: lease === undefined ? 'down' : 'up',
          };
        }),
        paths: [],
        segments: [],
        apps: [],
      };
    },
  };
}
