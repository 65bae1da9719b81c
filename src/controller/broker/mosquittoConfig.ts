/**
 * Owns mosquitto's configuration and access rules as text. Pure.
 * Does not own the process (broker.ts). docs/mqtt.md says what each rule is for.
 */
import { DESIRED_MAX_BYTES } from '../../model/desired.ts';
import { PACKET_OVERHEAD_BYTES, topicsOf } from '../../model/mqtt.ts';

export interface BrokerPlace {
  /** Everything of the broker's: configuration, credentials, persistence. */
  readonly directory: string;
  readonly listenAddress: string;
  readonly port: number;
  /** Given where the controller runs as root: whom the broker becomes. */
  readonly user: string | undefined;
}

export const REVOCATIONS_FILE = 'revoked.crl';

export function renderBrokerConfig(place: BrokerPlace): string {
  const file = (name: string) => `${place.directory}/${name}`;
  return [
    '# Written by the controller at every start.',
    ...(place.user === undefined ? [] : [`user ${place.user}`]),
    `pid_file ${file('mosquitto.pid')}`,
    'log_dest stdout',
    'log_timestamp false',
    'log_type error',
    'log_type warning',
    'log_type notice',
    // For its word that it has read its files again (broker.ts).
    'log_type information',
    'per_listener_settings false',
    'allow_anonymous false',
    `acl_file ${file('acl')}`,
    'persistence true',
    `persistence_location ${file('data')}/`,
    'autosave_interval 30',
    // A box that stays away for longer starts a session anew; retained messages are kept for ever.
    'persistent_client_expiration 14d',
    `max_packet_size ${DESIRED_MAX_BYTES + PACKET_OVERHEAD_BYTES}`,
    'max_queued_messages 1000',
    // Of `::` mosquitto makes a listener of IPv6 alone (IPV6_V6ONLY); Node's servers, of that, one of both families.
    place.listenAddress === '::' ? `listener ${place.port}` : `listener ${place.port} ${place.listenAddress}`,
    'tls_version tlsv1.3',
    `cafile ${file('domain.crt')}`,
    `certfile ${file('server.crt')}`,
    `keyfile ${file('server.key')}`,
    // Of the certificate itself, not of its issuer; without a list that is in force nobody is let in.
    `crlfile ${file(REVOCATIONS_FILE)}`,
    'require_certificate true',
    // The name that the CA gave is the user, and the user is the client id, whatever the client says it is.
    'use_identity_as_username true',
    'use_username_as_clientid true',
    '',
  ].join('\n');
}

/** What is not named here is denied. `%u` is the user: the common name of the certificate. */
export function renderAcl(controllerName: string): string {
  const own = topicsOf('%u');
  return [
    `pattern read ${own.desired}`,
    `pattern read ${own.cmd}`,
    `pattern write ${own.status}`,
    `pattern write ${own.events}`,
    `pattern write ${own.reply}`,
    '',
    `user ${controllerName}`,
    'topic readwrite branchbox/#',
    '',
  ].join('\n');
}
