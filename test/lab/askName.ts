/** What a box hears of `controller.example` over one uplink: its address, or why there is none. `askName IFNAME ADDRESS SERVER`. */
import { askServers } from '../../src/system/uplinkResolver.ts';

const [ifname = '', address = '', server = ''] = process.argv.slice(2);
const uplink = { ifname, address, dns: [server] };
console.log(
  await askServers(uplink, (resolver) => resolver.resolve6('controller.example')).then(
    (found) => found?.join(' '),
    (thrown: unknown) => (thrown instanceof Error && 'code' in thrown ? thrown.code : thrown),
  ),
);
