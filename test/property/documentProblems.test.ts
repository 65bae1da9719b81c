/**
 * A document that is wrong in form at one place and refers to nothing at another is refused with both, and one that is
 * wrong in form alone with nothing that only follows from it: every place of a desired state and of a fleet, with every
 * form of wrong value, against every reference.
 */
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { renderPath, tryDecode } from '../../src/model/decode.ts';
import { desired, fleet, type Path, type Subject } from './wholeDocuments.ts';

/** Every place of a document but its root. */
function placesOf(value: unknown, at: Path = []): Path[] {
  const own = at.length === 0 ? [] : [at];
  if (typeof value !== 'object' || value === null) return own;
  const parts = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [...own, ...parts.flatMap((part) => placesOf(Reflect.get(value, part), [...at, part]))];
}

const at = (document: unknown, path: Path): unknown =>
  path.reduce((holder, part) => Reflect.get(Object(holder), part), document);

function set(document: unknown, path: Path, value: unknown): void {
  const holder: unknown = at(document, path.slice(0, -1));
  Reflect.set(Object(holder), path.at(-1) ?? '', value);
}

/** What fits nowhere where that stands. */
function wrongFormsOf(value: unknown): readonly unknown[] {
  switch (typeof value) {
    case 'number':
      // Where any number fits, this is none: the schema says so.
      return ['text', null, value + 0.25];
    case 'boolean':
      return ['text', null];
    case 'string':
      return [5, null, {}];
    default:
      return [5, 'text', null];
  }
}

function withPlanted(document: unknown, plants: readonly { readonly path: Path; readonly value: unknown }[]) {
  // Not structuredClone: what two places share would stay shared.
  const copy: unknown = JSON.parse(JSON.stringify(document));
  for (const { path, value } of plants) set(copy, path, value);
  return copy;
}

function pathsOf(schema: z.ZodType, document: unknown): readonly string[] {
  const decoded = tryDecode(schema, document);
  return decoded.ok ? [] : decoded.problems.map(({ path }) => path);
}

/** Whether `path` is `place` or holds it. */
const holds = (path: Path, place: Path): boolean =>
  path.length <= place.length && path.every((part, i) => part === place[i] || place[i] === '*');

const isAtOrBelow = (problem: string, path: Path): boolean => {
  const place = renderPath(path);
  return problem === place || problem.startsWith(`${place}.`) || problem.startsWith(`${place}[`);
};

function wrongForms({ schema, document }: Subject) {
  return placesOf(document)
    .flatMap((path) => wrongFormsOf(at(document, path)).map((value) => ({ path, value })))
    .filter((plant) => pathsOf(schema, withPlanted(document, [plant])).length > 0);
}

describe.each([
  ['a desired state', desired],
  ['a fleet', fleet],
])('%s', (_name, subject) => {
  const { schema, document, references } = subject;

  it('is sound before anything is planted, and each reference alone is told', () => {
    expect(pathsOf(schema, document)).toEqual([]);
    for (const reference of references) {
      expect(pathsOf(schema, withPlanted(document, [reference]))).toContain(
        renderPath(reference.told ?? reference.path),
      );
    }
  });

  it('that is wrong in form says that, and nothing that follows from it', () => {
    const plants = wrongForms(subject);
    expect(plants.length).toBeGreaterThan(100);
    const more = plants.flatMap((plant) =>
      pathsOf(schema, withPlanted(document, [plant]))
        .filter((problem) => !isAtOrBelow(problem, plant.path))
        .map((problem) => ({ ...plant, problem })),
    );
    expect(more).toEqual([]);
  });

  it('that is wrong in form says what refers to nothing elsewhere too', () => {
    // One form a place, and that is the hardest: of a number a fraction.
    const plants = [...new Map(wrongForms(subject).map((plant) => [renderPath(plant.path), plant])).values()];
    const hidden = references.flatMap((reference) =>
      plants
        .filter(({ path }) => ![reference.path, ...reference.reads].some((place) => holds(path, place)))
        .filter((plant) => {
          const problems = pathsOf(schema, withPlanted(document, [reference, plant]));
          return !(
            problems.includes(renderPath(reference.told ?? reference.path)) &&
            problems.some((problem) => isAtOrBelow(problem, plant.path))
          );
        })
        .map(({ path, value }) => ({ reference: renderPath(reference.path), path: renderPath(path), value })),
    );
    expect(hidden).toEqual([]);
  });
});
