/**
 * Owns bundling with esbuild: the command line that a box and a lab node run, one chunk for what commands share.
 * Does not own where they are put (image recipe, src/lab/payload.ts).
 * As a program: `./launch image/bundle.ts` writes out/bundle/branchbox/ and says how large and how quick.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { takeNoWords } from './words.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const BUNDLE_DIRECTORY = join(CHECKOUT, 'out/bundle');

/** CommonJS packages inside an ES module still call require() for Node's own modules. */
const REQUIRE_BANNER = [
  "import { createRequire as __createRequire } from 'node:module';",
  "import { dirname as __dirnameOf } from 'node:path';",
  "import { fileURLToPath as __toPath } from 'node:url';",
  'const require = __createRequire(import.meta.url);',
  'const __filename = __toPath(import.meta.url);',
  'const __dirname = __dirnameOf(__filename);',
].join('');

export interface Bundled {
  /** Holds `<name>.mjs` and `chunks/`. */
  readonly directory: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
  /** Directories of the npm packages that it holds code of, sorted: `node_modules/zod`. */
  readonly npmPackages: readonly string[];
}

/**
 * In chunks, because V8 keeps the whole text of a file it runs: in one piece each process held all of fastify,
 * pkijs and systeminformation, 15 MB of memory it never used.
 */
export async function bundle(entry: string, name: string, parent = BUNDLE_DIRECTORY): Promise<Bundled> {
  const directory = join(parent, name);
  const startMs = performance.now();
  await rm(directory, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: CHECKOUT,
    entryPoints: { [name]: join(CHECKOUT, entry) },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    splitting: true,
    metafile: true,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: REQUIRE_BANNER },
    // White space and dead branches only: names stay, for stack traces from the field.
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: true,
    legalComments: 'none',
    logLevel: 'warning',
    // Leaves the lab out (src/cli/commands.ts).
    define: { BRANCHBOX_BUNDLED: 'true' },
  });
  const sizeBytes = Object.values(metafile.outputs).reduce((sum, { bytes }) => sum + bytes, 0);
  const npmPackages = Object.keys(metafile.inputs).flatMap(
    (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
  );
  return {
    directory,
    sizeBytes,
    durationMs: performance.now() - startMs,
    npmPackages: [...new Set(npmPackages)].sort(),
  };
}

if (import.meta.main) {
  takeNoWords(`usage: npm run build
  Bundles the command line of a box into out/bundle/branchbox, as image and package have it. Takes no words.
example: npm run build
`);
  const made = await bundle('src/cli/main.ts', 'branchbox');
  process.stdout.write(
    `${made.directory}: ${Math.round(made.sizeBytes / 1024)} KiB in ${Math.round(made.durationMs)} ms\n`,
  );
}
