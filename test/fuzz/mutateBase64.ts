/** Owns bending base64 and what it carries. Does not own DER. */
import { type Mutate, mutateBytes } from './mutateBytes.ts';
import { mutateDer } from './mutateDer.ts';
import { mutateText } from './mutateText.ts';

export const mutateBase64: Mutate = (sample, chance, others) => {
  if (chance.once(6)) return mutateText(sample, chance, others);
  if (chance.once(6)) return mutateBytes(sample, chance, others);
  const inside = Buffer.from(Buffer.from(sample).toString('latin1'), 'base64');
  const decoded = others.map((other) => Buffer.from(Buffer.from(other).toString('latin1'), 'base64'));
  const text = Buffer.from(mutateDer(inside, chance, decoded)).toString('base64');
  // As others send it: in lines.
  return Buffer.from(chance.once(3) ? (text.match(/.{1,64}/g) ?? []).join('\r\n') : text);
};
