/**
 * Owns parsers that are wrong on purpose, one in each way that the fuzzer must find. No part of the table.
 */
import { fileURLToPath } from 'node:url';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { BranchboxError } from '../../src/model/errors.ts';
import { bentWord } from './hostileWords.ts';
import { mutateBytes } from './mutateBytes.ts';
import { mutateDer } from './mutateDer.ts';
import { mutateJson } from './mutateJson.ts';
import type { FuzzParser } from './parser.ts';
import { json, readSamples } from './samples.ts';
import { createScriptBench } from './scriptBench.ts';

const utf8 = (input: Uint8Array): string => Buffer.from(input).toString('utf8');

export function createParsers(): readonly FuzzParser[] {
  const certificate = Buffer.from(readSamples().ldevid, 'base64');
  const ofBytes = {
    covers: [],
    share: 1,
    samples: [Buffer.from('a sample of some length')],
    mutate: mutateBytes,
    refusals: ['pki/'],
    isSigned: false,
  } as const;
  const ofJson = {
    ...ofBytes,
    samples: [json({ name: 'x', list: [{ deep: 1 }] })],
    mutate: mutateJson,
  } as const;
  const kept: Uint8Array[] = [];
  const scripts = createScriptBench({
    from: fileURLToPath(new URL('planted', import.meta.url)),
    scripts: { careless: [] },
    commands: {},
  });
  return [
    {
      ...ofBytes,
      name: 'foreign-error',
      parse: (input) => decodeURIComponent(Buffer.from(input).toString('latin1').replaceAll('m', '%')),
      samples: [Buffer.from('a saple')],
    },
    {
      ...ofBytes,
      name: 'other-code',
      parse: (input) => {
        if (input.length < 5) throw new BranchboxError('internal', { message: 'too short' });
        return '';
      },
    },
    // Believes a certificate without a look at its signature.
    {
      ...ofBytes,
      name: 'unsigned',
      isSigned: true,
      samples: [certificate],
      mutate: mutateDer,
      parse: (input) => {
        const { number, notAfterMs, dnsNames } = parseCertificate(input);
        return JSON.stringify([number, notAfterMs, dnsNames]);
      },
    },
    {
      ...ofJson,
      name: 'prototype',
      parse: (input) => {
        const value: unknown = parsed(utf8(input));
        if (typeof value === 'object' && value !== null) assignDeep({}, value, 0);
        return '';
      },
    },
    { ...ofJson, name: 'quadratic', maxBytes: 40_000, parse: (input) => String(runsIn(utf8(input))) },
    {
      ...ofBytes,
      name: 'long-words',
      parse: (input) => {
        if (input.length > 1_000)
          throw new BranchboxError('pki/malformed', { message: utf8(input).repeat(40) });
        return '';
      },
    },
    {
      ...ofBytes,
      name: 'hang',
      parse: (input) => {
        while (input.length > 1_000);
        return '';
      },
    },
    {
      ...ofBytes,
      name: 'memory',
      parse: (input) => {
        const all: number[][] = [];
        while (input.length > 1_000) all.push(Array<number>(10_000).fill(all.length));
        return '';
      },
    },
    {
      ...ofBytes,
      name: 'leak',
      parse: (input) => {
        kept.push(Uint8Array.from({ length: 8_000 }, () => input.length));
        return '';
      },
    },
    {
      ...ofBytes,
      name: 'careless-script',
      mutate: (_sample, chance) => Buffer.from(bentWord('good', chance), 'latin1'),
      parse: (input) =>
        scripts.within(async (world) => {
          const word = Buffer.from(input).toString('latin1');
          await world.run('careless', [word]).catch(() => {});
          return '';
        }),
    },
  ];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As many a library merged: follows `__proto__` to where it leads. */
function assignDeep(to: object, from: object, depth: number): void {
  for (const [key, value] of Object.entries(from)) {
    const there: unknown = Reflect.get(to, key);
    if (typeof value === 'object' && value !== null && depth < 100) {
      if (typeof there === 'object' && there !== null) assignDeep(there, value, depth + 1);
      else {
        const made = {};
        Reflect.set(to, key, made);
        assignDeep(made, value, depth + 1);
      }
    } else Reflect.set(to, key, value);
  }
}

/** Takes time by the square of the longest run of one character. */
function runsIn(text: string): number {
  let found = 0;
  for (let from = 0; from < text.length; from += 1) {
    for (let to = from; to < text.length && text[to] === text[from]; to += 1) found += 1;
  }
  return found;
}
