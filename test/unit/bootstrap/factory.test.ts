/** What the factory put on a box, read: a file that does not fit is named, with all that is wrong. */
import { describe, expect, it } from 'vitest';
import { createDeviceKeys } from '../../../src/bootstrap/deviceKeys.ts';
import { readFactory } from '../../../src/bootstrap/factory.ts';
import type { BranchboxError } from '../../../src/model/errors.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { createAuthorities, issued } from './authorities.ts';
import { createBox } from './box.ts';

describe('the factory identity', () => {
  it('whose serial number no part of the product could use is refused in words', async () => {
    const authorities = createAuthorities();
    const box = await createBox(authorities, 1);
    const profile = { kind: 'idevid', serialNumber: 'PID:X SN:1', commonName: 'box' } as const;
    const { certificate } = issued(authorities.manufacturer, profile);
    await box.files.writeDurable(`${box.paths.factory}/idevid.crt`, certificate.pem);
    await box.files.writeDurable(`${box.paths.factory}/serial`, 'PID:X SN:1\n');
    const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const keys = createDeviceKeys({ readiness: readTpmReadiness(undefined), tpm: undefined, log: silent });
    const problems = await readFactory(box.files, box.paths.factory, keys).then(
      () => [],
      (thrown: BranchboxError) => thrown.problems.map(({ message }) => message),
    );
    expect(problems[0]).toMatch(/^cannot be used: the serial number "PID:X SN:1" of the factory identity/);
    await box.remove();
  });

  it('is refused with every problem at its file', async () => {
    const box = await createBox(createAuthorities(), 1);
    const other = createAuthorities();
    await box.files.writeDurable(`${box.paths.factory}/serial`, 'OTHER-BOX\n');
    await box.files.writeDurable(`${box.paths.factory}/idevid.key`, 'nonsense');
    await box.files.writeDurable(`${box.paths.factory}/voucher-anchor.pem`, '');
    await box.files.writeDurable(`${box.paths.factory}/chain.pem`, other.domain.certificate.pem);
    const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const keys = createDeviceKeys({ readiness: readTpmReadiness(undefined), tpm: undefined, log: silent });
    const error: BranchboxError = await readFactory(box.files, box.paths.factory, keys).then(
      () => {
        throw new Error('it was taken');
      },
      (thrown) => thrown,
    );
    expect(error.code).toBe('model/invalid');
    expect(error.problems.map(({ path }) => path.split('/').at(-1))).toEqual([
      'voucher-anchor.pem',
      'idevid.key',
      'idevid.crt',
    ]);
    await box.remove();
  });
});
