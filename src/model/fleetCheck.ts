/**
 * Owns which parts of a fleet may not stand together: what two of them may not both have, and what refers to nothing.
 * Pure. Does not own any part's form (fleet.ts), what belongs to one gateway or segment (fleetPlaces.ts) nor uplinks
 * (fleetUnderlay.ts).
 */
import { contains, overlaps } from './addresses.ts';
import { type Path, type Report, reportDuplicates } from './crossCheck.ts';
import type { Fleet, FleetGateway } from './fleet.ts';
import { checkPlaces } from './fleetPlaces.ts';
import { checkUnderlay } from './fleetUnderlay.ts';
import { eachReadable, type Finder, finderOf, ifReadable } from './readable.ts';

/** Each rule by itself: one that reads what is wrong in form is silent, and the next is judged all the same. */
export function checkFleet(fleet: Fleet, report: Report): void {
  reportDuplicates(
    report,
    'tenants',
    'name',
    () => fleet.tenants,
    (one) => one.name,
  );
  reportDuplicates(
    report,
    'segments',
    'id',
    () => fleet.segments,
    (one) => one.id,
  );
  reportDuplicates(
    report,
    'segments',
    'VNI',
    () => fleet.segments,
    (one) => one.vni,
  );
  reportDuplicates(
    report,
    'gateways',
    'id',
    () => fleet.gateways,
    (one) => one.id,
  );
  reportDuplicates(
    report,
    'gateways',
    'VTEP',
    () => fleet.gateways,
    (one) => one.vtep,
  );
  reportDuplicates(
    report,
    'gateways',
    'serial',
    () => fleet.gateways,
    (one) => one.serial,
  );
  reportDuplicates(
    report,
    'rules',
    'name',
    () => fleet.rules,
    (one) => one.name,
  );
  const tenantNamed = finderOf(
    () => fleet.tenants,
    ({ name }) => name,
  );
  const segmentOf = finderOf(
    () => fleet.segments,
    ({ id }) => id,
  );
  eachReadable(
    () => fleet.segments,
    ({ tenant }, i) => {
      if (tenantNamed(tenant) === undefined)
        report(['segments', i, 'tenant'], `no tenant is named ${tenant}`);
    },
  );
  eachReadable(
    () => fleet.gateways,
    (gateway, i) => {
      ifReadable(() => {
        if (!contains(fleet.fleet.vtepRange, gateway.vtep))
          report(['gateways', i, 'vtep'], `is outside the fleet's VTEP range ${fleet.fleet.vtepRange}`);
      });
      checkReferences(gateway, ['gateways', i], segmentOf, report);
    },
  );
  checkPlaces(fleet, report);
  checkUnderlay(fleet, report);
  ifReadable(() => {
    if (overlaps(fleet.fleet.vtepRange, fleet.fleet.tunnelRange))
      report(['fleet', 'tunnelRange'], 'overlaps the VTEP range');
  });
}

function checkReferences(
  gateway: FleetGateway,
  at: Path,
  segmentOf: Finder<Fleet['segments'][number]>,
  report: Report,
): void {
  const uplinkOn = finderOf(
    () => gateway.uplinks,
    ({ port }) => port,
  );
  eachReadable(
    () => gateway.ports,
    (port, j) => {
      ifReadable(() => {
        if (segmentOf(port.segment) === undefined)
          report([...at, 'ports', j, 'segment'], `no segment is named ${port.segment}`);
      });
      if (uplinkOn(port.port) !== undefined)
        report([...at, 'ports', j, 'port'], `port ${port.port} is an uplink`);
    },
  );
  eachReadable(
    () => gateway.apps,
    (app, j) => {
      const segment = segmentOf(app.segment);
      const path = [...at, 'apps', j];
      if (segment === undefined) {
        report([...path, 'segment'], `no segment is named ${app.segment}`);
        return;
      }
      ifReadable(() => {
        if (segment.tenant !== app.tenant)
          report([...path, 'tenant'], `segment ${segment.id} belongs to tenant ${segment.tenant}`);
      });
      if (segment.subnet === undefined)
        report([...path, 'segment'], `segment ${segment.id} has no subnet to place an app in`);
      else if (!contains(segment.subnet, app.address))
        report([...path, 'address'], `is outside ${segment.subnet}`);
    },
  );
}
