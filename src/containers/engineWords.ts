/**
 * Owns how what an engine says of a failure is told in a status: on one line, cut, and without the user and password of an
 * address (a proxy's, a registry's) that it may quote. Pure. Does not own which words it has said (engineHttp).
 */
import { asBranchboxError } from '../model/errors.ts';
import { oneLineOf } from '../model/foreignText.ts';

const MAX_CHARACTERS = 300;

export const engineWords = (said: string): string =>
  oneLineOf(said.replaceAll(/:\/\/[^\s/"]*@/g, '://'), MAX_CHARACTERS).replace(/\.$/, '');

export const engineErrorWords = (thrown: unknown): string => engineWords(asBranchboxError(thrown).message);
