// Links in e-mails: only what we signed is read, and only for a while.

import { expect, test } from 'vitest';
import type { Link } from '../../server/flows/ports.ts';
import type { NamedKey } from '../../server/platform/key-entries.ts';
import { keyRingOf } from '../../server/platform/key-ring.ts';
import { createCodes } from '../../server/platform/keys.ts';
import { createLinks } from '../../server/platform/links.ts';

const now = new Date('2026-11-24T12:00:00Z');
const old = { keyId: 'old', key: Buffer.alloc(32, 1) };
const young = { keyId: 'young', key: Buffer.alloc(32, 2) };
const challengeId = '0197a3c2-5b00-7abc-8def-00000000039d';
const link: Link = {
  accountId: 'anna|1.ü',
  may: { kind: 'deny', challengeId },
  expireTime: new Date(now.getTime() + 1_000),
};

const linksOf = (keys: readonly NamedKey[]) => createLinks(keyRingOf(() => keys));

test('a link says what was signed, until it is over', () => {
  const links = linksOf([old]);
  const token = links.sign(link, now);
  expect(token).toMatch(/^[\w-]+\.[\w-]{43}$/);
  expect(links.read(token, now)).toEqual(link);
  expect(links.read(token, new Date(now.getTime() + 999))).toEqual(link);
  expect(links.read(token, link.expireTime)).toBeUndefined();
});

test('a link says which of the things that links may do it may', () => {
  const links = linksOf([old]);
  const powers: readonly Link['may'][] = [
    { kind: 'deny', challengeId },
    { kind: 'report', eventId: challengeId },
    { kind: 'reset', passwordVersion: 7, emailHash: 'abc' },
  ];
  for (const may of powers) expect(links.read(links.sign({ ...link, may }, now), now)).toEqual({ ...link, may });
  expect(new Set(powers.map((may) => links.sign({ ...link, may }, now))).size).toBe(powers.length);
});

test('a denial reads as a release before has written it', () => {
  const token = linksOf([old]).sign(link, now);
  const [payload = ''] = token.split('.');
  const seconds = link.expireTime.getTime() / 1000;
  expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toEqual(['old', seconds, challengeId, 'anna|1.ü']);
});

test('a rotation of keys breaks no link as long as the old key is kept', () => {
  const token = linksOf([old]).sign(link, now);
  expect(linksOf([young, old]).read(token, now)).toEqual(link);
  expect(linksOf([young]).read(token, now)).toBeUndefined();
});

test('no changed byte, and nothing else, is read', () => {
  const links = linksOf([old]);
  const token = links.sign(link, now);
  for (let index = 0; index < token.length; index++) {
    const other = token[index] === 'A' ? 'B' : 'A';
    const changed = `${token.slice(0, index)}${other}${token.slice(index + 1)}`;
    expect(links.read(changed, now), `byte ${index}`).toBeUndefined();
  }
  const [payload = '', mac = ''] = token.split('.');
  const nothing = ['', '.', payload, `${payload}.`, `.${mac}`, `${token}.${mac}`, `${token}=`, 'a'.repeat(100_000)];
  for (const other of nothing) expect(links.read(other, now), other.slice(0, 40)).toBeUndefined();
  const forged = ['[]', '{}', 'null', '["old",1e99,"x",{}]', '["old","9999999999","x","y"]', '\0'];
  for (const said of forged) {
    expect(links.read(`${Buffer.from(said).toString('base64url')}.${mac}`, now), said).toBeUndefined();
  }
});

test('a code and a link under the same key have nothing in common', () => {
  const token = linksOf([old]).sign(link, now);
  const code = createCodes(
    keyRingOf(() => [old]),
    9,
  ).derive({ challengeId: challengeId, codeKeyId: 'old' }, 'EMAIL');
  expect(token).not.toContain(code);
});
