/** What `wg` prints, and what it is told: captured from wg 1.0 on kernel 6.18. */
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/model/secret.ts';
import { isAsSpecified, parseWireGuardDump, renderWireGuardConfig } from '../../../src/net/wireguardText.ts';

const KEY = '0TqBLY716Cvfc5mUH2cGs/rFccrxWSuqOYDs+sxLDhg=';
const OWN = '4G6nLim052k4m2QDin4E0FJEkJ9oXCMfU68jMcOBfgw=';

describe('wg', () => {
  const dump =
    `wg-x\tSECRET\t${OWN}\t51820\t0x101\n` +
    `wg-x\t${KEY}\t(none)\t198.51.100.20:51821\t10.255.0.0/16,10.254.0.1/32\t0\t0\t0\t25\n` +
    'wg-y\t(none)\t(none)\t53315\toff\n';
  const peer = {
    publicKey: KEY,
    endpoint: { address: '198.51.100.20', port: 51_821 },
    allowedIps: ['10.254.0.1/32', '10.255.0.0/16'],
    keepaliveS: 25,
  };
  const spec = {
    link: 'wg-x',
    privateKeyFile: '/k',
    publicKey: OWN,
    listenPort: 51_820,
    mark: 0x101,
    peers: [peer],
  };

  test('its dump, without the private key', () => {
    const [x, y] = parseWireGuardDump(dump);
    expect(x).toEqual({ link: 'wg-x', publicKey: OWN, listenPort: 51_820, mark: 0x101, peers: [peer] });
    expect(y?.mark).toBe(0);
    expect(JSON.stringify(x)).not.toContain('SECRET');
  });

  test('a peer that roamed is as specified; one of another key, range or port is not', () => {
    const [state] = parseWireGuardDump(dump);
    if (state === undefined) throw new Error('no state');
    const roamed = { ...peer, endpoint: { address: '203.0.113.7', port: 9 } };
    expect(isAsSpecified({ ...state, peers: [roamed] }, spec)).toBe(true);
    expect(isAsSpecified(state, { ...spec, peers: [{ ...peer, allowedIps: ['10.254.0.1/32'] }] })).toBe(
      false,
    );
    expect(isAsSpecified(state, { ...spec, listenPort: 1 })).toBe(false);
    expect(isAsSpecified(state, { ...spec, peers: [] })).toBe(false);
    const { endpoint: _, ...lost } = peer;
    expect(isAsSpecified({ ...state, peers: [lost] }, spec)).toBe(false);
  });

  test('its configuration is a secret', () => {
    const config = renderWireGuardConfig(spec, new Secret(`${KEY}\n`));
    expect(String(config)).toBe('[redacted]');
    expect(config.reveal()).toBe(
      `[Interface]\nPrivateKey = ${KEY}\nListenPort = 51820\nFwMark = 257\n[Peer]\nPublicKey = ${KEY}\n` +
        'AllowedIPs = 10.254.0.1/32, 10.255.0.0/16\nEndpoint = 198.51.100.20:51821\nPersistentKeepalive = 25\n',
    );
    expect(() => renderWireGuardConfig(spec, new Secret('x\nPostUp = y'))).toThrow('the private key is not');
  });
});
