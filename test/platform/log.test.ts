// Properties of the log: no line holds a secret, wherever in its fields it stands.

import { expect, test } from 'vitest';
import { createLog } from '../../server/platform/log.ts';

function lineOf(write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown> {
  const lines: string[] = [];
  write(createLog('debug', { write: (line) => lines.push(line) }));
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '');
}

class Credentials {
  readonly user = 'anna';
  readonly password = 'hunter2';
}

const bare = Object.assign(Object.create(null), { authorization: 'Bearer hunter2', accept: 'json' });

test.each([
  ['a field', { password: 'hunter2' }],
  ['a field of a field', { request: { password: 'hunter2' } }],
  ['a field further down', { a: { b: { c: { token: 'hunter2' } } } }],
  ['an item of a list', { list: [{ code: 'hunter2' }] }],
  ['an object without prototype, as headers are', { headers: bare }],
  ['an instance', { credentials: new Credentials() }],
  ['an error', { err: Object.assign(new Error('no'), { token: 'hunter2' }) }],
  ['what an error carries', { err: Object.assign(new Error('no'), { config: { authorization: 'hunter2' } }) }],
])('a secret in %s is left out', (_where, fields) => {
  const line = lineOf((log) => log.info(fields, 'a line'));
  expect(JSON.stringify(line)).not.toContain('hunter2');
  expect(JSON.stringify(line)).toContain('[secret]');
});

test('everything else is written as it is', () => {
  const time = new Date(0);
  const fields = { rpc: 'a/B', ms: 1.5, list: ['x', null], nested: { time, reason: 'EXPIRED' } };
  const line = lineOf((log) => log.info(fields, 'call'));
  expect(line).toMatchObject({
    ...fields,
    nested: { time: time.toISOString(), reason: 'EXPIRED' },
    level: 'info',
    msg: 'call',
  });
});
