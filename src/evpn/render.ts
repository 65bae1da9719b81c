/**
 * Owns the overlay of a desired state: segments with their ports, and the BGP EVPN sessions that join them across
 * sites. Pure.
 * Does not own the way to the VTEPs (wan) nor what may pass between segments (policy).
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { NetItem } from '../net/items.ts';
import { renderBgp } from './bgp.ts';
import { renderSegment } from './segments.ts';

export function renderEvpn(spec: DesiredSpec, facts: Facts): NetItem[] {
  return [...renderBgp(spec), ...spec.segments.flatMap((segment) => renderSegment(segment, spec, facts))];
}
