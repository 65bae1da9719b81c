/**
 * Owns the words for what keeps a box from its controller, the same on page, screen, command line and in its log.
 * Does not own finding it out (system/uplinkDial, system/uplinkTls, agent/mqttSession).
 */
import { z } from 'zod';

/** The most telling last: where each uplink fails by another, that one is told. */
export const OBSTACLES = [
  'no-uplink',
  'name',
  'connection',
  'peer',
  'clock',
  'own-key',
  'not-authorised',
] as const;
export type Obstacle = (typeof OBSTACLES)[number];

export const OBSTACLE_SENTENCES: Readonly<Record<Obstacle, { readonly why: string; readonly mend: string }>> =
  {
    'no-uplink': { why: 'no WAN port has an address', mend: 'plug in a WAN cable; it goes on by itself' },
    name: {
      why: 'the name of the controller cannot be resolved',
      mend: 'check the DNS servers that the provider names, and that they know the controller',
    },
    connection: {
      why: 'the controller cannot be connected to',
      mend: 'check that the line lets the box through to the port of the broker, and that the controller runs',
    },
    peer: {
      why: 'who answers is not the controller',
      mend: 'check that nobody intercepts TLS (captive portal, inspecting firewall), and the name of the controller',
    },
    clock: {
      why: 'the certificate of the controller is not valid by the clock of this box',
      mend: 'check that time servers set the clock of this box, and the clock of the controller',
    },
    'own-key': {
      why: 'this box cannot show who it is',
      mend: 'look at what holds its keys: branchbox bootstrap status',
    },
    'not-authorised': {
      why: 'the controller does not let this box in',
      mend: 'look at this gateway at the controller: branchbox fleet status',
    },
  };

/** What the agent tells the identity process of its broker; without a problem it is connected. */
export const BrokerProblem = z.strictObject({ obstacle: z.enum(OBSTACLES), detail: z.string().max(2000) });
export type BrokerProblem = z.output<typeof BrokerProblem>;
export const BrokerTelling = z.strictObject({ problem: BrokerProblem.optional() });
export const BROKER_TELLING_MAX_BYTES = 8 * 1024;

export const isObstacle = (value: unknown): value is Obstacle =>
  OBSTACLES.some((obstacle) => obstacle === value);

/** Of several the most telling; undefined of none. Pure. */
export const mostTelling = (found: readonly Obstacle[]): Obstacle | undefined =>
  OBSTACLES.findLast((obstacle) => found.includes(obstacle));

/** In place of those of a state that needs the broker (model/bootstrap). Pure. */
export const brokerSentences = ({
  obstacle,
}: BrokerProblem): { readonly waitsFor: string; readonly mend: string } => ({
  waitsFor: `its controller: ${OBSTACLE_SENTENCES[obstacle].why}`,
  mend: OBSTACLE_SENTENCES[obstacle].mend,
});

/** For a person. Pure. */
export const renderBrokerProblem = ({ obstacle, detail }: BrokerProblem): string =>
  `${OBSTACLE_SENTENCES[obstacle].why} (${detail})`;
