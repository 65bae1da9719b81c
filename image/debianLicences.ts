/**
 * Owns reading the names of licences out of a Debian copyright file. Pure.
 * Does not own which packages there are, nor that each must have one (inventory.ts).
 */

interface Known {
  /** SPDX's identifier, or LicenseRef-NAME where SPDX has none. */
  readonly id: string;
  /** All in a text of it, or of one that says it is under it; white space is single blanks. */
  readonly words: readonly RegExp[];
}

/** What prose is known by that points to no text of /usr/share/common-licenses: of few packages, and so a short list. */
const KNOWN: readonly Known[] = [
  { id: 'BSD-4-Clause', words: [/\b4-clause BSD\b/i] },
  { id: 'BSD-3-Clause', words: [/\b3-clause BSD\b/i] },
  { id: 'BSD-2-Clause', words: [/\b2-clause BSD\b/i] },
  { id: '0BSD', words: [/\b0-clause BSD\b/i] },
  { id: 'FSFAP', words: [/\bFSF All Permissive License\b/i] },
  {
    id: 'LGPL-2.1-or-later',
    words: [/\bGNU Lesser General Public License, version 2\.1 \(or, at your option, any later version\)/],
  },
  {
    id: 'GPL-2.0-or-later WITH AdditionRef-Autoconf-exception',
    words: [/\bGPL \(v2 or later\), with Autoconf exception/],
  },
  {
    id: 'GPL-3.0-or-later WITH AdditionRef-Autoconf-exception',
    words: [/\bGPL \(v3 or later\), with Autoconf exception/],
  },
  { id: 'LicenseRef-public-domain', words: [/\bPublic domain, written by\b/] },
  {
    id: 'LicenseRef-Intel-microcode',
    words: [
      /Redistribution and use in binary form, without modification, are permitted/,
      /Neither the name of Intel Corporation nor the names of its suppliers/,
      /No reverse engineering, decompilation, or disassembly of this software is permitted/,
    ],
  },
  {
    id: 'LicenseRef-AMD-ucode',
    words: [
      /Permission is hereby granted by Advanced Micro Devices, Inc\. \("AMD"\), free of any license fees, to any person obtaining a copy of this microcode in binary form/,
      /You may not reverse engineer, decompile, or disassemble this Software/,
    ],
  },
  {
    id: 'LicenseRef-AMD-PMF',
    words: [
      /\bAMD_PMF\b/,
      /obtaining a copy of this microcode \(the "Software"\), to install, reproduce, copy and distribute copies, in binary form only/,
    ],
  },
];

const BSD = /Redistribution and use in source and binary forms, with or without modification, are permitted/;
/** The longest of them, to the end of its conditions. */
const BSD_LENGTH = 1200;
/** The first that fits: each of the upper ones has the words of those below it too. */
const BSD_KINDS: readonly Known[] = [
  { id: 'BSD-4-Clause', words: [/All advertising materials mentioning features or use of this software/] },
  { id: 'BSD-3-Clause-Attribution', words: [/Redistributions of any form whatsoever must retain/] },
  { id: 'BSD-3-Clause', words: [/used to endorse or promote products derived from this software/] },
  { id: 'BSD-2-Clause', words: [/Redistributions in binary form must reproduce/] },
];

/**
 * Of the machine-readable form (DEP 5) each `License:` field, as Debian calls it. Of prose the texts in
 * /usr/share/common-licenses that it points to, and those that are known by their words: the file itself has
 * the last word. Sorted; empty: none was recognised.
 */
export function parseLicences(text: string): readonly string[] {
  const fields = [...text.matchAll(/^License:[ \t]*(\S.*)$/gm)].map(([, name = '']) => name.trim());
  if (fields.length > 0) return sorted(fields);
  const pointers = [...text.matchAll(/\/usr\/share\/common-licenses\/([A-Za-z0-9.+-]*[A-Za-z0-9+])/g)].map(
    ([, name = '']) => name,
  );
  // Quoted from sources, each line begins with an asterisk.
  const prose = text.replaceAll(/^[ \t]*\*+/gm, '').replaceAll(/\s+/g, ' ');
  const known = KNOWN.filter((each) => isIn(prose, each));
  const bsd = prose
    .split(BSD)
    .slice(1)
    .flatMap((conditions) => BSD_KINDS.find((each) => isIn(conditions.slice(0, BSD_LENGTH), each)) ?? []);
  return sorted([...pointers, ...[...known, ...bsd].map(({ id }) => id)]);
}

const isIn = (text: string, { words }: Known): boolean => words.every((each) => each.test(text));

const sorted = (names: readonly string[]): readonly string[] => [...new Set(names)].sort();
