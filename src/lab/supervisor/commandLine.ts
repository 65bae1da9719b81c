/**
 * Owns how a command line of a unit becomes words: prefixes, quotes, specifiers, variables (systemd.service(5),
 * "Command lines"). Pure. Does not own running them.
 */
export interface UnitCommand {
  readonly words: readonly string[];
  /** Written with a leading `-`: a failure counts as success. */
  readonly mayFail: boolean;
}

export type Variables = Readonly<Record<string, string>>;

export function parseCommand(unitName: string, line: string, variables: Variables): UnitCommand {
  const prefix = /^[-@:+!|]*/.exec(line)?.[0] ?? '';
  const words = splitWords(line.slice(prefix.length)).flatMap(({ text, quoted }) => {
    const bare = /^\$([A-Za-z_]\w*)$/.exec(text)?.[1];
    // `$NAME` alone is split into words, `${NAME}` never is.
    if (bare !== undefined && !quoted)
      return (variables[bare] ?? '').split(/\s+/).filter((word) => word !== '');
    const replaced = text.replace(/\$\{([A-Za-z_]\w*)\}/g, (_all, name: string) => variables[name] ?? '');
    return [expandSpecifiers(unitName, replaced.replaceAll('$$', '$'))];
  });
  return { words, mayFail: prefix.includes('-') };
}

/** `%i` instance, `%p` prefix, `%n` full name, `%N` name without its type, `%t` /run, `%S` /var/lib, `%%`. */
export function expandSpecifiers(unitName: string, text: string): string {
  const stem = unitName.replace(/\.[a-z]+$/, '');
  const at = stem.indexOf('@');
  const instance = at < 0 ? '' : stem.slice(at + 1);
  return text.replace(/%([a-zA-Z%])/g, (all, letter: string) => {
    switch (letter) {
      case 'i':
        return instance;
      case 'I':
        return instance.replaceAll('-', '/');
      case 'p':
        return at < 0 ? stem : stem.slice(0, at);
      case 'n':
        return unitName;
      case 'N':
        return stem;
      case 't':
        return '/run';
      case 'S':
        return '/var/lib';
      case '%':
        return '%';
      default:
        return all;
    }
  });
}

/** `NAME=value` words of Environment= or lines of an EnvironmentFile. */
export function parseEnvironment(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { text: word } of splitWords(text)) {
    const at = word.indexOf('=');
    if (at > 0) found[word.slice(0, at)] = word.slice(at + 1);
  }
  return found;
}

interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

function splitWords(line: string): Word[] {
  const words: Word[] = [];
  let text = '';
  let open: '"' | "'" | undefined;
  let quoted = false;
  let inWord = false;
  const finish = (): void => {
    if (inWord) words.push({ text, quoted });
    text = '';
    quoted = false;
    inWord = false;
  };
  for (let i = 0; i < line.length; i += 1) {
    const char = line.charAt(i);
    if (char === '\\' && open !== "'") {
      i += 1;
      text += line.charAt(i);
      inWord = true;
    } else if (open !== undefined) {
      if (char === open) open = undefined;
      else text += char;
    } else if (char === '"' || char === "'") {
      open = char;
      quoted = true;
      inWord = true;
    } else if (/\s/.test(char)) finish();
    else {
      text += char;
      inWord = true;
    }
  }
  finish();
  return words;
}
