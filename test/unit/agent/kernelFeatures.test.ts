import { describe, expect, it } from 'vitest';
import { probeKernel } from '../../../src/agent/kernelFeatures.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { CommandResult, Runner } from '../../../src/system/ports.ts';

/** Answers `unshare --net TOOL …`, the only command of a probe. */
function runnerThat(answer: (tool: string, stdin: string) => Partial<CommandResult> | Error): Runner {
  return {
    async run(_command, args, options) {
      const result = answer(args[1] ?? '', String(options?.stdin));
      if (result instanceof Error) throw result;
      return { exitCode: 0, stdout: '', stderr: '', ...result };
    },
    runChecked: () => Promise.reject(new Error('a probe does not run this')),
    follow: () => Promise.reject(new Error('a probe does not run this')),
  };
}
const probe = (answer: (tool: string, stdin: string) => Partial<CommandResult> | Error) =>
  probeKernel(runnerThat(answer), new AbortController().signal);

describe('what this kernel can do', () => {
  it('takes a refusal as an answer, line by line and table by table', async () => {
    const features = await probe((tool, stdin) => {
      if (tool === 'ip') return { exitCode: 1, stderr: 'RTNETLINK answers\nCommand failed -:1\n' };
      if (stdin.includes('flowtable')) return { exitCode: 1, stderr: 'Error: Operation not supported' };
      return {};
    });
    expect(features).toMatchObject({ wireguard: false, vxlan: true, 'nft-inet': true, flowtable: false });
  });

  it('does without a tool that is not there', async () => {
    const stderr = 'unshare: failed to execute nft: No such file or directory\n';
    const features = await probe((tool) => (tool === 'nft' ? { exitCode: 127, stderr } : {}));
    expect(features).toMatchObject({ vxlan: true, 'nft-inet': false, 'nft-bridge': false });
  });

  it.each([
    ['did not end', new BranchboxError('system/command-timeout', { message: 'nft did not end' })],
    ['got no namespace', { exitCode: 1, stderr: 'unshare: unshare failed: No space left on device\n' }],
  ])('does not take a probe that %s for a lack', async (_what, answer) => {
    await expect(probe((tool) => (tool === 'nft' ? answer : {}))).rejects.toThrow(BranchboxError);
    await expect(probe((tool) => (tool === 'tc' ? answer : {}))).rejects.toThrow(BranchboxError);
  });
});
