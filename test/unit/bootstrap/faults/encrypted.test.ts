/**
 * Rows of the fault table: artefacts that openssl encrypted to the box's own certificate (RFC 8572 3.4), which changes nothing
 * of what is believed. Ways of encrypting: test/unit/pki/enveloped.test.ts.
 */
import { describe } from 'vitest';
import { wrapConveyed } from '../../../../src/pki/conveyed.ts';
import { hasOpenssl, openssl } from '../../pki/domain.ts';
import { createFakeTpm } from '../fakeTpm.ts';
import { conveyedBy, createFaultBench, ownerOf } from '../faultBench.ts';
import { onboarding } from '../servers.ts';
import { goodStick, plugIn, type StickTree, stickVoucher } from '../stick.ts';
import { answerBut, artefactRow } from './artefactRow.ts';
import { faultTable, firstFailure, OWNED, refusedUnowned } from './table.ts';

const bench = createFaultBench();
const row = artefactRow(bench);
const idevid = () => bench.authorities.idevid.certificate.pem;

function encrypted(content: Uint8Array = new Uint8Array(), to = idevid(), cipher = '-aes-256-cbc'): Buffer {
  using tool = openssl();
  tool.write('in', content);
  tool.write('crt', to);
  const form = ['-binary', '-in', 'in', '-outform', 'DER', '-out', 'out'];
  tool.run('cms', '-encrypt', ...form, cipher, '-recip', 'crt');
  return tool.read('out');
}
const all = ({ conveyed, ownerCertificate, voucher }: StickTree) => ({
  conveyed: encrypted(conveyed),
  ownerCertificate: encrypted(ownerCertificate),
  voucher: encrypted(voucher),
});
const answerAllEncrypted = (): void => answerBut(bench, (_, good) => all(good));
const flipped = (message: Uint8Array, at: number): Uint8Array =>
  message.map((byte, index) => (index === message.length + at ? byte ^ 1 : byte));

const SEALED =
  'What came is encrypted to this box and does not open: it was altered, or what is inside is no artefact of RFC 8572';

describe.skipIf(!hasOpenssl)('artefacts encrypted by openssl', () => {
  faultTable('encrypted artefacts', [
    {
      fault: 'none: all three, to the factory certificate',
      must: 'take them',
      outcome: 'OWNED',
      told: OWNED,
      run: () => {
        answerAllEncrypted();
        return firstFailure(bench, 'OWNED');
      },
    },
    {
      fault: 'none: those of a USB medium',
      must: 'take them',
      outcome: 'OWNED',
      told: 'OWNED, waits for an address on a WAN port; whose box this is is known already; notice: The USB medium describes the line of the first WAN port: the address 192.0.2.5/24. There is no address yet: where that lasts, check that the cable is in that port; else have another medium made (branchbox fleet usb) and plug it in; USB medium taken: The medium names gateway branch1, good until 2026-07-01T12:00:00.000Z; mend: plug in a WAN cable; where one is in, check its line, and what a stick said of it; it goes on by itself',
      async run() {
        bench.box.uplinks = [];
        await plugIn(bench, all(goodStick(bench)));
        return firstFailure(bench, 'OWNED');
      },
    },
    {
      fault: 'to a factory key that its TPM holds, and that may sign alone',
      must: 'say so, keep nothing of it, go on asking',
      outcome: 'pki/mismatch in PROVISIONAL; mended',
      told: 'pki/mismatch: What came is encrypted to the key of this box, which its TPM holds, and which may sign and not decrypt (have it sent without encryption: what is signed is believed without)',
      async run() {
        const tpm = createFakeTpm();
        bench.box.tpm = tpm;
        const path = `${bench.box.paths.factory}/idevid.key`;
        await bench.box.files.writeDurable(path, tpm.hold(bench.authorities.idevid.key));
        answerAllEncrypted();
        return refusedUnowned(bench);
      },
    },
    row(
      'to another box',
      'pki/mismatch',
      "What came is encrypted to others: none of its recipients (1) is this box's certificate (have it encrypted to the certificate that this box shows in TLS, or not at all: what is signed is believed without)",
      (_, good) => ({ conveyed: encrypted(good.conveyed, bench.authorities.server.certificate.pem) }),
    ),
    row('one bit flipped, in AES-GCM', 'pki/malformed', SEALED, (_, good) => ({
      conveyed: flipped(encrypted(good.conveyed, idevid(), '-aes-256-gcm'), -100),
    })),
    row('one bit flipped in its padding', 'pki/malformed', SEALED, (_, good) => ({
      voucher: flipped(encrypted(good.voucher), -17),
    })),
    row('twice', 'pki/malformed', 'What came is encrypted more than once', (_, good) => ({
      conveyed: encrypted(encrypted(good.conveyed)),
    })),
    row(
      'a voucher of another serial inside',
      'pki/mismatch',
      'The voucher for BBX-0002 is not for this box now ($.serial-number is BBX-0002, this box is BBX-0001; $.nonce is missing: the voucher may be an old one)',
      () => ({ voucher: encrypted(stickVoucher(bench, { serialNumber: 'BBX-0002' })) }),
    ),
    row(
      'onboarding information of a stranger inside',
      'pki/untrusted',
      'The certificate of "Somebody Else" is not trusted: no path leads from it to an anchor that must be used',
      (_, good) => ({
        ...all(good),
        conveyed: encrypted(conveyedBy(bench, onboarding(ownerOf(bench)), bench.authorities.stranger)),
      }),
    ),
    row(
      'onboarding information inside that nobody signed',
      'pki/untrusted',
      'The server sent onboarding information that nobody signed',
      () => ({
        conveyed: encrypted(wrapConveyed(onboarding(ownerOf(bench)), 'json')),
        ownerCertificate: undefined,
        voucher: undefined,
      }),
    ),
  ]);
});
