/**
 * Owns what the API's routes are handed.
 */
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { Clock } from '../../system/ports.ts';
import type { Activations } from '../activation.ts';
import type { Blobs } from '../blobs.ts';
import type { CaDrop } from '../caDrop.ts';
import type { FirmwareStore } from '../firmware.ts';
import type { FleetService } from '../fleetService.ts';
import type { ManufacturerClient } from '../manufacturer/client.ts';
import type { Media } from '../media.ts';
import type { Invitations } from '../moving.ts';
import type { Orders } from '../orders.ts';
import type { PendingBoxes } from '../pending.ts';
import type { Presence } from '../presence.ts';
import type { ServiceRevocations } from '../serviceRevocations.ts';
import type { Store } from '../store/store.ts';

export interface ApiContext {
  readonly store: Store;
  readonly fleet: FleetService;
  readonly bundles: Blobs;
  readonly firmware: FirmwareStore;
  readonly orders: Pick<Orders, 'factoryReset' | 'testUplinks' | 'move'>;
  readonly presence: Pick<Presence, 'silentSince'>;
  readonly pending: Pick<PendingBoxes, 'approve' | 'deny' | 'forget' | 'claim'>;
  readonly activations: Pick<Activations, 'make'>;
  readonly media: Media;
  readonly manufacturer: Pick<ManufacturerClient, 'release'>;
  readonly invitations: Invitations;
  readonly caDrop: Pick<CaDrop, 'overview' | 'drop'>;
  readonly serviceRevocations: ServiceRevocations;
  /** DER. */
  readonly revocationList: () => Uint8Array;
  /** A box was approved, revoked, released or forgotten. */
  readonly onInventoryChange: () => void;
  readonly clock: Clock;
}

export type Api = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** There is one admin so far; roles come with accounts. */
export const ADMIN = 'admin';
