/**
 * Owns the order of firmware versions: the boot loader's own (UAPI.10, "Version Format Specification", step by step as
 * its strverscmp_improved, also in names that nobody should give), so that what is newer here is what the loader boots
 * first. Pure.
 */

const digit = /^[0-9]+/;
const letters = /^[a-zA-Z]+/;
const foreign = /^[^a-zA-Z0-9~.^-]+/;

/** Negative where a is older than b, 0 where neither is. */
export function compareFirmwareVersions(a: string, b: string): number {
  let [left, right] = [a, b];
  /** Taken off both where both begin with it; else the order, where one does. */
  const passMark = (mark: string): number => {
    const order = Number(!left.startsWith(mark)) - Number(!right.startsWith(mark));
    if (order === 0 && left.startsWith(mark)) [left, right] = [left.slice(1), right.slice(1)];
    return order;
  };
  for (;;) {
    left = left.replace(foreign, '');
    right = right.replace(foreign, '');
    // Before the ends are looked at: 1.0~rc1 is older than 1.0, though longer. One at a time: 1~ is older than 1~~.
    const early = passMark('~');
    if (early !== 0) return early;
    if (left === '' || right === '') return Math.sign(left.length - right.length);
    // One of each, in this order, before the segment that follows.
    const late = passMark('-') || passMark('^') || passMark('.');
    if (late !== 0) return late;
    const [ownDigits, otherDigits] = [leading(digit, left), leading(digit, right)];
    const numeric = ownDigits !== '' || otherDigits !== '';
    const own = numeric ? ownDigits : leading(letters, left);
    const other = numeric ? otherDigits : leading(letters, right);
    const order = numeric ? compareNumbers(own, other) : compareText(own, other);
    if (order !== 0) return order;
    [left, right] = [left.slice(own.length), right.slice(other.length)];
  }
}

const leading = (pattern: RegExp, text: string): string => pattern.exec(text)?.[0] ?? '';
const compareText = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

/** No number at all is older than any; digits are never turned into a number, so that any length is compared exactly. */
function compareNumbers(a: string, b: string): number {
  if (a === '' || b === '') return Math.sign(a.length - b.length);
  const [own, other] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return Math.sign(own.length - other.length) || compareText(own, other);
}
