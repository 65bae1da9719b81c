/**
 * Owns the list of JSON read-outs that scripts may rely on, each with the command that prints it.
 */
import type { z } from 'zod';
import { FleetOverview } from '../../../src/controller/overview.ts';
import { ActivationMade } from '../../../src/cli/fleetInventory.ts';
import { LabEvent } from '../../../src/lab/events.ts';
import { LabInfo } from '../../../src/lab/info.ts';
import { LabStatus } from '../../../src/lab/labStatus.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import { BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { ErrorReadout } from '../../../src/model/errorReadout.ts';
import { LocalFirmware } from '../../../src/model/firmware.ts';
import {
  Explanation,
  ItemList,
  LocalCheck,
  LocalEvents,
  LocalPlan,
  LocalStatus,
} from '../../../src/model/localStatus.ts';
import { GatewayStatus } from '../../../src/model/status.ts';
import { UplinkReport } from '../../../src/model/uplinkReport.ts';

export interface Readout {
  readonly name: string;
  readonly schema: z.ZodType;
  /** On a box where it begins with `branchbox`, else on the lab's machine; undefined where one alone does not. */
  readonly command?: readonly string[];
}

export const READOUTS: readonly Readout[] = [
  { name: 'lab-info', schema: LabInfo, command: ['lab', 'info', '--json'] },
  { name: 'lab-status', schema: LabStatus, command: ['lab', 'status', '--json'] },
  { name: 'status', schema: LocalStatus, command: ['branchbox', 'status', '--json'] },
  { name: 'plan', schema: LocalPlan, command: ['branchbox', 'plan', '--json'] },
  { name: 'explain', schema: Explanation, command: ['branchbox', 'explain', 'link:br-10010', '--json'] },
  { name: 'items', schema: ItemList, command: ['branchbox', 'explain', '--json'] },
  { name: 'check', schema: LocalCheck, command: ['branchbox', 'check', '--json'] },
  {
    name: 'bootstrap-status',
    schema: BootstrapStatus,
    command: ['branchbox', 'bootstrap', 'status', '--json'],
  },
  { name: 'firmware', schema: LocalFirmware, command: ['branchbox', 'firmware', 'status', '--json'] },
  { name: 'events', schema: LocalEvents, command: ['branchbox', 'status', '--events', '--json'] },
  { name: 'uplink-report', schema: UplinkReport, command: ['branchbox', 'test', 'uplinks', '--json'] },
  { name: 'mqtt-status', schema: GatewayStatus },
  // These are held against what is printed in test/lab/mainjob/09-readouts.test.ts: they need more than a command.
  { name: 'lab-events', schema: LabEvent },
  { name: 'fleet-status', schema: FleetOverview },
  { name: 'fleet', schema: Fleet },
  { name: 'activation', schema: ActivationMade },
  { name: 'error', schema: ErrorReadout },
];
