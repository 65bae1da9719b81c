/**
 * Owns the lint rules and, above all, the directions of import between folders (docs/architecture.md, "Layers").
 * To see one caught, write `import '../evpn/render.ts'` into a file of src/wan and run `npm run check`.
 */
import { defineConfig } from 'oxlint';

interface Layer {
  /** Folders of src this one may import, beside its own. */
  readonly may: readonly string[];
  readonly reason: string;
  /** Its main.ts files are composition roots: only those may choose the real machine (system/linux). */
  readonly roots: 'all' | 'main' | 'none';
}

const DOMAINS = 'the domains never import each other: what one needs of another stands in the model';
const LAYERS: Readonly<Record<string, Layer>> = {
  model: { may: [], roots: 'none', reason: 'every layer stands on it, a page in a browser included' },
  pki: {
    may: ['model', 'system'],
    roots: 'none',
    reason: 'box and controller share it: it knows the model and no effect',
  },
  system: {
    may: ['model'],
    roots: 'all',
    reason: 'the edge to the machine does not know what is done with it',
  },
  reconcile: {
    may: ['model', 'system'],
    roots: 'none',
    reason: 'it is generic: it must not know any kind of item',
  },
  net: {
    may: ['model', 'system', 'reconcile'],
    roots: 'none',
    reason: 'it drives kernel objects and must not know why one is wanted',
  },
  wan: { may: ['model', 'system', 'reconcile', 'net'], roots: 'none', reason: DOMAINS },
  evpn: { may: ['model', 'system', 'reconcile', 'net'], roots: 'none', reason: DOMAINS },
  policy: { may: ['model', 'system', 'reconcile', 'net'], roots: 'none', reason: DOMAINS },
  containers: { may: ['model', 'system', 'reconcile', 'net'], roots: 'none', reason: DOMAINS },
  telemetry: { may: ['model', 'system', 'reconcile', 'net'], roots: 'none', reason: DOMAINS },
  update: {
    may: ['model', 'system', 'pki'],
    roots: 'none',
    reason: 'it puts a version on a disk and must do so whatever state the network or its renderers are in',
  },
  bootstrap: {
    may: ['model', 'system', 'pki'],
    roots: 'main',
    reason: 'identity shares no code path with data plane or containers: a bug here means a truck roll',
  },
  agent: {
    may: [
      'model',
      'system',
      'pki',
      'reconcile',
      'net',
      'wan',
      'evpn',
      'policy',
      'containers',
      'telemetry',
      'update',
    ],
    roots: 'all',
    reason: 'it composes the box and knows nothing of the bootstrap protocol, the controller or the lab',
  },
  controller: {
    may: ['model', 'system', 'pki'],
    roots: 'main',
    reason: 'it speaks to boxes by their protocols, never by their code',
  },
  lab: {
    may: ['model', 'system'],
    roots: 'all',
    reason: 'it starts processes and reads their APIs: it must not share code with what it tests',
  },
  web: {
    may: ['model', 'system'],
    roots: 'main',
    reason: 'a page speaks to agent, identity and controller over their APIs',
  },
};
const FOLDERS = [...Object.keys(LAYERS), 'cli'];

interface Pattern {
  readonly group: string[];
  readonly message: string;
}

const inside = (folder: string): string[] => [`**/${folder}/*`, `**/${folder}/**`];
const restrict = (files: string[], patterns: Pattern[]) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns }] as ['error', { patterns: Pattern[] }] },
});
const realMachine: Pattern = {
  group: ['**/system/linux/*'],
  message: 'Only composition roots choose the real machine; take a port from system/ports.ts.',
};

const directions = Object.entries(LAYERS).flatMap(([folder, layer]) => {
  const banned = FOLDERS.filter((other) => other !== folder && !layer.may.includes(other));
  const upwards: Pattern = { group: banned.flatMap(inside), message: `${folder}: ${layer.reason}.` };
  const everywhere = layer.roots === 'all' ? [upwards] : [upwards, realMachine];
  const platform: Pattern[] =
    folder === 'model' ? [{ group: ['node:*'], message: 'model runs in a browser too.' }] : [];
  const rules = [restrict([`src/${folder}/**/*.ts`], [...everywhere, ...platform])];
  if (layer.roots === 'main')
    rules.push(restrict([`src/${folder}/main.ts`, `src/${folder}/*/main.ts`], [upwards]));
  return rules;
});

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    // An unawaited promise on a box is a change nobody waits for and an error nobody sees.
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    // A new kind of item or message must be met by every switch over it.
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/consistent-type-imports': 'error',
    'import/no-default-export': 'error',
    'import/no-cycle': 'error',
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    // Order matters on the kernel: sequential awaits in loops are the normal case here.
    'no-await-in-loop': 'off',
    'no-shadow': 'off',
    // Arrays sorted in place here are always fresh copies.
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    // Node's emitters and sockets have no addEventListener.
    'unicorn/prefer-add-event-listener': 'off',
    'import/no-unassigned-import': 'off',
    // node-forge and commander are reached through their default export's members, as their types say.
    'import/no-named-as-default-member': 'off',
    // Fastify awaits its handlers; noImplicitReturns and the types cover the rest.
    'oxc/no-async-endpoint-handlers': 'off',
    'promise/always-return': 'off',
    'typescript/consistent-return': 'off',
    // Flags that a callback or an abort flips.
    'no-unmodified-loop-condition': 'off',
    // A leading underscore says: taken out on purpose.
    'no-underscore-dangle': 'off',
    // Tests may assert through a function of their own.
    'vitest/expect-expect': 'off',
    // Scenarios carry their own titles.
    'vitest/valid-title': 'off',
    // Factories return closures; nothing of ours has a `this`.
    'typescript/unbound-method': 'off',
    // A print of unknown data, in tests, shows what is there.
    'typescript/no-base-to-string': 'off',
    // A property asserts on the branch it is about; a message beside an expectation is vitest's own feature.
    'vitest/no-conditional-expect': 'off',
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
    'typescript/no-unsafe-type-assertion': 'off',
  },
  overrides: [
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
    ...directions,
    restrict(
      ['src/cli/**/*.ts'],
      [
        {
          group: FOLDERS.filter((folder) => !['model', 'system', 'cli', 'lab'].includes(folder)).flatMap(
            (folder) => [...inside(folder), `!**/${folder}/main.ts`, `!**/${folder}/*/main.ts`],
          ),
          message:
            'cli speaks to running processes over their APIs and starts them by their main.ts; it holds no logic of theirs.',
        },
      ],
    ),
    restrict(
      ['src/reconcile/item.ts', 'src/reconcile/plan.ts', 'src/reconcile/planText.ts'],
      [
        {
          group: ['node:*', ...FOLDERS.filter((folder) => folder !== 'model').flatMap(inside)],
          message:
            'Planning is pure: data in, data out, so that plans can be compared, printed and tested without a box.',
        },
      ],
    ),
    { files: ['test/**/*.ts'], rules: { 'typescript/no-non-null-assertion': 'off' } },
  ],
  ignorePatterns: ['out', 'coverage', 'node_modules'],
});
