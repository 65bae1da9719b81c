/** What the journal tells of how a box got its owner. */
import { describe, expect, it } from 'vitest';
import { createOwnedEntry } from '../../../src/bootstrap/ownedEntry.ts';
import type { JournalEntry } from '../../../src/model/bootstrap.ts';

const owned = (note: JournalEntry['note']): JournalEntry => ({ state: 'OWNED', enteredAtMs: 0, note });
const BY_SERVER = owned({
  server: 'boot.example:443',
  reporting: 'verbose',
  voucherMadeAt: '2026-03-01T00:00:00.000Z',
});
const BY_MEDIUM = owned({ medium: 'a-mark' });
const read = (...entries: readonly JournalEntry[]) => {
  const entry = createOwnedEntry({ history: () => entries });
  return [entry.onboarder(), entry.voucherMadeAtMs(), entry.isByMedium()];
};

describe('how a box got its owner', () => {
  const byServer = [
    { server: 'boot.example:443', verbose: true },
    Date.parse('2026-03-01T00:00:00.000Z'),
    false,
  ];
  it.each<[string, readonly JournalEntry[], readonly unknown[]]>([
    ['nobody owns it', [], [undefined, undefined, false]],
    ['a server named the owner', [BY_SERVER], byServer],
    ['a medium named the owner', [BY_MEDIUM], [undefined, undefined, true]],
    ['the last one counts', [BY_MEDIUM, BY_SERVER], byServer],
    ['later states change nothing', [BY_SERVER, { ...BY_MEDIUM, state: 'ENROLLING' }], byServer],
    [
      'a server that wants little, and a date that is none',
      [owned({ server: 'boot.example:443', reporting: 'minimal', voucherMadeAt: 'soon' })],
      [{ server: 'boot.example:443', verbose: false }, undefined, false],
    ],
  ])('%s', (_name, entries, told) => {
    expect(read(...entries)).toEqual(told);
  });
});
