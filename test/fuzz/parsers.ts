/**
 * Owns the table of all parsers of outside input. A new one is added here; test/property/fuzz.test.ts tells of one in
 * src/bootstrap or src/pki that was forgotten.
 */
import type { FuzzParser } from './parser.ts';
import { bootstrapParsers } from './parsersBootstrap.ts';
import { boxParsers } from './parsersBox.ts';
import { controllerParsers } from './parsersController.ts';
import { estParsers } from './parsersEst.ts';
import { networkParsers } from './parsersNetwork.ts';
import { pathParsers } from './parsersPath.ts';
import { pkiParsers } from './parsersPki.ts';
import { scriptParsers } from './parsersScripts.ts';
import { readSamples } from './samples.ts';

export function createParsers(): readonly FuzzParser[] {
  const samples = readSamples();
  return [
    ...pkiParsers(samples),
    ...pathParsers(samples),
    ...bootstrapParsers(samples),
    ...estParsers(samples),
    ...networkParsers(),
    ...boxParsers(samples),
    ...controllerParsers(samples),
    ...scriptParsers(),
  ];
}
