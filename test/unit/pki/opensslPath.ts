/** Owns a path that openssl made, with the extensions that a test gives each level, and openssl's own verdict on it. */
import { type Certificate, parseCertificate } from '../../../src/pki/certificate.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { openssl } from './domain.ts';

/** From the one below the root to the leaf. Without a subject each has a name of its own. */
export interface Level {
  readonly extensions: readonly string[];
  readonly subject?: string;
}
export const level = (...extensions: readonly string[]): Level => ({ extensions });
export const named = (subject: string, ...extensions: readonly string[]): Level => ({ extensions, subject });

const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
const LEAF = ['basicConstraints=critical,CA:FALSE', 'keyUsage=digitalSignature'];

export interface JudgedPath {
  /** openssl's words where it refuses; undefined: it takes it. */
  readonly problem: string | undefined;
  /** Ours. */
  readonly judged: Promise<readonly Certificate[]>;
}

interface JudgeOptions {
  readonly how?: readonly string[];
  readonly sections?: string;
  /** Extensions of the anchor. */
  readonly root?: readonly string[];
}

/** `how`: options of `openssl verify`. `sections`: of the configuration, that an extension speaks of. */
export function judgePath(
  levels: readonly Level[],
  { how = [], sections = '', root = [] }: JudgeOptions = {},
): JudgedPath {
  using tool = openssl();
  tool.write('config', `[req]\ndistinguished_name=dn\n[dn]\n${sections}`);
  const issue = (
    name: string,
    subject: string,
    issuer: string | undefined,
    extensions: readonly string[],
  ) => {
    const by = issuer === undefined ? [] : ['-CA', issuer, '-CAkey', `${issuer}.key`];
    const added = extensions.flatMap((extension) => ['-addext', extension]);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    tool.run('req', '-x509', '-config', 'config', '-subj', subject, ...key, ...by, ...added, '-out', name);
    return parseCertificate(tool.read(name).toString());
  };
  const anchor = issue('root', '/CN=Root', undefined, [...CA, ...root]);
  const path = levels.map(({ extensions, subject }, index) => {
    const usages = index === levels.length - 1 ? LEAF : CA;
    const issuer = index === 0 ? 'root' : `level${index - 1}`;
    return issue(`level${index}`, subject ?? `/CN=Level ${index}`, issuer, [...usages, ...extensions]);
  });
  const [leaf, ...intermediates] = path.toReversed();
  if (leaf === undefined) throw new Error('a path has a leaf');
  tool.write('untrusted', intermediates.map(({ pem }) => pem).join(''));
  const untrusted = intermediates.length === 0 ? [] : ['-untrusted', 'untrusted'];
  let problem: string | undefined;
  try {
    tool.run('verify', ...how, '-CAfile', 'root', ...untrusted, `level${levels.length - 1}`);
  } catch (thrown) {
    problem = thrown instanceof Error ? thrown.message : String(thrown);
  }
  const judged = validateChain({ leaf, intermediates, anchors: [anchor], atMs: leaf.notBeforeMs });
  return { problem, judged };
}
