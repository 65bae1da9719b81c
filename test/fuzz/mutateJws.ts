/** Owns bending a compact JWS part by part, each by what it holds. Does not own any of those. */
import { type Mutate, mutateBytes } from './mutateBytes.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateText } from './mutateText.ts';

export const mutateJws: Mutate = (sample, chance, others) => {
  if (chance.once(4)) return mutateText(sample, chance, others);
  const parts = Buffer.from(sample).toString('latin1').split('.');
  const at = chance.below(parts.length);
  const inside = Buffer.from(parts[at] ?? '', 'base64url');
  const bent = at === 2 ? mutateBytes(inside, chance, []) : mutateJson(inside, chance, []);
  if (chance.once(6)) {
    // A part of another one that is good by itself.
    const other = Buffer.from(chance.one([sample, ...others]))
      .toString('latin1')
      .split('.');
    return Buffer.from(parts.with(at, other[chance.below(other.length)] ?? '').join('.'));
  }
  return Buffer.from(parts.with(at, Buffer.from(bent).toString('base64url')).join('.'));
};
