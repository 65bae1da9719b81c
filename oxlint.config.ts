/**
 * Owns the lint rules and, above all, the directions of import between folders (docs/architecture.md, "Layers").
 * To see one caught, write `import '../evpn/render.ts'` into a file of src/wan and run `npm run check`.
 */
import { readdirSync } from 'node:fs';
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
const unruled = readdirSync(new URL('src', import.meta.url)).filter((name) => !FOLDERS.includes(name));
if (unruled.length > 0)
  throw new Error(`src/${unruled.join(', src/')}: which layers may it import? Say so in LAYERS`);

interface Pattern {
  readonly group: string[];
  readonly message: string;
}

const inside = (folder: string): string[] => [`**/${folder}/*`, `**/${folder}/**`];
const restrict = (files: string[], patterns: Pattern[]): Restriction => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns }] },
});
const realMachine: Pattern = {
  group: ['**/system/linux/*'],
  message: 'Only composition roots choose the real machine; take a port from system/ports.ts.',
};

/** Pure, but their types lead to effects (a driver's, a port's), so that tsconfig.pure.json cannot hold them. */
const RENDERERS: Readonly<Record<string, string[]>> = {
  wan: ['src/wan/*.ts'],
  evpn: ['src/evpn/**/*.ts'],
  policy: ['src/policy/**/*.ts'],
  containers: ['src/containers/render.ts'],
  reconcile: ['src/reconcile/trial.ts'],
};
const EFFECTS = [
  'process',
  'Buffer',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'fetch',
  'performance',
  'console',
];
const RENDERS_PURELY =
  'Rendering and judging are pure: data in, data out, the same everywhere and each time.';

interface Restriction {
  readonly files: string[];
  readonly rules: {
    readonly 'no-restricted-imports': ['error', { patterns: Pattern[] }];
    readonly 'no-restricted-globals'?: ['error', ...{ name: string; message: string }[]];
  };
}

const directions = Object.entries(LAYERS).flatMap(([folder, layer]) => {
  const banned = FOLDERS.filter((other) => other !== folder && !layer.may.includes(other));
  const upwards: Pattern = { group: banned.flatMap(inside), message: `${folder}: ${layer.reason}.` };
  const everywhere = layer.roots === 'all' ? [upwards] : [upwards, realMachine];
  const platform: Pattern[] =
    folder === 'model' ? [{ group: ['node:*'], message: 'model runs in a browser too.' }] : [];
  const rules = [restrict([`src/${folder}/**/*.ts`], [...everywhere, ...platform])];
  const pure = RENDERERS[folder];
  if (pure !== undefined) {
    rules.push({
      files: pure,
      rules: {
        ...restrict(pure, [...everywhere, { group: ['node:*'], message: RENDERS_PURELY }]).rules,
        'no-restricted-globals': ['error', ...EFFECTS.map((name) => ({ name, message: RENDERS_PURELY }))],
      },
    });
  }
  if (layer.roots === 'main')
    rules.push(restrict([`src/${folder}/main.ts`, `src/${folder}/*/main.ts`], [upwards]));
  return rules;
});

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'typescript/no-explicit-any': 'error',
    // `any` that nobody wrote: what JSON.parse and untyped events give. It is `unknown` until it was decoded.
    'typescript/no-unsafe-return': 'error',
    'typescript/no-unsafe-assignment': 'error',
    'typescript/no-unsafe-member-access': 'error',
    'typescript/no-unsafe-argument': 'error',
    'typescript/no-unsafe-call': 'error',
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
    {
      files: ['test/**/*.{ts,mjs}'],
      rules: {
        'typescript/no-non-null-assertion': 'off',
        // A test reads one field of an answer, and fails where it is not there.
        'typescript/no-unsafe-return': 'off',
        'typescript/no-unsafe-assignment': 'off',
        'typescript/no-unsafe-member-access': 'off',
        'typescript/no-unsafe-argument': 'off',
        'typescript/no-unsafe-call': 'off',
      },
    },
  ],
  ignorePatterns: ['out', 'coverage', 'node_modules'],
});
