/** Metadata services that are not there, that take the start's time, or that answer as none should. */
import { describe, expect, it } from 'vitest';
import { faultTable } from '../bootstrap/faults/table.ts';
import { type Answer, arrived, bench, nothing, say, serve, start, USER_DATA } from './cloudInstance.ts';

describe('where nobody is', () => {
  it.each([
    ['refuses the connection', false],
    ['swallows it', true],
  ])('and the network %s, that one is tried for all clouds', (_what, isSilent) =>
    bench.within(async (world) => {
      const close = await serve(world, () => {});
      close();
      if (isSilent) world.put('silent', '');
      expect(await start(world)).toBe('cloud-identity: no user data of ours\n');
      expect(world.read('asked')).toBe('x');
      expect(world.read('routes')).toBe('replace\ndel\n');
    }),
  );
});

describe('of a service that takes the start’s time', () => {
  it('one that takes connections and says nothing is asked twice by a port, on the link and by its gateway together', () =>
    bench.within(async (world) => {
      await serve(world, () => {});
      world.put('run/branchbox/leases/lo.env', 'new_ip_address=127.0.0.1\nnew_routers=127.0.0.1\n');
      await start(world);
      expect(world.read('asked')).toBe('xx');
      expect(world.read('routes')).toBe('replace\ndel\nreplace\ndel\n');
      expect(world.read('run/branchbox/cloud-identity')).toBe(
        'the metadata service takes the connection and says nothing\nno user data of ours\n',
      );
      nothing(world);
    }));

  it('one ask that is not answered keeps nobody from being asked in the way of another cloud', () =>
    bench.within(async (world) => {
      await serve(world, (request, response) => {
        if (request.url === '/hetzner/v1/userdata') say(response, 200, USER_DATA);
        else if (request.method !== 'PUT') say(response, 404);
      });
      await start(world);
      arrived(world);
    }));

  it('nobody is asked when 20 s are over, however many ways are left', () =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => void response.write('#branchbox-factory\n'));
      world.put('takes', '5');
      expect(await start(world)).toContain('the metadata service was not asked to the end: 20 s were over');
      expect(world.read('asked')).toBe('x'.repeat(4));
      nothing(world);
    }));
});

/** Each would be taken if it were believed, waited for or followed. */
const HOSTILE: Readonly<Record<string, Answer>> = {
  'sends elsewhere': (request, response) => {
    if (request.url === '/elsewhere') say(response, 200, USER_DATA);
    else response.writeHead(302, { location: '/elsewhere' }).end(USER_DATA);
  },
  'is a portal': (_request, response) =>
    say(response, 200, `<html>\n${USER_DATA}</html>`.repeat(3), 'text/html'),
  'says how much it will be': (_request, response) => say(response, 200, USER_DATA + 'A'.repeat(70_000)),
  'never ends': (_request, response) => {
    response.write(USER_DATA);
    const more = (): void => void (response.destroyed || response.write('A'.repeat(65_536), more));
    more();
  },
  'fills with what is dropped': (_request, response) => say(response, 200, USER_DATA + '\r'.repeat(70_000)),
  'answers drop by drop': (_request, response) => {
    response.write('#branchbox-factory\n');
    const drop = setInterval(() => response.write('A'), 20);
    response.once('close', () => clearInterval(drop));
  },
  'breaks off in the middle': (_request, response) => {
    response.writeHead(200, { 'content-length': USER_DATA.length });
    response.write(USER_DATA.slice(0, -300), () => response.destroy());
  },
  'says nothing': () => {},
  'gives a token that is a header more': (request, response) => {
    if (request.method === 'PUT') say(response, 200, 'x\r\nX-More: yes');
    else say(response, request.headers['x-more'] === undefined ? 401 : 200, USER_DATA);
  },
};

/** What the console tells; where nothing is, only that there is nothing. */
const TOLD: Readonly<Record<string, string>> = {
  'sends elsewhere': 'the metadata service sends elsewhere (302), which is not followed',
  'is a portal': 'the metadata service has data that do not begin with #branchbox-factory',
  'says how much it will be': 'the metadata service has data of more than 65536 bytes',
  'never ends': 'the metadata service has data of more than 65536 bytes',
  'fills with what is dropped': 'the metadata service has data of more than 65536 bytes',
  'answers drop by drop': 'the metadata service did not answer whole in time',
  'breaks off in the middle': 'the metadata service broke off (curl ended with 18)',
  'says nothing': 'the metadata service takes the connection and says nothing',
};

faultTable(
  'cloud metadata service',
  Object.entries(HOSTILE).map(([name, answer]) => ({
    fault: `that ${name}`,
    must: 'believe, follow and wait for nothing of it, leave nothing behind, and start on',
    outcome: 'nothing written, the route taken away',
    told: [TOLD[name], 'no user data of ours'].filter((line) => line !== undefined).join('; '),
    run: async () => {
      const seen = { outcome: '', told: '' };
      await bench.within(async (world) => {
        await serve(world, answer);
        seen.told = (await start(world)).trim().replaceAll('cloud-identity: ', '').replaceAll('\n', '; ');
        nothing(world);
        const routes = world.read('routes') === 'replace\ndel\n' ? 'the route taken away' : 'a route left';
        seen.outcome = `nothing written, ${routes}`;
      });
      return seen;
    },
  })),
);
