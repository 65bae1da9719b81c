/**
 * Owns playing the attacker and the broken controller: signing desired states with the lab's real key or a foreign
 * one, and putting them on a box's topic as the broker's own operator could.
 */
import { spawn } from 'node:child_process';
import { topicsOf } from '../../../src/model/mqtt.ts';
import { Secret } from '../../../src/model/secret.ts';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import { signJws } from '../../../src/pki/jws.ts';
import { importPrivateKey } from '../../../src/pki/keys.ts';
import { labInfo } from './fleet.ts';
import { inNode, root } from './lab.ts';

/** A key file of the controller's node that holds key and certificate. */
async function credentialIn(path: string): Promise<Credential> {
  const text = await inNode('controller', 'cat', path);
  const at = text.indexOf('-----BEGIN CERTIFICATE-----');
  return {
    key: importPrivateKey(new Secret(text.slice(0, at))),
    certificate: parseCertificate(text.slice(at)),
    chain: [],
  };
}

/** The domain's real configuration-signing credential: only root of the controller's machine can take it. */
export const configurationSigner = (): Promise<Credential> =>
  credentialIn('/var/lib/branchbox/signer/configuration-signing.pem');
/** Under the same domain CA, but for another purpose. */
export const ownerSigner = (): Promise<Credential> => credentialIn('/var/lib/branchbox/signer/owner.pem');

export function sign(payload: unknown, signer: Credential): string {
  return signJws(Buffer.from(JSON.stringify(payload)), signer);
}

/** What the box has committed, as the controller signed it: `{ schema, gatewayId, epoch, generation, notBefore, spec }`. */
export async function committedPayload(
  gateway: string,
): Promise<Record<string, unknown> & { epoch: number; generation: number; spec: Record<string, unknown> }> {
  const jws = await inNode(gateway, 'cat', '/var/lib/branchbox/agent/committed.jws');
  const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString();
  return JSON.parse(payload) as Awaited<ReturnType<typeof committedPayload>>;
}

const PUBLISH = `
import mqtt from 'mqtt';
let text = '';
for await (const chunk of process.stdin) text += chunk;
const { key, cert, ca, topic, message } = JSON.parse(text);
const client = await mqtt.connectAsync({ protocol: 'mqtts', protocolVersion: 5, host: '127.0.0.1', port: 8883, servername: 'controller.branchbox.example', key, cert, ca, reconnectPeriod: 0 });
await client.publishAsync(topic, message, { qos: 1, retain: false });
await client.endAsync();
`;

/** Publishes on the box's desired topic with the controller's own MQTT credential. */
export async function publishDesired(gateway: string, jws: string): Promise<void> {
  const { nodes } = await labInfo();
  const netns = nodes.find((node) => node.name === 'controller')?.netns;
  if (netns === undefined) throw new Error('the lab has no controller');
  const tls = '/var/lib/branchbox/controller/tls';
  const key = await inNode('controller', 'cat', `${tls}/client.key`);
  const cert = await inNode('controller', 'cat', `${tls}/client.crt`);
  const ca = await inNode('controller', 'cat', '/var/lib/branchbox/signer/domain-ca.crt');
  const child = spawn('nsenter', [`--net=${netns}`, process.execPath, '--input-type=module', '-e', PUBLISH], {
    cwd: root,
    stdio: ['pipe', 'inherit', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(
    JSON.stringify({
      key,
      cert,
      ca,
      topic: topicsOf(gateway).desired,
      message: jws,
    }),
  );
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (exitCode !== 0) throw new Error(`publishing ended with ${exitCode}: ${stderr}`);
}
