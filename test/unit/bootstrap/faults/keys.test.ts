/** Rows of the fault table: what becomes of a box whose TPM does not answer, was cleared, or makes no key. */
import { renderKeyHolding } from '../../../../src/model/keyHolder.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { createFakeTpm, type FakeTpm } from '../fakeTpm.ts';
import { faultTable, IN_SERVICE, problemOf, type Seen, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
const run = (until: Parameters<typeof bench.box.run>[0]['until']): Promise<boolean> =>
  bench.box.run({ controller: bench.controller, until });
const TPM_KEY = 'BEGIN TSS2 PRIVATE KEY';
const ldevid = (): Promise<string | undefined> =>
  bench.box.files.readText(`${bench.box.paths.state}/ldevid.key`);

function withTpm(): FakeTpm {
  const tpm = createFakeTpm();
  bench.box.tpm = tpm;
  return tpm;
}
/** As the factory's line does it. */
async function withIdevidIn(tpm: FakeTpm): Promise<void> {
  const path = `${bench.box.paths.factory}/idevid.key`;
  await bench.box.files.writeDurable(path, tpm.hold(bench.authorities.idevid.key));
}

/** Until it is in service, or a step fails. */
async function seen(): Promise<Seen> {
  await run((line) => failed(line) || line.fields['state'] === 'OPERATIONAL');
  return bench.box.log.some(failed)
    ? failure()
    : { outcome: await inService(), told: `${toldBy(bench.box)}; ${keysTold()}` };
}
/** A start anew, into service or into the next failure. */
async function startAgain(): Promise<Seen> {
  bench.box.log.length = 0;
  return seen();
}

/** Where its keys are, as the command line has it. */
const keysTold = (): string =>
  bench.box.told?.keys === undefined ? 'nothing of keys' : renderKeyHolding(bench.box.told.keys).join();

const FACTORY_KEY_LOST =
  'bootstrap/key-lost: This box cannot prove who it is: its factory key is lost. made by another TPM (put its TPM back, or switch it on; where that was cleared, the factory must make a new identity, and meanwhile branchbox fleet replace gives its place to another box)';

faultTable('keys', [
  {
    fault: 'the TPM holds the key, and all is well',
    must: 'come into service',
    outcome: 'OPERATIONAL, 1 enrolments, key in the TPM',
    told: `${IN_SERVICE}; keys: factory key in the TPM, own key in the TPM, new keys in the TPM. OpenSSL's provider tpm2 1.3.0 serves the TPM.`,
    run: async () => {
      await withIdevidIn(withTpm());
      return seen();
    },
  },
  {
    fault: 'the TPM makes no key',
    must: 'make one in a file, and say so',
    outcome: 'OPERATIONAL, 1 enrolments, key in a file',
    told: `${IN_SERVICE}; keys: factory key in a file, own key in a file, new keys in a file. The TPM made no key: the fake TPM does not answer`,
    run: async () => {
      withTpm().broken = true;
      return seen();
    },
  },
  {
    fault: 'the TPM was cleared, in service',
    must: 'have a new certificate for a new key, under the factory identity',
    outcome: 'OPERATIONAL, 2 enrolments, key in the TPM; another',
    told: `${IN_SERVICE}; keys: factory key in a file, own key in the TPM, new keys in the TPM. OpenSSL's provider tpm2 1.3.0 serves the TPM.`,
    run: async () => {
      const tpm = withTpm();
      await run('OPERATIONAL');
      const before = await ldevid();
      tpm.clear();
      bench.box.log.length = 0;
      await run('RECOVER');
      const after = await startAgain();
      return {
        ...after,
        outcome: `${after.outcome}; ${(await ldevid()) === before ? 'the same' : 'another'}`,
      };
    },
  },
  {
    fault: 'the TPM was cleared between key and certificate',
    must: 'make another key',
    outcome: 'OPERATIONAL, 1 enrolments, key in the TPM',
    told: `${IN_SERVICE}; keys: factory key in a file, own key in the TPM, new keys in the TPM. OpenSSL's provider tpm2 1.3.0 serves the TPM.`,
    run: async () => {
      const tpm = withTpm();
      await run('ENROLLING');
      await bench.box.files.writeDurable(`${bench.box.paths.state}/ldevid.key`, (await tpm.make()).reveal());
      tpm.clear();
      return startAgain();
    },
  },
  {
    fault: 'the TPM does not answer, in service',
    must: 'keep key and certificate, and go on when it does',
    outcome:
      'system/key-unusable in OPERATIONAL, 1 enrolments; then OPERATIONAL, 1 enrolments, key in the TPM',
    told: 'system/key-unusable: the fake TPM does not answer',
    run: async () => {
      const tpm = withTpm();
      await run('OPERATIONAL');
      tpm.broken = true;
      bench.box.log.length = 0;
      await run(failed);
      const first = await failure();
      tpm.broken = false;
      await run('RENEW');
      return { ...first, outcome: `${first.outcome}; then ${await inService()}` };
    },
  },
  {
    fault: 'the TPM with the factory key was cleared before the first start',
    must: 'say that it cannot prove who it is, and whose work that is',
    outcome: 'bootstrap/key-lost in PROVISIONAL, 0 enrolments',
    told: FACTORY_KEY_LOST,
    run: async () => {
      const tpm = withTpm();
      await withIdevidIn(tpm);
      tpm.clear();
      return seen();
    },
  },
  {
    fault: 'the TPM with both keys was cleared, in service',
    must: 'keep all, and say that it cannot prove who it is',
    outcome: 'bootstrap/key-lost in RECOVER, 1 enrolments',
    told: FACTORY_KEY_LOST,
    run: async () => {
      const tpm = withTpm();
      await withIdevidIn(tpm);
      await run('OPERATIONAL');
      tpm.clear();
      bench.box.log.length = 0;
      await run(failed);
      return failure();
    },
  },
]);

/** As last seen. */
async function failure(): Promise<Seen> {
  const line = bench.box.log.findLast(failed);
  const code = String(line?.fields['code']);
  return {
    outcome: `${code} in ${await stateOf(bench)}, ${bench.controller.enrolments.length} enrolments`,
    told: problemOf(line),
  };
}
/** Its certificate is as good as before: it goes on to renew in its time. */
async function inService(): Promise<string> {
  const state = (await stateOf(bench)) === 'RENEW' ? 'OPERATIONAL' : await stateOf(bench);
  const place = (await ldevid())?.includes(TPM_KEY) === true ? 'in the TPM' : 'in a file';
  return `${state}, ${bench.controller.enrolments.length} enrolments, key ${place}`;
}
