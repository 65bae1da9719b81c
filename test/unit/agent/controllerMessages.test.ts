/** What a message of the controller is taken for, and that none ends the connection. */
import { expect, it } from 'vitest';
import { takeMessage } from '../../../src/agent/controllerMessages.ts';
import { topicsOf } from '../../../src/model/mqtt.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const { desired, cmd } = topicsOf('branch1');
const NONCE = 'ab'.repeat(16);

/** What the takers were given, and what was logged; the takers fail where `fails` is said. */
function taken(topic: string, text: string, fails = false): readonly string[] {
  const told: string[] = [];
  const take = (what: string): void => {
    if (fails) throw new Error('full');
    told.push(what);
  };
  const log = {
    ...silentLog,
    warn: (words: string) => void told.push(words),
    error: (words: string) => void told.push(words),
  };
  takeMessage(
    'branch1',
    { topic, payload: Buffer.from(text) },
    {
      onDesired: (jws) => take(`state ${jws}`),
      onProof: (nonce) => take(`proof ${nonce}`),
      onCommand: ({ kind }) => take(kind),
    },
    log,
  );
  return told;
}

it.each([
  ['a desired state', desired, 'a.b.c', ['state a.b.c']],
  ['one that was taken away', desired, '', []],
  ['an answer to a proof', cmd, JSON.stringify({ kind: 'proof', nonce: NONCE }), [`proof ${NONCE}`]],
  ['a command', cmd, JSON.stringify({ kind: 'resync', id: 'a' }), ['resync']],
  ['no command at all', cmd, '{"kind":"resync"', ['a command is not understood']],
  ['a command of another version', cmd, '{"kind":"dance"}', ['a command is not understood']],
  ["another box's", topicsOf('branch2').desired, 'a.b.c', []],
] as const)('%s is taken for that', (_, topic, text, told) => {
  expect(taken(topic, text)).toEqual(told);
});

it.each([
  [desired, 'a.b.c'],
  [cmd, JSON.stringify({ kind: 'resync', id: 'a' })],
])('a taker that fails is told, and ends nothing: %s', (topic, text) => {
  expect(taken(topic, text, true)).toEqual(['a message of the controller cannot be taken']);
});
