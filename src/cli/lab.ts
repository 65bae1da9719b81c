/**
 * Owns the words of `branchbox lab`.
 */
import type { Command } from 'commander';

export function register(program: Command): void {
  program.command('lab').description('a whole branch network in namespaces of this machine');
}
