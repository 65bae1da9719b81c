/**
 * Owns telling what is wrong with a network by the options of `branchbox fleet usb` that it was told by, and what each wants.
 * Does not own what a network may be (model/medium). Pure.
 */
import { BranchboxError, type Problem } from '../model/errors.ts';

const USER = 'printable characters';
/** The first that a path begins with. */
const OPTIONS: readonly (readonly [path: string, option: string, wants: string])[] = [
  ['$.vlan', '--vlan', 'a number from 1 to 4094'],
  ['$.port', '--port', 'the label of a port, such as wan1'],
  ['$.addressing.address', '--address', 'an address with its prefix length, such as 192.0.2.5/24'],
  ['$.addressing6.address', '--address', 'an address with its prefix length, such as 2001:db8::5/64'],
  ['$.addressing.gateway', '--gateway', 'the gateway of --address, in its network, such as 192.0.2.1'],
  ['$.addressing6.gateway', '--gateway', 'the gateway of --address, in its network or fe80::1'],
  ['$.addressing.dns', '--dns', 'addresses of DNS servers, four at most'],
  ['$.addressing6.dns', '--dns', 'addresses of DNS servers, four at most'],
  ['$.addressing6', '--address', 'none of IPv6 beside PPPoE or a modem'],
  ['$.addressing.apn', '--modem', 'an APN, such as internet.example'],
  ['$.addressing.pin', '--modem-pin-file', 'four to eight digits in its first line'],
  ['$.proxy.user', '--proxy-user', `${USER}, and no colon`],
  ['$.proxy.password', '--proxy-password-file', `${USER} in its first line`],
  ['$.proxy', '--proxy', 'host and port, such as proxy.example:3128'],
];

/** Of a line that has a user: PPPoE or a modem. */
function lineOption(path: string, kind: string): readonly [option: string, wants: string] | undefined {
  const line = kind === 'modem' ? 'modem' : 'pppoe';
  if (path.startsWith('$.addressing.user')) return [`--${line}-user`, USER];
  if (path.startsWith('$.addressing.password')) {
    return [`--${line}-password-file`, `${USER} in its first line`];
  }
  return undefined;
}

/** The words of a schema that has none of its own say nothing of an option. */
const isForProgrammers = (message: string): boolean => /^(?:Invalid|Too) /.test(message);

/** `kind`: of the addressing. */
export function inOptions(error: BranchboxError, kind: string): BranchboxError {
  const problems = error.problems.map(({ path, message }): Problem => {
    const known = OPTIONS.find(([start]) => path.startsWith(start));
    const [option, wants] = (known && [known[1], known[2]]) ?? lineOption(path, kind) ?? [];
    if (option === undefined) return { path, message };
    return { path: option, message: `${isForProgrammers(message) ? '' : `${message}: it `}wants ${wants}` };
  });
  return new BranchboxError('cli/usage', {
    message: 'by these options the box would have no network',
    problems: problems.filter(
      ({ path, message }, at) =>
        problems.findIndex((one) => one.path === path && one.message === message) === at,
    ),
    mend: 'give the options what they want; branchbox fleet usb --help has an example',
    cause: error,
  });
}
