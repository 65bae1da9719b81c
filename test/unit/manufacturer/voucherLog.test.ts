/** The log of vouchers, held against a box that asks without end and domains without end: bounded, and nothing rare is lost. */
import { expect, it } from 'vitest';
import { createDevices, type VoucherIssued } from '../../../src/controller/manufacturer/devices.ts';

function world() {
  const contents = new Map<string, string>();
  const devices = createDevices({
    directory: '/m',
    files: {
      readText: async (path) => contents.get(path),
      writeDurable: async (path, content) => void contents.set(path, String(content)),
      remove: async (path) => void contents.delete(path),
      list: async (directory) =>
        [...contents.keys()].map((path) => path.slice(directory.length + 1)).toSorted(),
    },
  });
  let issuedAtMs = 0;
  const issue = async (count: number, entry: Partial<VoucherIssued> = {}) => {
    for (let made = 0; made < count; made += 1) {
      issuedAtMs += 1000;
      const domainFingerprint = 'a'.repeat(64);
      await devices.audit({
        serial: 'B',
        customer: 'c',
        issuedAtMs,
        nonced: true,
        domainFingerprint,
        ...entry,
      });
    }
  };
  return { issue, log: () => [...contents.values()].map((text) => JSON.parse(text)) };
}

it('keeps the last of what is alike, and all that is not', async () => {
  const { issue, log } = world();
  await issue(1, { domainFingerprint: 'b'.repeat(64) });
  await issue(1, { nonced: false });
  await issue(25);
  expect(log().map(({ issuedAtMs, nonced }) => [issuedAtMs / 1000, nonced])).toEqual([
    [1, true],
    [2, false],
    ...Array.from({ length: 10 }, (_, index) => [18 + index, true]),
  ]);
});

it('is bounded whatever is asked for', async () => {
  const { issue, log } = world();
  for (let domain = 0; domain < 130; domain += 1) {
    await issue(1, {
      domainFingerprint: domain.toString(16).padStart(64, '0').split('').toReversed().join(''),
    });
  }
  expect(log().length).toBe(100);
  expect(log().at(-1).issuedAtMs).toBe(130_000);
});
