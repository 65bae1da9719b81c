/**
 * Owns finding the id of a user or a group by its name in the text of passwd(5) or group(5). Pure.
 * Does not own reading the files.
 */

/** Of a user in passwd(5), of a group in group(5): the third field in both. Pure. */
export function accountIdOf(accounts: string, name: string): number | undefined {
  const fields = accounts.split('\n').map((line) => line.split(':'));
  const id = fields.find(([known]) => known === name)?.[2];
  return id !== undefined && /^\d{1,9}$/.test(id) ? Number(id) : undefined;
}
