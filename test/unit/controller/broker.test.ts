/**
 * The broker's configuration, the epoch and the controller's configuration, held against who may do what and
 * what is missing.
 */
import { describe, expect, it } from 'vitest';
import { renderAcl, renderBrokerConfig } from '../../../src/controller/broker/mosquittoConfig.ts';
import { parseControllerConfig } from '../../../src/controller/config.ts';
import { settleEpoch } from '../../../src/controller/epoch.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';

const place = {
  directory: '/state/broker',
  listenAddress: '0.0.0.0',
  port: 8883,
  user: undefined,
};

describe('the broker', () => {
  it('knows its clients by their certificates alone', () => {
    const lines = renderBrokerConfig(place).split('\n');
    for (const line of [
      'allow_anonymous false',
      'require_certificate true',
      'use_identity_as_username true',
      'use_username_as_clientid true',
      'cafile /state/broker/domain.crt',
      'crlfile /state/broker/revoked.crl',
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.some((line) => line.startsWith('user '))).toBe(false);
    expect(renderBrokerConfig({ ...place, user: 'mosquitto' })).toMatch(/^user mosquitto$/m);
  });

  it('listens in both families where the controller does', () => {
    const listenerOf = (listenAddress: string) =>
      renderBrokerConfig({ ...place, listenAddress }).match(/^listener .*$/m)?.[0];
    expect(listenerOf('0.0.0.0')).toBe('listener 8883 0.0.0.0');
    expect(listenerOf('::')).toBe('listener 8883');
    expect(listenerOf('2001:db8::10')).toBe('listener 8883 2001:db8::10');
  });

  it('lets a gateway read two topics of its own and write three', () => {
    expect(renderAcl('controller.service')).toBe(
      `pattern read branchbox/v1/gw/%u/desired
pattern read branchbox/v1/gw/%u/cmd
pattern write branchbox/v1/gw/%u/status
pattern write branchbox/v1/gw/%u/events
pattern write branchbox/v1/gw/%u/reply

user controller.service
topic readwrite branchbox/#
`,
    );
  });
});

describe('the epoch', () => {
  async function settle(kept: string | undefined, stored: number, raise = false) {
    const store = openSqliteStore(':memory:');
    if (stored > 0) await store.gateways.setEpoch(stored);
    let file = kept;
    const files = {
      readText: async () => file,
      writeDurable: async (_path: string, content: string | Uint8Array) => {
        file = String(content);
      },
    };
    const log = createLogger({ name: 'test', write: () => undefined });
    const epoch = await settleEpoch({ store, files, path: 'epoch', raise, log });
    return [epoch, file, await store.gateways.epoch()];
  }

  it.each([
    ['begins at 1', undefined, 0, false, 1],
    ['stays', '3\n', 3, false, 3],
    ['is raised when told', '3\n', 3, true, 4],
    ['is raised above a database that is older than the file beside it', '3\n', 2, false, 4],
    ['is raised above an empty database', '3\n', 0, false, 4],
    ['survives the loss of the file', undefined, 3, false, 3],
  ])('%s', async (_name, kept, stored, raise, expected) => {
    expect(await settle(kept, stored, raise)).toEqual([expected, `${expected}\n`, expected]);
  });
});

describe('the configuration', () => {
  it('needs a name and a manufacturer, and has a default for the rest', () => {
    const config = parseControllerConfig(
      'names = ["controller.example"]\n[manufacturer]\nurl = "https://manufacturer.example:9443"\n',
      'controller.toml',
    );
    expect(config.listen).toMatchObject({
      sztpPort: 8443,
      estPort: 8444,
      apiPort: 8445,
      devicePort: 8446,
      mqttPort: 8883,
    });
    expect(() => parseControllerConfig('names = []\nport = 1\n', '/etc/controller.toml')).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('/etc/controller.toml'),
        problems: expect.arrayContaining([
          expect.objectContaining({ path: '$.names' }),
          expect.objectContaining({ path: '$.manufacturer' }),
          expect.objectContaining({ path: '$.port' }),
        ]),
      }),
    );
    expect(() => parseControllerConfig('names = ', '/etc/controller.toml')).toThrow(
      /\/etc\/controller\.toml is not TOML/,
    );
  });
});
