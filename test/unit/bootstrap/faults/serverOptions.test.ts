/** Rows of the fault table: DHCP's options that name bootstrap servers. */
import { createUplinks, uplinkOf } from '../../../../src/bootstrap/uplink.ts';
import { parseLease } from '../../../../src/system/leases.ts';
import { parseLease6 } from '../../../../src/system/leases6.ts';
import { HOST } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import {
  type FaultRow,
  faultTable,
  firstFailure,
  OWNED,
  refusedUnowned,
  stateOf,
  thenMended,
  toldBy,
} from './table.ts';

const bench = createFaultBench();

/** What DHCP said, as the client's hook writes it down. */
const named = (fault: string, option: string, told: string, family: 4 | 6 = 4): FaultRow => ({
  fault,
  must: 'ask nobody it names; go on when a lease names a server',
  outcome: 'bootstrap/unreachable in DISCOVER; mended',
  told: `bootstrap/unreachable: Neither a medium nor DNS, DHCP or the built-in list names a bootstrap server that can be used${told}`,
  run: async () => {
    const good = bench.box.uplinks;
    const lease =
      family === 4
        ? parseLease('wan1', `new_ip_address='127.0.0.1'\nnew_sztp_redirect='${option}'\n`)
        : parseLease6('wan1', `nd1_addr1='2001:db8::2'\nnew_dhcp6_sztp_redirect='${option}'\n`);
    if (lease === undefined) throw new Error('the lease itself is good');
    bench.box.uplinks = [{ ...uplinkOf(lease), address: '127.0.0.1' }];
    const seen = await firstFailure(bench, 'PROVISIONAL');
    bench.box.uplinks = good;
    return thenMended(bench, seen);
  },
});

const TWENTY = Array.from({ length: 20 }, () => 'https://HERE').join(' ');
const tooMany = (lines: string): FaultRow => ({
  fault: 'with twenty servers',
  must: 'ask the first sixteen; where they give nothing say that there were more',
  outcome: 'bootstrap/refused in PROVISIONAL; mended',
  told: 'bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box (dhcp:wan1 names 20 bootstrap servers: the first 16 are asked, name no more than these)',
  run: async () => {
    const { box, controller } = bench;
    const family = lines.startsWith('nd1') ? 'env6' : 'env';
    await box.files.writeDurable(
      `${box.directory}/leases/wan1.${family}`,
      lines.replaceAll('HERE', `${HOST}:${controller.port}`),
    );
    const [uplink] = await createUplinks(box.files, `${box.directory}/leases`).all();
    if (uplink === undefined) throw new Error('the lease itself is good');
    box.uplinks = [{ ...uplink, address: '127.0.0.1' }];
    controller.behaviour.sztp = () => ({ status: 403 });
    return refusedUnowned(bench);
  },
});

faultTable('option 143', [
  tooMany(`new_ip_address='127.0.0.1'\nnew_sztp_redirect='${TWENTY}'\n`),
  named('without encryption (http://)', 'http://controller.example', ' (dhcp:wan1[0] is not https)'),
  named('cut short', 'https:/', ' (dhcp:wan1[0] is not a URI)'),
  named('empty', '', ''),
  named(
    'with a name of 1,500 characters',
    `https://${'a'.repeat(1500)}.example`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named(
    'with a name of 3,000 characters',
    `https://${'a'.repeat(3000)}.example`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named(
    'with credentials in it',
    'https://user:word@controller.example',
    ' (dhcp:wan1[0] carries credentials)',
  ),
  named('with a file instead of a server', 'file:///etc/passwd', ' (dhcp:wan1[0] is not https)'),
]);

const LOOK = '(look at who names it; the others are asked)';
const named6 = (fault: string, option: string, told: string): FaultRow => named(fault, option, told, 6);

faultTable('option 136 (DHCPv6)', [
  tooMany(`nd1_addr1='2001:db8::2'\nnew_dhcp6_sztp_redirect='${TWENTY}'\n`),
  named6('without encryption (http://)', 'http://controller.example', ' (dhcp:wan1[0] is not https)'),
  named6('cut short', 'https:/', ' (dhcp:wan1[0] is not a URI)'),
  named6('cut off within an IPv6 address', 'https://[2001:db8', ' (dhcp:wan1[0] is not a URI)'),
  named6('empty', '', ''),
  named6(
    'with a name of 1,025 characters',
    `https://${'a'.repeat(1017)}`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named6(
    'with a name of 3,000 characters',
    `https://${'a'.repeat(3000)}.example`,
    ' (dhcp:wan1[0] is longer than 1024 characters)',
  ),
  named6(
    'with several, each wrong in its own way',
    `http://controller.example https://user:word@controller.example ftp://controller.example https:/ https://${'a'.repeat(3000)}`,
    ' (dhcp:wan1[0] is not https; dhcp:wan1[1] carries credentials; dhcp:wan1[2] is not https; and 2 more)',
  ),
  {
    fault: 'with several, of which the last is good',
    must: 'ask that one',
    outcome: 'OWNED with 0 failures',
    told: OWNED.replace(
      ';',
      `; notice: dhcp:wan1[0] is not https ${LOOK}; notice: dhcp:wan1[1] is not a URI ${LOOK};`,
    ),
    run: async () => {
      const { box, controller } = bench;
      const option = `http://controller.example https:/ https://${HOST}:${controller.port}`;
      const lease = parseLease6('wan1', `nd1_addr1='2001:db8::2'\nnew_dhcp6_sztp_redirect='${option}'\n`);
      if (lease === undefined) throw new Error('the lease itself is good');
      box.uplinks = [{ ...uplinkOf(lease), address: '127.0.0.1' }];
      await box.run({ controller, until: 'OWNED' });
      return {
        outcome: `${await stateOf(bench)} with ${box.log.filter(failed).length} failures`,
        told: toldBy(box),
      };
    },
  },
]);
