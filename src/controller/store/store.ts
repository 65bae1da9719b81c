/**
 * Owns what is asked of the controller's memory, as an interface: asynchronous, so that a database server can stand
 * behind it. Does not own what is remembered of each thing (entities.ts) nor how it is kept (sqlite*.ts).
 */
import type { GatewayEvent, GatewayStatus } from '../../model/status.ts';
import type { UplinkReport } from '../../model/uplinkReport.ts';
import type {
  ActivationRecord,
  ActivationTries,
  AuditEntry,
  DesiredRecord,
  FleetDocument,
  FleetOutline,
  FleetRevision,
  InventoryEntry,
  InventoryMove,
  IssuedCertificate,
  LdevidRecord,
  OpenClaim,
  Page,
  PendingBox,
  ReportedKey,
  StatusRecord,
  StoredEvent,
  TakenTry,
} from './entities.ts';

export interface Store {
  readonly fleet: {
    /** 0 where none is stored; cheap. */
    revision(): Promise<number>;
    /** Throws model/invalid where it breaks a rule of this version. */
    read(): Promise<FleetRevision | undefined>;
    outline(): Promise<FleetOutline | undefined>;
    /** As it was stored, whatever rule it breaks. */
    document(): Promise<FleetDocument | undefined>;
    /** Refuses with controller/conflict unless the stored revision is `expectedRevision` (0: none stored). */
    replace(next: Omit<FleetRevision, 'revision'>, expectedRevision: number, atMs: number): Promise<number>;
  };
  readonly inventory: {
    list(): Promise<readonly InventoryEntry[]>;
    get(serial: string): Promise<InventoryEntry | undefined>;
    /** false where the serial is known already. */
    add(
      serial: string,
      box: {
        readonly model?: string | undefined;
        readonly approved: boolean;
        readonly twoFactor?: boolean;
        readonly joined?: InventoryEntry['joined'];
      },
      atMs: number,
    ): Promise<boolean>;
    update(
      serial: string,
      change: {
        readonly approved?: boolean;
        readonly twoFactor?: boolean;
        readonly state?: InventoryEntry['state'];
        readonly joined?: InventoryEntry['joined'];
      },
    ): Promise<void>;
    remove(serial: string): Promise<void>;
    /** Binds at first, and says whether this is the bound identity. One step, so that two cannot both be first. */
    bind(
      serial: string,
      identity: { issuerKeyId: string; spkiSha256: string },
      atMs: number,
    ): Promise<boolean>;
    quarantine(serial: string, spkiSha256: string, reason: string, atMs: number): Promise<void>;
    recordProgress(serial: string, type: string, message: string | undefined, atMs: number): Promise<void>;
    /** undefined: it was ordered nowhere. */
    recordMove(serial: string, move: InventoryMove | undefined): Promise<void>;
  };
  readonly pending: {
    list(): Promise<readonly PendingBox[]>;
    /** Each key that came with that serial. */
    ofSerial(serial: string): Promise<readonly PendingBox[]>;
    /** New or seen again; `full`, and nothing done, where it is new and there is no room. */
    see(box: PendingBox): Promise<'new' | 'again' | 'full'>;
    /** The oldest of those denied give way to new ones. */
    deny(serial: string, spkiSha256: string): Promise<void>;
    /** All keys of the serial, or one; how many there were. */
    remove(serial: string, spkiSha256?: string): Promise<number>;
    /** Forgets who was not seen since. */
    forget(before: { readonly waitingMs: number; readonly deniedMs: number }): Promise<void>;
  };
  readonly claims: {
    list(): Promise<readonly OpenClaim[]>;
    /** Replaces an earlier one of that code; false where there is no room. Those that ended by `nowMs` make some. */
    put(claim: OpenClaim, nowMs: number): Promise<boolean>;
    get(code: string): Promise<OpenClaim | undefined>;
    remove(code: string): Promise<boolean>;
  };
  /** At most one a serial; they go with its inventory entry. */
  readonly activations: {
    put(record: ActivationRecord): Promise<void>;
    get(serial: string): Promise<ActivationRecord | undefined>;
    /** One step. Each key has `perKey` of its own, and `keys` may try; a new record begins anew. */
    takeTry(
      serial: string,
      spkiSha256: string,
      limits: { readonly perKey: number; readonly keys: number },
      atMs: number,
    ): Promise<TakenTry>;
    /** Of the record that there is, the latest first. */
    tries(serial: string): Promise<readonly ActivationTries[]>;
    /** false where there was none. */
    remove(serial: string): Promise<boolean>;
  };
  readonly gateways: {
    desired(gatewayId: string): Promise<DesiredRecord | undefined>;
    allDesired(): Promise<readonly DesiredRecord[]>;
    putDesired(record: DesiredRecord, atMs: number): Promise<void>;
    /** Whatever is designed next differs from it; nothing where it is not the one of that digest any more. */
    signAnew(gatewayId: string, digest: string): Promise<void>;
    removeDesired(gatewayId: string): Promise<void>;
    /** The highest epoch ever used. */
    epoch(): Promise<number>;
    setEpoch(epoch: number): Promise<void>;
    status(gatewayId: string): Promise<StatusRecord | undefined>;
    allStatus(): Promise<readonly StatusRecord[]>;
    putStatus(status: GatewayStatus, atMs: number): Promise<void>;
    removeStatus(gatewayId: string): Promise<void>;
    /** gatewayId → WireGuard public key. */
    publicKeys(): Promise<ReadonlyMap<string, string>>;
    /** The same, with the serial of the box that said so. */
    reportedKeys(): Promise<readonly ReportedKey[]>;
    /** Repeats (same gateway and id) are dropped. */
    addEvents(gatewayId: string, events: readonly GatewayEvent[], atMs: number): Promise<void>;
    events(gatewayId: string | undefined, page: Page): Promise<readonly StoredEvent[]>;
  };
  readonly firmware: {
    /** Version → signed manifest. */
    manifests(): Promise<ReadonlyMap<string, string>>;
    putManifest(version: string, manifest: string, atMs: number): Promise<void>;
    removeManifest(version: string): Promise<void>;
    /** SHA-256 → size of what was uploaded. */
    parts(): Promise<ReadonlyMap<string, number>>;
    addPart(sha256: string, sizeBytes: number, atMs: number): Promise<void>;
    removePart(sha256: string): Promise<void>;
  };
  /** Of uplink tests; the last of each gateway. */
  readonly uplinkReports: {
    /** A repeat (same gateway and id) is dropped. */
    add(gatewayId: string, report: UplinkReport, atMs: number): Promise<void>;
    /** Newest first. */
    list(
      gatewayId: string,
      limit: number,
    ): Promise<readonly { readonly receivedAtMs: number; readonly report: UplinkReport }[]>;
  };
  readonly records: {
    addCertificate(certificate: IssuedCertificate, atMs: number): Promise<void>;
    /**
     * A box has its certificate now. One step with a look at the inventory: false, and nothing done, where the box was
     * revoked or forgotten while the certificate was being made.
     */
    enrol(certificate: IssuedCertificate & { readonly serial: string }, atMs: number): Promise<boolean>;
    certificate(fingerprintSha256: string): Promise<IssuedCertificate | undefined>;
    /** Gateways' certificates that end after that time. */
    ldevids(endAfterMs: number): Promise<readonly LdevidRecord[]>;
    /** undefined: it counts again. */
    setRevoked(fingerprintSha256: string, atMs: number | undefined): Promise<void>;
    addBundle(sha256: string, sizeBytes: number, atMs: number): Promise<void>;
    bundles(): Promise<ReadonlyMap<string, number>>;
    /** The last entries of each actor are kept, of a box fewer than of an operator. */
    audit(entry: AuditEntry): Promise<void>;
    auditPage(page: Page): Promise<readonly (AuditEntry & { readonly number: number })[]>;
    meta(key: string): Promise<string | undefined>;
    setMeta(key: string, value: string): Promise<void>;
  };
  close(): Promise<void>;
}
