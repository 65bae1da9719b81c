/** What in a topology may stand in one place alone: names, ports, addresses. Each problem with its path and its words. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseTopology, TOPOLOGIES_DIRECTORY } from '../../../src/lab/topology.ts';
import { planWiring } from '../../../src/lab/wiring.ts';
import { BranchboxError } from '../../../src/model/errors.ts';

const TEXT = readFileSync(join(TOPOLOGIES_DIRECTORY, 'default', 'topology.toml'), 'utf8');

describe('a topology of one’s own', () => {
  const written = (change: (text: string) => string): string[] => {
    try {
      parseTopology(change(TEXT), 'it');
      return [];
    } catch (error) {
      if (!(error instanceof BranchboxError)) throw error;
      return error.problems.map(({ path, message }) => `${path} ${message}`);
    }
  };
  const more = (toml: string) => written((text) => `${text}\n${toml}\n`);

  it('may have gateways of names that begin alike, each with ports that nobody plugged in', () => {
    const branch = (name: string): string =>
      `[[nodes]]\nname = "${name}"\nrole = "branch"\nlan = ["lan1", "lan2"]\n`;
    const text = `${TEXT}\n${branch('branch-north1')}${branch('branch-north2')}`;
    const ends = planWiring(parseTopology(text, 'it')).cables.map(({ b }) => `${b.node}/${b.ifname}`);
    expect(new Set(ends).size).toBe(ends.length);
  });

  it('has one node of a name, and none of the lab’s own', () => {
    expect(more('[[nodes]]\nname = "hub"\nrole = "host"')).toEqual([
      '$.nodes[9].name hub is already used by $.nodes[1]',
    ]);
    expect(more('[[nodes]]\nname = "provider-a"\nrole = "host"')).toEqual([
      '$.nodes[9].name provider-a is already used by $.providers[0]',
    ]);
    expect(more('[[nodes]]\nname = "unplugged"\nrole = "host"')).toEqual([
      '$.nodes[9].name is where the lab keeps the ends of cables that nobody plugged in',
    ]);
    expect(written((text) => text.replace('name = "access"', 'name = "port1"'))).toContain(
      '$.providers[1].networks[1].name is a name that the lab gives itself',
    );
    expect(written((text) => text.replace('name = "access"', 'name = "public"'))).toContain(
      '$.providers[1].networks[1].name public is already used by $.providers[1].networks[0]',
    );
  });

  it('has one cable in a port', () => {
    const second = 'lanOf = { gateway = "branch1", port = "lan1", address = "10.10.0.13/24" }';
    expect(more(`[[nodes]]\nname = "other"\nrole = "host"\n${second}`)).toEqual([
      '$.nodes[9].lanOf LAN port lan1 of branch1 is already used by $.nodes[4]',
    ]);
    expect(written((text) => text.replace('lan = ["lan1",', 'lan = ["wan1", "lan1",'))).toEqual([
      '$.nodes[2].lan[0] wan1 is already used by $.nodes[2].uplinks[0]',
    ]);
    expect(written((text) => text.replace('"lan4"]', '"lo"]'))).toEqual([
      "$.nodes[2].lan[3] is every node's loopback",
      '$.nodes[2] a gateway of the lab has no port lo: it has wan1 to wan8 and lan1 to lan32',
    ]);
    const both = 'uplinks = [{ name = "internet", port = "eth0", network = "provider-a/internet" }]';
    expect(written((text) => text.replace('name = "branch1-red"\nrole = "host"', `$&\n${both}`))).toEqual([
      '$.nodes[4].uplinks[0].port eth0 is already used by $.nodes[4].lanOf',
    ]);
    const twice = '{ name = "internet", port = "wan3", network = "provider-a/internet" },';
    expect(written((text) => text.replace('network = "provider-b/access" },', `$&\n  ${twice}`))).toEqual([
      '$.nodes[2].uplinks[2].name internet is already used by $.nodes[2].uplinks[0]',
    ]);
  });

  it('has an address once in a network, and hands out what is in it', () => {
    const at = 'uplinks = [{ name = "internet", port = "eth0", network = "provider-a/internet", address = ';
    const host = (address: string) => more(`[[nodes]]\nname = "other"\nrole = "host"\n${at}"${address}" }]`);
    expect(host('198.51.100.31')).toEqual([]);
    expect(host('198.51.100.20')).toEqual([
      '$.nodes[9].uplinks[0].address 198.51.100.20 in provider-a/internet is already used by $.nodes[1].uplinks[0]',
    ]);
    expect(host('198.51.100.1')).toEqual([
      '$.nodes[9].uplinks[0].address 198.51.100.1 in provider-a/internet is already used by $.providers[0].networks[0]',
    ]);
    expect(written((text) => text.replace('last = "198.51.100.199"', 'last = "198.51.100.99"'))).toEqual([
      '$.providers[0].networks[0].dhcp.last is before the first',
    ]);
    expect(written((text) => text.replace('first = "198.51.100.100"', 'first = "198.51.101.100"'))).toEqual([
      '$.providers[0].networks[0].dhcp.first 198.51.101.100 is not in 198.51.100.1/24',
      '$.providers[0].networks[0].dhcp.last is before the first',
    ]);
  });
});
