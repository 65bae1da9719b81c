/**
 * Owns making single-file bundles with esbuild: the command line that a box and a lab node run.
 * Does not own where they are put (image recipe, src/lab/payload.ts).
 * As a program: `./launch image/bundle.ts` writes out/bundle/branchbox.mjs and says how large and how quick.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const CHECKOUT = join(import.meta.dirname, '..');
export const BUNDLE_DIRECTORY = join(CHECKOUT, 'out/bundle');

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
  readonly file: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
}

export async function bundle(entry: string, name: string): Promise<Bundled> {
  const file = join(BUNDLE_DIRECTORY, name);
  const startMs = performance.now();
  await build({
    entryPoints: [join(CHECKOUT, entry)],
    outfile: file,
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
  return { file, sizeBytes: (await stat(file)).size, durationMs: performance.now() - startMs };
}

if (import.meta.main) {
  const made = await bundle('src/cli/main.ts', 'branchbox.mjs');
  process.stdout.write(
    `${made.file}: ${Math.round(made.sizeBytes / 1024)} KiB in ${Math.round(made.durationMs)} ms\n`,
  );
}
