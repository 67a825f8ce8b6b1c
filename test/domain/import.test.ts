// What becomes of accounts that are taken over: nothing twice, nothing lost, whatever is there already.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideImport, type ImportKey, type Taken } from '../../server/domain/import.ts';

const entry = (accountId: string, normalisedEmail: string, keepsId = true, passwordHash = 'hash'): ImportKey => ({
  accountId,
  normalisedEmail,
  keepsId,
  passwordHash,
});
const taken: Taken = { ownerOf: new Map([['a@x', '1']]), accountIds: new Set(['1']) };

test.each([
  ['a new id and a new address', entry('2', 'b@x'), { outcome: 'CREATED', accountId: '2' }],
  ['the same account', entry('1', 'a@x'), { outcome: 'EXISTS', accountId: '1' }],
  ['its address, without an id', entry('new', 'a@x', false), { outcome: 'EXISTS', accountId: '1' }],
  ['its address, with another id', entry('2', 'a@x'), { outcome: 'CONFLICT', accountId: '1' }],
  ['its id, with another address', entry('1', 'b@x'), { outcome: 'CONFLICT', accountId: '1' }],
])('%s', (_what, one, result) => {
  expect(decideImport([one], taken)).toEqual([result]);
});

test('of two with one address, or one id, in a batch the first is created', () => {
  const none = { ownerOf: new Map(), accountIds: new Set<string>() };
  const batch = [
    entry('1', 'a@x'),
    entry('1', 'a@x'),
    entry('2', 'a@x'),
    entry('new', 'a@x', false),
    entry('1', 'b@x'),
    // Another person, of a system that tells cases apart.
    entry('new', 'a@x', false, 'another hash'),
  ];
  expect(decideImport(batch, none).map(({ outcome }) => outcome)).toEqual([
    'CREATED',
    'EXISTS',
    'CONFLICT',
    'EXISTS',
    'CONFLICT',
    'CONFLICT',
  ]);
});

test('addresses and ids stay unique, and a repeat creates nothing', () => {
  const letters = fc.constantFrom('a', 'b', 'c', 'd');
  const entries = fc
    .array(fc.record({ id: letters, email: letters, keepsId: fc.boolean() }), { maxLength: 12 })
    .map((all) => all.map(({ id, email, keepsId }, at) => entry(keepsId ? id : `new ${at}`, email, keepsId)));
  fc.assert(
    fc.property(entries, (batch) => {
      const results = decideImport(batch, { ownerOf: new Map(), accountIds: new Set() });
      const created = batch.filter((_, at) => results[at]?.outcome === 'CREATED');
      const unique = (values: readonly string[]) => expect(new Set(values).size).toBe(values.length);
      unique(created.map(({ accountId }) => accountId));
      unique(created.map(({ normalisedEmail }) => normalisedEmail));
      const after = {
        ownerOf: new Map(created.map(({ normalisedEmail, accountId }) => [normalisedEmail, accountId])),
        accountIds: new Set(created.map(({ accountId }) => accountId)),
      };
      const again = decideImport(batch, after);
      for (const [at, { outcome, accountId }] of again.entries()) {
        expect(outcome).toBe(results[at]?.outcome === 'CONFLICT' ? 'CONFLICT' : 'EXISTS');
        expect(after.accountIds.has(accountId)).toBe(true);
        // Nobody is lost: whoever was not created has its address or its id there.
        expect(
          after.ownerOf.has(batch[at]?.normalisedEmail ?? '') || after.accountIds.has(batch[at]?.accountId ?? ''),
        ).toBe(true);
      }
    }),
  );
});
