/** Rows of the fault table: cables and providers. */
import { BranchboxError } from '../../../../src/model/errors.ts';
import type { LogLine } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import type { TestController } from '../servers.ts';
import { faultTable, problemOf, stateOf } from './table.ts';

const bench = createFaultBench();

/** A controller that one uplink does not lead to. */
function dark(ifname: string): TestController {
  const { controller } = bench;
  return {
    ...controller,
    connect: (options) =>
      options.uplink.ifname === ifname ? Promise.reject(new Error('no route')) : controller.connect(options),
  };
}

const WRONG = '192.0.2.9';
/** Until the installer reads that the lease is left: nobody is reached over it. */
async function leftWrongServer(): Promise<LogLine | undefined> {
  const { box, controller } = bench;
  await box.files.writeDurable(
    `${box.directory}/leases/wan1.env`,
    `new_ip_address=127.0.0.1\nnew_dhcp_server_identifier=${WRONG}\n`,
  );
  const nobody = () => Promise.reject(new BranchboxError('bootstrap/unreachable', { message: 'no route' }));
  const isTold = (line: LogLine): boolean =>
    failed(line) && String(line.fields['problem']).includes('leads nowhere');
  const isLate = (line: LogLine): boolean => failed(line) && Number(line.fields['attempt']) > 30;
  await box.run({
    controller: { ...controller, connect: nobody },
    until: (line) => isTold(line) || isLate(line),
  });
  return box.log.find(isTold);
}
/** As firmware/other-dhcp reads it. */
const namedServer = async (): Promise<string> => {
  const named = await bench.box.files.readText(`${bench.box.directory}/leads-nowhere/wan1`);
  return `named ${named?.trim() ?? 'nobody'}`;
};
const LEFT = `bootstrap/unreachable: no route; what the DHCP server ${WRONG} on wan1 gave leads nowhere, so another one is asked for an address (take the wrong DHCP server off that line, or look at its way out where it is the right one)`;

faultTable('uplinks', [
  {
    fault: 'a link that comes up late',
    must: 'wait for it in ADDR, and go on by itself',
    outcome: 'waited in ADDR; OPERATIONAL with 0 failures',
    told: '',
    run: async () => {
      const { box, controller } = bench;
      const later = box.uplinks;
      box.uplinks = [];
      await box.run({ controller, until: 'ADDR' });
      const waited = await stateOf(bench);
      box.uplinks = later;
      await box.run({ controller, until: 'OPERATIONAL' });
      return {
        outcome: `waited in ${waited}; ${await stateOf(bench)} with ${box.log.filter(failed).length} failures`,
        told: '',
      };
    },
  },
  ...['first', 'second'].map((which) => ({
    fault: `two of which the ${which} leads nowhere`,
    must: 'try both, and come into service over the other',
    outcome: 'OPERATIONAL',
    told: '',
    run: async () => {
      const [uplink] = bench.box.uplinks;
      if (uplink === undefined) throw new Error('the bench has an uplink');
      const other = { ...uplink, ifname: 'dark' };
      bench.box.uplinks = which === 'first' ? [other, uplink] : [uplink, other];
      await bench.box.run({ controller: dark('dark'), until: 'OPERATIONAL' });
      return { outcome: await stateOf(bench), told: '' };
    },
  })),
  {
    fault: 'a second, wrong DHCP server that names a server of its own',
    must: 'ask that one too, and believe the owner’s signed data alone',
    outcome: 'OPERATIONAL',
    told: '',
    run: async () => {
      const [uplink] = bench.box.uplinks;
      if (uplink === undefined) throw new Error('the bench has an uplink');
      bench.box.uplinks = [
        { ...uplink, ifname: 'wan2', bootstrapServers: ['https://127.0.0.1:1', 'http://evil.example'] },
        uplink,
      ];
      await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
      return { outcome: await stateOf(bench), told: '' };
    },
  },
  {
    fault: 'a wrong DHCP server that answers first on the wire, and whose lease leads nowhere',
    must: 'name it to the address client and the installer, and come in by the lease of another',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: LEFT,
    run: async () => {
      const told = problemOf(await leftWrongServer());
      const named = await namedServer();
      const { box, controller } = bench;
      await box.files.writeDurable(
        `${box.directory}/leases/wan1.env`,
        'new_ip_address=127.0.0.2\nnew_dhcp_server_identifier=192.0.2.1\n',
      );
      box.uplinks = box.uplinks.map((uplink) => ({ ...uplink, address: '127.0.0.2' }));
      await box.run({ controller, until: 'OPERATIONAL' });
      return { outcome: `${named}; ${await stateOf(bench)}`, told };
    },
  },
  {
    fault: 'the only DHCP server, whose lease leads nowhere for a while',
    must: 'name it, and come in by its lease all the same once that leads somewhere',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: LEFT,
    run: async () => {
      const told = problemOf(await leftWrongServer());
      const named = await namedServer();
      await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
      return { outcome: `${named}; ${await stateOf(bench)}`, told };
    },
  },
  {
    fault: 'DNS that lists a server that is nobody’s, and one that is none',
    must: 'ask it first, believe nothing of it, and ask the next',
    outcome: 'asked it; OPERATIONAL',
    told: '',
    run: async () => {
      const { box, controller } = bench;
      const server = `evil.example:${controller.port}`;
      box.listed = ['user:word@controller.example:8443', server];
      box.uplinks = box.uplinks.map((uplink) => ({ ...uplink, domain: 'site.example' }));
      const asked: string[] = [];
      const connect: TestController['connect'] = (options) => {
        asked.push(options.server.host);
        return options.server.host === 'evil.example'
          ? Promise.reject(new Error('speaks no TLS'))
          : controller.connect(options);
      };
      await box.run({ controller: { ...controller, connect }, until: 'OPERATIONAL' });
      return {
        outcome: `${asked[0] === 'evil.example' ? 'asked it' : asked[0]}; ${await stateOf(bench)}`,
        told: '',
      };
    },
  },
]);
