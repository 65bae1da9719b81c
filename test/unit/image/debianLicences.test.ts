import { describe, expect, it } from 'vitest';
import { parseLicences } from '../../../image/debianLicences.ts';

const TCPDUMP = `Licensed under the 3-clause BSD license:

  Redistribution and use in source and binary forms, with or without
  modification, are permitted provided that the following conditions
  are met:

    1. Redistributions of source code must retain the above copyright
       notice, this list of conditions and the following disclaimer.
    2. Redistributions in binary form must reproduce the above copyright
       notice, this list of conditions and the following disclaimer in
       the documentation and/or other materials provided with the
       distribution.
    3. The names of the authors may not be used to endorse or promote
       products derived from this software without specific prior
       written permission.
`;

const TCPDUMP_OTHERS = `
Some files in this package are licensed under the 4-clause BSD license,
the copyright on most of them belongs to The Regents of the University
of California.
`;

const LIBCRYPT = `On Debian systems the complete text of the licenses can be found in
/usr/share/common-licenses/ .

The overall license for libxcrypt is the GNU Lesser General Public
License, version 2.1 (or, at your option, any later version); see
the file COPYING.LIB for the full terms of this license.

 * Copyright David Burren et al.; 3-clause BSD:
   alg-des.h, alg-des.c, alg-des-tables.c,

 * Public domain, written by Ulrich Drepper et al.:
   crypt-sha256.c, crypt-sha512.c

 * Copyright Solar Designer, Colin Percival; 0-clause BSD:
   alg-yescrypt-common.c, alg-yescrypt-platform.c

 * Copyright Colin Percival; 2-clause BSD:
   alg-sha512.h, alg-sha512.c

 * Copyright Zack Weinberg and Free Software Foundation, Inc;
   GPL (v3 or later), with Autoconf exception:
   build-aux/m4/zw_automodern.m4, build-aux/m4/zw_simple_warnings.m4

 * Copyright Kevin Cernekee; FSF All Permissive License:
   build-aux/m4/ax_check_vscript.m4
`;

const AMD_UCODE = `Upstream License (AMD-UCODE, AMD_SEV):

    Permission is hereby granted by Advanced Micro Devices, Inc. ("AMD"),
    free of any license fees, to any person obtaining a copy of this
    microcode in binary form (the "Software") ("You"), to install,
    reproduce, copy and distribute copies of the Software and to permit
    persons to whom the Software is provided to do the same, subject to
    the following terms and conditions.

    You may not reverse engineer, decompile, or disassemble this Software
    or any portion thereof.
`;

const AMD_PMF = `Upstream License: (AMD_PMF):

    REDISTRIBUTION: Permission is hereby granted, free of any license fees,
    to any person obtaining a copy of this microcode (the "Software"), to
    install, reproduce, copy and distribute copies, in binary form only, of
    the Software and to permit persons to whom the Software is provided to
    do the same, provided that the following conditions are met:
`;

const INTEL = `     Redistribution and use in binary form, without modification, are
     permitted, provided that the following conditions are met:

     2.  Neither the name of Intel Corporation nor the names of its
         suppliers may be used to endorse or promote products derived from
         this software without specific prior written permission.

     3.  No reverse engineering, decompilation, or disassembly of this
         software is permitted.

The Debian packaging is licensed under the GPLv2 (or at your option, any later version).  Refer to
\`/usr/share/common-licenses/GPL-2' for the full text of the license.
`;

/** As pppd's sources have it, quoted with the asterisks of their comments. */
const PPP = `
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions
 * are met:
 *
 * 2. The name(s) of the authors of this software must not be used to
 *    endorse or promote products derived from this software without
 *    prior written permission.
 *
 * 3. Redistributions of any form whatsoever must retain the following
 *    acknowledgment:
`;

describe('the licences that a Debian copyright file names', () => {
  it('are the fields of a machine-readable one, and those alone', () => {
    const text =
      'Files: *\nLicense: GPL-2+\n On Debian: /usr/share/common-licenses/GPL-2.\n\nLicense:  ISC\n\nLicense: GPL-2+\n';
    expect(parseLicences(text)).toEqual(['GPL-2+', 'ISC']);
    expect(parseLicences(`License: Expat\n\n${TCPDUMP}`)).toEqual(['Expat']);
  });

  it('are in prose the texts that it points to, without the sentence’s full stop', () => {
    expect(parseLicences('The text is in /usr/share/common-licenses/LGPL-2.1.')).toEqual(['LGPL-2.1']);
    expect(parseLicences('Do what you want.')).toEqual([]);
  });

  it.each([
    ['tcpdump', TCPDUMP + TCPDUMP_OTHERS, ['BSD-3-Clause', 'BSD-4-Clause']],
    ['libpcap0.8t64', TCPDUMP, ['BSD-3-Clause']],
    [
      'libcrypt1',
      LIBCRYPT,
      [
        '0BSD',
        'BSD-2-Clause',
        'BSD-3-Clause',
        'FSFAP',
        'GPL-3.0-or-later WITH AdditionRef-Autoconf-exception',
        'LGPL-2.1-or-later',
        'LicenseRef-public-domain',
      ],
    ],
    ['amd64-microcode', AMD_UCODE + AMD_PMF, ['LicenseRef-AMD-PMF', 'LicenseRef-AMD-ucode']],
    // The pointer is of the packaging alone.
    ['intel-microcode', INTEL, ['GPL-2', 'LicenseRef-Intel-microcode']],
    ['ppp', PPP, ['BSD-3-Clause-Attribution']],
  ])('are in the prose of %s known by their words', (_, text, licences) => {
    expect(parseLicences(text)).toEqual(licences);
  });

  it('are told apart by each text’s own conditions, where BSD’s stand one behind the other', () => {
    const text = TCPDUMP.replace('Licensed under the 3-clause BSD license:', '');
    const withoutNames = text.replace(/ {4}3\.[^]*/, '');
    const advertising =
      '3. All advertising materials mentioning features or use of this software must display the following:\n';
    expect(parseLicences(text)).toEqual(['BSD-3-Clause']);
    expect(parseLicences(withoutNames)).toEqual(['BSD-2-Clause']);
    expect(parseLicences(text + advertising)).toEqual(['BSD-4-Clause']);
    expect(parseLicences(withoutNames + text + text + advertising)).toEqual([
      'BSD-2-Clause',
      'BSD-3-Clause',
      'BSD-4-Clause',
    ]);
  });

  it('are not guessed from a part of a text', () => {
    expect(parseLicences(AMD_UCODE.replace('reverse engineer', 'sell'))).toEqual([]);
    expect(
      parseLicences(
        'It is not in the public domain, and may not be redistributed in source and binary forms.',
      ),
    ).toEqual([]);
  });
});
