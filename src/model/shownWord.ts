/**
 * Owns words of lists that grow from release to release, in fields that are for showing only: a controller shows the word of a
 * newer box as it is, and does not refuse the whole status for it. Does not own any list, nor fields that somebody acts on:
 * what an unknown word there means is not known.
 */
import { z } from 'zod';

/** As all those lists spell theirs. Of a type of its own, so that whoever makes one keeps to the known words. */
const UnknownWord = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'a word of at most 64 letters, digits, hyphens and underscores')
  .brand<'UnknownWord'>();

export const shownWord = <const W extends readonly string[]>(known: W) =>
  z.union([z.enum(known), UnknownWord]);
