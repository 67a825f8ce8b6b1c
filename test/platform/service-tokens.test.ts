// The list of internal callers: what it takes, and who somebody is by it.

import { describe, expect, test } from 'vitest';
import {
  findByCertificate,
  findByToken,
  hashServiceToken,
  parseServiceTokens,
} from '../../server/platform/service-tokens.ts';

const hex = (token: string) => Buffer.from(hashServiceToken(token)).toString('hex');

describe('a list', () => {
  test('takes commas and line ends, comments, blank lines, and several entries a name', () => {
    const text = `\ufeff# who calls us, and why: router, login
      router:sessions:${hex('one')}   # until the new year, then the next
      router:sessions+accounts:${hex('two').toUpperCase()},login-v1:legacy:${hex('three')},\r
      #old:support:${hex('four')}

      support.desk:support:certificate`;
    const grants = parseServiceTokens(text);
    expect(
      grants.map(({ name, scopes, hash }) => [name, scopes.join('+'), hash && Buffer.from(hash).toString('hex')]),
    ).toEqual([
      ['router', 'sessions', hex('one')],
      ['router', 'sessions+accounts', hex('two')],
      ['login-v1', 'legacy', hex('three')],
      ['support.desk', 'support', null],
    ]);
  });

  test.each(['spiffe://example.org/ns/prod/sa/router', 'router.internal:9090', 'team@router', 'a'.repeat(128)])(
    'is read from the right: %s can be a name',
    (name) => {
      expect(parseServiceTokens(`${name}:accounts+sessions:certificate`)).toEqual([
        { name, scopes: ['accounts', 'sessions'], hash: null },
      ]);
      expect(parseServiceTokens(`${name}:accounts:${hex('one')}`)[0]?.name).toBe(name);
    },
  );

  const s3cret = 's3cret-word';
  test.each([
    ['nothing', '', /^it is empty; it takes name:scope/],
    ['only comments', `# ${s3cret}\n\n`, /^it is empty/],
    [
      'an unknown scope',
      `a:everything:${hex('one')}`,
      /^line 1: it takes .* scopes of accounts, sessions, support, legacy$/,
    ],
    ['no scope', `a::${hex('one')}`, /^line 1: it takes/],
    ['a token instead of its hash', `a:accounts:${s3cret}`, /^line 1: it takes/],
    ['half a hash', `a:accounts:${hex('one').slice(1)}`, /^line 1: it takes/],
    ['no name', `:accounts:${hex('one')}`, /^line 1: it takes/],
    ['a name that is too long', `${'a'.repeat(129)}:accounts:certificate`, /^line 1: it takes/],
    ['a name with a space', `a b:accounts:certificate`, /^line 1: it takes/],
    ['a good line before a bad one', `a:accounts:${hex('one')}\n\nb:accounts:${s3cret}`, /^line 3: it takes/],
    [
      'one token for two names',
      `a:accounts:${hex('one')}\nb:support:${hex('one')}`,
      /^line 2: that token is there already$/,
    ],
  ])('with %s is refused, without quoting it', (_, text, why) => {
    const read = () => parseServiceTokens(text);
    expect(read).toThrow(why);
    expect(read).not.toThrow(s3cret);
  });
});

describe('somebody', () => {
  const grants = parseServiceTokens(`
    router:sessions:${hex('one')}
    router:accounts:${hex('two')}
    spiffe://example.org/router:sessions:certificate
    desk.internal:support:certificate
    spiffe://example.org/router:accounts:certificate`);

  test('is who its token stands for, with the scopes of that token', () => {
    expect(findByToken(grants, 'one')).toMatchObject({ name: 'router', scopes: ['sessions'] });
    expect(findByToken(grants, 'two')).toMatchObject({ name: 'router', scopes: ['accounts'] });
    expect(findByToken(grants, 'three')).toBeUndefined();
    expect(findByToken(grants, 'certificate')).toBeUndefined();
  });

  test('is who its certificate names, with all that stands for that name; a part of a name is none', () => {
    const router = { name: 'spiffe://example.org/router', scopes: ['sessions', 'accounts'] };
    expect(findByCertificate(grants, ['router.internal', 'spiffe://example.org/router'])).toEqual(router);
    // The first of the list, whatever the order in the certificate; never the scopes of two callers.
    expect(findByCertificate(grants, ['desk.internal', 'spiffe://example.org/router'])).toEqual(router);
    for (const names of [
      [],
      ['spiffe://example.org/router/admin'],
      ['spiffe://example.org'],
      ['*.internal'],
      ['router'],
    ]) {
      expect(findByCertificate(grants, names), names.join()).toBeUndefined();
    }
  });
});
