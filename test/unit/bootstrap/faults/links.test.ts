/** Rows of the fault table: cables and providers. */
import { createFaultBench, failed } from '../faultBench.ts';
import type { TestController } from '../servers.ts';
import { faultTable, IN_SERVICE, stateOf, toldBy } from './table.ts';

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

/** The second line of two is not asked where the first leads on: what it is good for is the uplink test's to say. */
const DARK =
  'OPERATIONAL, waits for nothing; notice: nobody answers over dark, and the box came on over wan1: bootstrap/unreachable: controller.branchbox.example:PORT over dark: no route (look at the cable of dark, at its way out, and at whom DHCP or DNS names there)';

faultTable('uplinks', [
  {
    fault: 'a link that comes up late',
    must: 'wait for it in ADDR, and go on by itself',
    outcome: 'waited in ADDR; OPERATIONAL with 0 failures',
    told: 'ADDR, waits for an address on a WAN port; mend: check that the provider gives addresses by DHCP',
    run: async () => {
      const { box, controller } = bench;
      const later = box.uplinks;
      box.uplinks = [];
      await box.run({ controller, until: 'ADDR' });
      const waited = await stateOf(bench);
      const told = toldBy(box);
      box.uplinks = later;
      await box.run({ controller, until: 'OPERATIONAL' });
      return {
        outcome: `waited in ${waited}; ${await stateOf(bench)} with ${box.log.filter(failed).length} failures`,
        told,
      };
    },
  },
  ...['first', 'second'].map((which) => ({
    fault: `two of which the ${which} leads nowhere`,
    must: 'try both, and come into service over the other',
    outcome: 'OPERATIONAL',
    told: which === 'first' ? `${DARK}; mend: nothing to do` : IN_SERVICE,
    run: async () => {
      const [uplink] = bench.box.uplinks;
      if (uplink === undefined) throw new Error('the bench has an uplink');
      const other = { ...uplink, ifname: 'dark' };
      bench.box.uplinks = which === 'first' ? [other, uplink] : [uplink, other];
      await bench.box.run({ controller: dark('dark'), until: 'OPERATIONAL' });
      return { outcome: await stateOf(bench), told: toldBy(bench.box) };
    },
  })),
  {
    fault: 'a second, wrong DHCP server that names a server of its own',
    must: 'ask that one too, and believe the owner’s signed data alone',
    outcome: 'OPERATIONAL',
    told: 'OPERATIONAL, waits for nothing; notice: dhcp:wan2[1] is not https (look at who names it; the others are asked); notice: nobody answers over wan2, and the box came on over wan1: bootstrap/unreachable: 127.0.0.1:1 over wan2: ECONNREFUSED connect ECONNREFUSED 127.0.0.1:1 (look at the cable of wan2, at its way out, and at whom DHCP or DNS names there); mend: nothing to do',
    run: async () => {
      const [uplink] = bench.box.uplinks;
      if (uplink === undefined) throw new Error('the bench has an uplink');
      bench.box.uplinks = [
        { ...uplink, ifname: 'wan2', bootstrapServers: ['https://127.0.0.1:1', 'http://evil.example'] },
        uplink,
      ];
      await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
      return { outcome: await stateOf(bench), told: toldBy(bench.box) };
    },
  },
  {
    fault: 'DNS that lists a server that is nobody’s, and one that is none',
    must: 'ask it first, believe nothing of it, and ask the next',
    outcome: 'asked it; OPERATIONAL',
    told: 'OPERATIONAL, waits for nothing; notice: dns-sd:wan1[0] carries credentials (look at who names it; the others are asked); notice: evil.example:PORT over wan1 is passed over, and another server named the owner: bootstrap/unreachable: evil.example:PORT over wan1: speaks no TLS (look at what names it: DHCP or DNS of that line); mend: nothing to do',
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
        told: toldBy(box),
      };
    },
  },
]);
