/**
 * Rows of the fault table: a USB medium that a box must not believe. How one is read off a stick: stickRead.test.ts.
 */
import { MEDIUM_FILE_MAX_BYTES } from '../../../../src/model/medium.ts';
import { ownerCertificate, wrapConveyed } from '../../../../src/pki/conveyed.ts';
import { authority, DAY_MS, issued, NOW_MS } from '../authorities.ts';
import { conveyedBy, createFaultBench, ownerOf } from '../faultBench.ts';
import { onboarding, redirect } from '../servers.ts';
import {
  goodStick,
  plugIn,
  pullOut,
  seenByUdev,
  STATIC_NETWORK,
  type StickTree,
  stickVoucher,
} from '../stick.ts';
import { passedOver } from './mediumPassedOver.ts';
import { type FaultRow, faultTable, IN_SERVICE, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
const good = (network?: unknown) => goodStick(bench, network);
const stranger = () => issued(bench.authorities.stranger, { kind: 'owner', commonName: 'owner' });
const flip = (der: Uint8Array): Uint8Array => der.map((byte, at) => (at === 700 ? byte ^ 1 : byte));
const NOT_READ =
  'OPERATIONAL, waits for nothing; notice: USB medium sdb1: no bootstrap medium is read, this box has its owner (a factory reset would make it read; else pull it out)';
/** In service, by a start that finds its way there by the files. */
async function toldAnew(): Promise<string> {
  await bench.box.files.writeDurable(`${bench.box.paths.state}/journal.json`, '{');
  await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  return toldBy(bench.box);
}

const row = (fault: string, code: string, told: string, tree: () => StickTree): FaultRow => ({
  fault,
  must: 'refuse it, keep nothing of it, ask online as if it were not there',
  outcome: `${code} in PROVISIONAL; mended`,
  told,
  async run() {
    await plugIn(bench, tree());
    return passedOver(bench);
  },
});

faultTable('USB medium', [
  row(
    'of another serial',
    'pki/mismatch',
    'The voucher for BBX-0002 is not for this box now: $.serial-number is BBX-0002, this box is BBX-0001',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, { serialNumber: 'BBX-0002' }),
    }),
  ),
  row(
    'with a voucher that answers a nonce',
    'pki/mismatch',
    'The voucher for BBX-0001 is not for this box now: $.nonce answers a request that was not made here; $.expires-on is missing from a voucher without a nonce',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, { nonce: new Uint8Array(32), expiresOnMs: undefined }),
    }),
  ),
  row(
    'that expired',
    'pki/expired',
    'The voucher for BBX-0001 is not for this box now: $.expires-on was 2026-05-31T12:00:00Z, and it is 2026-06-01T12:00:00Z at least',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, { createdOnMs: NOW_MS - 60 * DAY_MS, expiresOnMs: NOW_MS - DAY_MS }),
    }),
  ),
  row(
    'whose voucher somebody else signed',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () => ({
      ...good(),
      voucher: stickVoucher(bench, {}, stranger()),
    }),
  ),
  row(
    'with a bit flipped in the voucher',
    'pki/untrusted',
    "The signature of signed data is refused: Error during verification: Message digest doesn't match",
    () => ({
      ...good(),
      voucher: flip(stickVoucher(bench)),
    }),
  ),
  row(
    'whose network somebody else signed',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () => ({
      ...good(),
      conveyed: conveyedBy(bench, onboarding({ ...ownerOf(bench), network: STATIC_NETWORK }), stranger()),
      ownerCertificate: ownerCertificate(stranger()),
    }),
  ),
  row(
    'whose network nobody signed',
    'pki/malformed',
    'CMS content 1.2.840.113549.1.9.16.1.43 is not signed data',
    () => ({
      ...good(),
      conveyed: wrapConveyed(onboarding({ ...ownerOf(bench), network: STATIC_NETWORK }), 'json'),
    }),
  ),
  row(
    'unsigned: with onboarding information alone',
    'pki/untrusted',
    'A bootstrap medium holds conveyed-information.cms, owner-certificate.cms, ownership-voucher.vcj; this one lacks some of them',
    () => ({
      conveyed: good().conveyed,
    }),
  ),
  row(
    'that brings a script',
    'pki/mismatch',
    "The onboarding information brings a post-configuration-script, and a box runs no code but its image's (have the owner leave post-configuration-script out)",
    () => ({
      ...good(),
      conveyed: conveyedBy(bench, onboarding(ownerOf(bench), { 'post-configuration-script': 'AAAA' })),
    }),
  ),
  row('with a redirect', 'pki/mismatch', 'The medium holds a redirect, not onboarding information', () => ({
    ...good(),
    conveyed: conveyedBy(bench, redirect([{ address: '192.0.2.1', port: 443 }])),
  })),
  row(
    'that names another domain CA than its voucher',
    'pki/mismatch',
    'The onboarding configuration names another domain CA than the voucher pinned',
    () => ({
      ...good(),
      conveyed: conveyedBy(
        bench,
        onboarding({ ...ownerOf(bench), domainAnchorPem: authority('other').certificate.pem }),
      ),
    }),
  ),
  row(
    'with a network that makes no sense',
    'model/invalid',
    "The onboarding configuration has 1 problem: $.network.addressing.kind Invalid discriminator value. Expected 'dhcp' | 'static' | 'pppoe' | 'modem'",
    () => good({ schema: 1, addressing: { kind: 'carrier pigeon' } }),
  ),
  row(
    'that is huge',
    'system/file',
    'media/sdb1/conveyed-information.cms is larger than 131072 bytes',
    () => ({
      ...good(),
      conveyed: new Uint8Array(MEDIUM_FILE_MAX_BYTES + 1),
    }),
  ),
  row('that holds noise', 'pki/malformed', 'Bytes are not one CMS message', () => ({
    ...good(),
    voucher: Buffer.from('noise'),
  })),
  {
    fault: 'with a file system that no box reads (exFAT)',
    must: 'say so to who plugged it in, and ask online as if it were not there',
    outcome: 'nothing to refuse in PROVISIONAL; mended',
    told: "PROVISIONAL, waits for a bootstrap server to answer with signed data; notice: USB medium sdb1: it has exFAT, and a bootstrap medium is read off FAT or ext4 alone (format it with FAT32, copy the files onto it again, or take another stick); mend: ask the operator whether the controller's inventory has this box, by its serial",
    async run() {
      await seenByUdev(bench, 'exfat');
      return passedOver(bench);
    },
  },
  {
    fault: 'plugged into a box that has an owner',
    must: 'not look at it, and say that it is there and why nothing is taken, until it is pulled out',
    outcome: 'nothing to refuse in OPERATIONAL, under its owner; once it is out no word of it',
    told: `${NOT_READ}; mend: nothing to do`,
    async run() {
      const { box, controller } = bench;
      await box.run({ controller, until: 'OPERATIONAL' });
      const owner = await box.files.readText(`${box.paths.state}/owner.json`);
      await plugIn(bench, { ...good(), voucher: Buffer.from('noise') });
      await seenByUdev(bench);
      const told = await toldAnew();
      await pullOut(bench);
      const word = (await toldAnew()) === IN_SERVICE ? 'no word' : 'still a word';
      const refused = box.log.some(({ message }) => message === 'bootstrap medium refused');
      const same = (await box.files.readText(`${box.paths.state}/owner.json`)) === owner;
      return {
        outcome: `${refused ? 'refused' : 'nothing to refuse'} in ${await stateOf(bench)}, under ${same ? 'its' : 'another'} owner; once it is out ${word} of it`,
        told,
      };
    },
  },
]);
