/** Rows of the fault table: cables and providers. */
import { createFaultBench, failed } from '../faultBench.ts';
import type { TestController } from '../servers.ts';
import { faultTable, stateOf } from './table.ts';

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
