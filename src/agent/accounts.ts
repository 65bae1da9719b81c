/**
 * Owns the number of a user or a group by its name, out of what the machine says of them. Pure; does not own reading that.
 */

/** Of a user in passwd(5), of a group in group(5): the third field in both. Pure. */
export function accountIdOf(accounts: string, name: string): number | undefined {
  const fields = accounts.split('\n').map((line) => line.split(':'));
  const id = fields.find(([known]) => known === name)?.[2];
  return id !== undefined && /^\d{1,9}$/.test(id) ? Number(id) : undefined;
}
