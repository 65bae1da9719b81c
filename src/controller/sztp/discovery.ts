/**
 * Owns what a RESTCONF client looks for before it invokes an operation (RFC 8040 3.1 to 3.3, 9; RFC 7895): where the root
 * is, which operations there are, which modules. The same to everybody, and nothing of it about a fleet.
 * Does not own the operations (bootstrapServer.ts).
 */
import type { Answer } from '../exchange.ts';
import { type Encoding, NO_ENCODING, refusal, type YangAnswer } from './answers.ts';

const ROOT = '/restconf';
/** RFC 6415 2. */
const HOST_META = '/.well-known/host-meta';
const XRD = `<?xml version="1.0" encoding="UTF-8"?>
<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">
  <Link rel="restconf" href="${ROOT}"/>
</XRD>
`;

/** The revision of ietf-yang-library that RFC 8040 3.3.3 asks for. */
const YANG_LIBRARY = '2016-06-21';
const ietf = (
  name: string,
  revision: string,
  type: 'implement' | 'import',
  ...features: readonly string[]
) => ({
  name,
  revision,
  namespace: `urn:ietf:params:xml:ns:yang:${name}`,
  ...(features.length > 0 && { feature: features }),
  'conformance-type': type,
});
const MODULES = [
  // No redirect-server: who asks here is onboarded here.
  ietf('ietf-sztp-bootstrap-server', '2019-04-30', 'implement', 'onboarding-server'),
  {
    name: 'branchbox-sztp',
    revision: '2026-11-26',
    namespace: 'urn:branchbox:sztp',
    'conformance-type': 'implement',
  },
  ietf('ietf-restconf', '2017-01-26', 'implement'),
  ietf('ietf-restconf-monitoring', '2017-01-26', 'implement'),
  ietf('ietf-yang-library', YANG_LIBRARY, 'implement'),
  ietf('ietf-yang-types', '2013-07-15', 'import'),
  ietf('ietf-inet-types', '2013-07-15', 'import'),
];
const MODULES_STATE = {
  'ietf-yang-library:modules-state': {
    'module-set-id': MODULES.map(({ name, revision }) => `${name}@${revision}`).join(','),
    module: MODULES,
  },
};
const RESTCONF_STATE = {
  'ietf-restconf-monitoring:restconf-state': {
    // RFC 8040 9.1.2: this one MUST be named.
    capabilities: { capability: ['urn:ietf:params:restconf:capability:defaults:1.0?basic-mode=explicit'] },
  },
};
const OPERATIONS = {
  'ietf-sztp-bootstrap-server:get-bootstrapping-data': [null],
  'ietf-sztp-bootstrap-server:report-progress': [null],
};

const RESOURCES: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map<
  string,
  Readonly<Record<string, unknown>>
>([
  [ROOT, { 'ietf-restconf:restconf': { data: {}, operations: {}, 'yang-library-version': YANG_LIBRARY } }],
  [`${ROOT}/yang-library-version`, { 'ietf-restconf:yang-library-version': YANG_LIBRARY }],
  [`${ROOT}/operations`, { 'ietf-restconf:operations': OPERATIONS }],
  [`${ROOT}/data`, { 'ietf-restconf:data': { ...MODULES_STATE, ...RESTCONF_STATE } }],
  [`${ROOT}/data/ietf-yang-library:modules-state`, MODULES_STATE],
  [`${ROOT}/data/ietf-restconf-monitoring:restconf-state`, RESTCONF_STATE],
]);

/** undefined where `path` is none of these. A slash at its end is none of another resource. */
export function discovered(request: {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly encoding: Encoding | undefined;
}): Answer | YangAnswer | undefined {
  const path = request.path.length > 1 ? request.path.replace(/\/$/, '') : request.path;
  const resource = RESOURCES.get(path);
  if (path !== HOST_META && resource === undefined) return undefined;
  const headers = { Allow: 'GET, HEAD, OPTIONS' };
  if (request.method === 'OPTIONS') return { status: 204, headers };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...refusal(405, 'operation-not-supported', 'this resource is read only'), headers };
  }
  if (resource === undefined) return { status: 200, mediaType: 'application/xrd+xml', body: XRD };
  if (request.encoding === undefined) return NO_ENCODING;
  // RFC 8040 4.8: what is not supported must not be passed over. All of this is state, so that `content` leaves it whole.
  if (!['', 'content=all', 'content=nonconfig'].includes(request.query)) {
    return refusal(400, 'invalid-value', 'of query parameters there is content=all and content=nonconfig');
  }
  return { status: 200, data: resource };
}
