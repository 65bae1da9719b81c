/**
 * Owns which tests there are: `fast` needs no privileges and no daemon, `lab` needs root and real parts.
 */
import { defineConfig } from 'vitest/config';
import { ByPath } from './test/byPath.ts';

/** Needs as little as `fast`, and takes longer than all of it: killed at each write, cut, mutated without end. */
const LONG = [
  'test/unit/bootstrap/faults/**/*.test.ts',
  'test/unit/bootstrap/{foreignEst,foreignEstAttributes,journey,medium,move,quarantine,rollover,rolloverEnd}.test.ts',
  'test/property/fuzz.test.ts',
  // Programs that are run: the scripts of firmware/, openssl, the launcher, a supervisor's children.
  'test/unit/{firmware/**,supply/launch,lab/{supervisor,vm/channel}}.test.ts',
  'test/unit/{image/{assemble,keys,words},agent/hardwareBoot,cli/{bootstrapFollow,closedPipe},system/{imageArchive,longLived}}.test.ts',
  'test/unit/pki/{certificate,certsOnly,cms,cmsOpenssl,crl,deviceSerial,enveloped,nameConstraints,policies,rsaPss,tlsPeer}.test.ts',
  // Whole journeys of a box, sessions with a broker of the test's, a signer's keys without end.
  'test/unit/{bootstrap/{busy,comeBack,demands,strangersBodies,wipe,xmlServer},agent/mqttSession,signer/**}.test.ts',
  // Real connections, one after the other.
  'test/unit/{controller/{activation,apiHttp,apiWire},system/{deviceClient,linux,uplinkDial}}.test.ts',
  // Updates from their beginning to their end, and hundreds of documents.
  'test/unit/update/{worker,workerTrial,trialRecord,downgrade,hostileSource}.test.ts',
  'test/property/{controllerAllocations,documentProblems,firmwareInstall,installerPage,netDrivers,pkiBitFlips}.test.ts',
];

const VIRTUAL_MACHINE = {
  globalSetup: ['test/vm/setup.ts'],
  // An emulated machine takes a second for what a real one does in fifty milliseconds.
  env: { BRANCHBOX_TEST_LAB: process.env['BRANCHBOX_TEST_LAB'] ?? 'vm', BRANCHBOX_TEST_PATIENCE: '5' },
  fileParallelism: false,
  testTimeout: 900_000,
  hookTimeout: 600_000,
};

export default defineConfig({
  test: {
    sequence: { sequencer: ByPath },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reportsDirectory: 'out/coverage',
      reporter: ['text-summary', 'json-summary'],
    },
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/unit/**/*.test.ts', 'test/golden/**/*.test.ts', 'test/property/**/*.test.ts'],
          exclude: LONG,
          // Two thirds of the time went into loading the same modules for each file. Nothing here keeps state in a
          // module, and a file that leaves something behind for the next one is a defect.
          isolate: false,
          testTimeout: 20_000,
          // What is polled for comes in milliseconds, but on a busy machine not within the second that is the default.
          expect: { poll: { timeout: 15_000 } },
        },
      },
      {
        test: {
          name: 'faults',
          include: LONG,
          testTimeout: 60_000,
          // A box is brought into service before each test of some: as long as one may take.
          hookTimeout: 60_000,
          expect: { poll: { timeout: 15_000 } },
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/*.test.ts'],
          // Each file's names and addresses are in namespaces of its own, and most of its time is waiting for leases,
          // sessions and timers. Not more than three at a time: two cores run the daemons of all of them.
          maxWorkers: 3,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'main-job',
          include: ['test/lab/mainjob/*.test.ts'],
          globalSetup: ['test/lab/mainjob/setup.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: { ...VIRTUAL_MACHINE, name: 'vm', include: ['test/vm/*.test.ts'] },
      },
      // The same, and what takes too long for `npm test`.
      {
        test: {
          ...VIRTUAL_MACHINE,
          name: 'vm-long',
          include: ['test/vm/*.test.ts', 'test/vm/{bootstrap,update}/*.test.ts'],
        },
      },
      {
        test: {
          name: 'vm-alone',
          include: ['test/vm/alone/*.test.ts'],
          fileParallelism: false,
          // Several starts of an emulated machine each, beside whatever the host does.
          testTimeout: 2_400_000,
          hookTimeout: 1_200_000,
        },
      },
    ],
  },
});
