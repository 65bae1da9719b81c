/**
 * Owns the parsers of what reaches a box that has its owner: desired states, orders and firmware, its boot partition, and
 * the installer's browser. Does not own those of its way there (parsersBootstrap.ts).
 */
import { acceptOrder } from '../../src/agent/orders.ts';
import { readMoveOrder } from '../../src/bootstrap/moves.ts';
import { decodeJson, tryDecode } from '../../src/model/decode.ts';
import { DesiredState } from '../../src/model/desired.ts';
import { ActivationLinkId, ActivationOffer, plainCode } from '../../src/model/installer.ts';
import { Command, MESSAGE_MAX_BYTES } from '../../src/model/mqtt.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { decodeMessage } from '../../src/system/dbusDecode.ts';
import { parseEntryName } from '../../src/update/entries.ts';
import { verifyManifest } from '../../src/update/manifest.ts';
import { readRootHash } from '../../src/update/uki.ts';
import { readRequest } from '../../src/web/installer/requests.ts';
import { GATEWAY, NOW_MS, SERIAL } from '../unit/bootstrap/authorities.ts';
import { busMessage } from '../fakes/busBytes.ts';
import { WIREGUARD_KEY } from './makeSamples.ts';
import { mutateBytes } from './mutateBytes.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateJws } from './mutateJws.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import { desiredStates, json, type Samples, text, ukiSample, utf8 } from './samples.ts';

const OWN = '172.31.254.1';

export function boxParsers(samples: Samples): readonly FuzzParser[] {
  const domain = parseCertificate(Buffer.from(samples.domain, 'base64'));
  const unsigned = { isSigned: false, refusals: ['pki/', 'model/invalid', 'bootstrap/refused'] } as const;
  const signed = { ...unsigned, isSigned: true } as const;
  const asJson = { ...unsigned, mutate: mutateJson } as const;
  const asText = { ...unsigned, mutate: mutateText } as const;

  return [
    {
      ...asJson,
      name: 'desired-state',
      covers: [],
      share: 2,
      samples: desiredStates(),
      parse: (input) => {
        const decoded = tryDecode(DesiredState, parsed(input));
        return decoded.ok ? String(decoded.value.generation) : undefined;
      },
    },
    {
      ...asJson,
      name: 'command',
      covers: [],
      share: 4,
      samples: [json({ kind: 'proof', nonce: 'n' }), json({ kind: 'events-stored', ids: ['a', 'b'] })],
      parse: (input) => decodeJson(Command, utf8(input), 'a command', MESSAGE_MAX_BYTES.cmd).kind,
    },
    {
      ...unsigned,
      // Of a process of the box's own, about what a network told it.
      name: 'message-bus',
      covers: ['dbusDecode#decodeMessage'],
      share: 12,
      refusals: ['system/dbus'],
      mutate: mutateBytes,
      samples: [
        busMessage(2, 9, [[5, ['u', 1]]], 'a{oa{sa{sv}}}', [
          {
            '/m': { I: { State: ['i', 8], Ports: ['a(su)', [['wwan0', 2]]], Retries: ['a{uu}', [[2, 3]]] } },
          },
        ]),
        busMessage(
          3,
          9,
          [
            [5, ['u', 1]],
            [4, ['s', 'a.b.Error']],
          ],
          's',
          ['words'],
        ),
      ],
      parse: (input) => decodeMessage(Buffer.from(input))?.message.body.length.toString(),
    },
    {
      ...signed,
      name: 'order',
      covers: [],
      share: 2,
      mutate: mutateJws,
      samples: [text(samples.order)],
      parse: async (input) => {
        const own = {
          anchors: [domain],
          gatewayId: GATEWAY,
          wireguardPublicKey: WIREGUARD_KEY,
          atMs: NOW_MS,
        };
        return JSON.stringify(await acceptOrder(utf8(input), own));
      },
    },
    {
      ...signed,
      name: 'move-order',
      covers: ['moves#readMoveOrder'],
      share: 2,
      mutate: mutateJws,
      samples: [text(samples.moveOrder)],
      parse: async (input) => {
        const idevid = parseCertificate(Buffer.from(samples.idevid, 'base64'));
        const own = {
          anchors: [domain],
          owner: { gatewayId: GATEWAY },
          factory: { serial: SERIAL, idevid },
          atMs: NOW_MS,
        };
        return JSON.stringify(await readMoveOrder(utf8(input), own));
      },
    },
    {
      ...signed,
      refusals: ['firmware/refused'],
      name: 'firmware-manifest',
      covers: [],
      share: 2,
      mutate: mutateJws,
      samples: [text(samples.manifest)],
      parse: async (input) =>
        JSON.stringify(await verifyManifest(utf8(input), { anchors: [domain], arch: 'x86-64' })),
    },
    {
      ...unsigned,
      name: 'kernel-image',
      covers: [],
      share: 10,
      mutate: mutateBytes,
      samples: [ukiSample()],
      parse: (input) => readRootHash(async (at, length) => input.subarray(at, at + length)),
    },
    {
      ...asText,
      name: 'boot-entry',
      covers: [],
      share: 3,
      samples: ['branchbox_1.2.3+2-1.efi', 'branchbox_0.2.0~rc1.efi'].map(text),
      parse: (input) => parseEntryName(utf8(input))?.version,
    },
    {
      ...asText,
      name: 'installer-request',
      maxBytes: 16 * 1024,
      covers: [],
      share: 10,
      samples: [
        text(`GET\n/activate?link=${'A'.repeat(22)}\n${OWN}\n`),
        text(`POST\n/activate\nbranchbox.internal\nhttp://branchbox.internal`),
      ],
      parse: (input) => {
        const [method = '', target = '', host, origin] = utf8(input).split('\n');
        const head = { method, target, host, origin, fetchSite: undefined };
        const asked = readRequest({ ...head, contentType: 'application/x-www-form-urlencoded' }, OWN);
        return asked.kind;
      },
    },
    {
      ...asText,
      name: 'installer-form',
      maxBytes: 16 * 1024,
      covers: [],
      share: 6,
      samples: [text(`token=abc&code=ABCD-2345&link=${'A'.repeat(22)}`)],
      parse: (input) => {
        const sent = new URLSearchParams(utf8(input));
        const link = ActivationLinkId.safeParse(sent.get('link')).data;
        const offer = ActivationOffer.safeParse({
          code: plainCode(sent.get('code') ?? ''),
          ...(link && { link }),
        });
        return offer.success ? offer.data.code : undefined;
      },
    },
  ];
}

function parsed(input: Uint8Array): unknown {
  try {
    return JSON.parse(utf8(input));
  } catch {
    return undefined;
  }
}
