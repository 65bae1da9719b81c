/** Owns the parsers of what reaches the controller from boxes and foreign clients. */
import { readBasic } from '../../src/controller/activation.ts';
import { certificateRequestOf } from '../../src/controller/est/certificateRequest.ts';
import {
  type Input,
  type Read,
  readBootstrappingInput,
  readReportInput,
} from '../../src/controller/sztp/rpcInput.ts';
import { decodeNewerJson } from '../../src/model/decode.ts';
import { BranchboxError } from '../../src/model/errors.ts';
import { EventBatch, gatewayOfTopic, MESSAGE_MAX_BYTES, Reply } from '../../src/model/mqtt.ts';
import { SZTP_MEDIA_TYPE, SZTP_XML_MEDIA_TYPE } from '../../src/model/sztp.ts';
import { GatewayStatus } from '../../src/model/status.ts';
import { statusWith } from '../unit/controller/statusFixture.ts';
import { mutateBase64 } from './mutateBase64.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import { json, type Samples, SZTP_REQUEST, SZTP_REQUEST_XML, text, utf8 } from './samples.ts';

const { status: STATUS, events: EVENTS, reply: REPLY } = MESSAGE_MAX_BYTES;

/** The server refuses by an answer, the fuzzer by an error. */
function taken<T>(read: Read<T>): T {
  if ('input' in read) return read.input;
  throw new BranchboxError('model/invalid', { message: JSON.stringify(read.refused.data) });
}

const inJson = (input: Uint8Array): Input => ({ text: utf8(input), encoding: SZTP_MEDIA_TYPE });
const inXml = (input: Uint8Array): Input => ({ text: utf8(input), encoding: SZTP_XML_MEDIA_TYPE });

export function controllerParsers(samples: Samples): readonly FuzzParser[] {
  const common = { isSigned: false, share: 4, refusals: ['pki/', 'model/invalid'] } as const;
  const asJson = { ...common, mutate: mutateJson } as const;
  const asText = { ...common, mutate: mutateText } as const;
  return [
    {
      ...asJson,
      name: 'sztp-request',
      maxBytes: 16 * 1024,
      covers: [],
      share: 6,
      samples: [SZTP_REQUEST],
      parse: (input) => JSON.stringify(taken(readBootstrappingInput(inJson(input)))),
    },
    {
      ...asJson,
      name: 'sztp-progress',
      maxBytes: 16 * 1024,
      covers: [],
      samples: [
        json({
          'ietf-sztp-bootstrap-server:input': { 'progress-type': 'bootstrap-complete', message: 'done' },
        }),
      ],
      parse: (input) => JSON.stringify(taken(readReportInput(inJson(input)))),
    },
    {
      ...asText,
      name: 'sztp-request-xml',
      maxBytes: 64 * 1024,
      covers: [],
      samples: [SZTP_REQUEST_XML],
      parse: (input) => JSON.stringify(taken(readBootstrappingInput(inXml(input)))),
    },
    {
      ...common,
      name: 'est-request',
      maxBytes: 24 * 1024,
      covers: ['certificateRequest#certificateRequestOf'],
      share: 8,
      mutate: mutateBase64,
      samples: [samples.request, samples.rsaRequest].map(text),
      parse: (input) => {
        const read = certificateRequestOf(Buffer.from(input));
        return 'der' in read ? String(read.der.length) : undefined;
      },
    },
    {
      ...asText,
      name: 'basic-credentials',
      maxBytes: 16 * 1024,
      covers: [],
      share: 6,
      samples: [text(`Basic ${Buffer.from('code:ABCD2345').toString('base64')}`)],
      parse: (input) => readBasic(utf8(input))?.link,
    },
    {
      ...asJson,
      name: 'gateway-status',
      covers: [],
      samples: [json(statusWith('branch1', { sequence: 3, seed: 1 }))],
      parse: (input) => String(decodeNewerJson(GatewayStatus, utf8(input), 'a status', STATUS).sequence),
    },
    {
      ...asJson,
      name: 'gateway-events',
      covers: [],
      samples: [
        json({
          gatewayId: 'branch1',
          events: [{ id: 'boot-1', atMs: 1, kind: 'agent-started', subject: 'agent', sentence: 'x' }],
        }),
      ],
      parse: (input) => String(decodeNewerJson(EventBatch, utf8(input), 'events', EVENTS).events.length),
    },
    {
      ...asJson,
      name: 'gateway-reply',
      covers: [],
      samples: [json({ kind: 'done', id: '1', ok: true, message: 'm' })],
      parse: (input) => decodeNewerJson(Reply, utf8(input), 'a reply', REPLY).kind,
    },
    {
      ...asText,
      name: 'mqtt-topic',
      covers: [],
      share: 3,
      samples: [text('branchbox/v1/gw/branch1/status')],
      parse: (input) => gatewayOfTopic(utf8(input)),
    },
  ];
}
