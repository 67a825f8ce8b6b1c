// Signed links in e-mails: what they name, under an HMAC of the code keys. Nothing is stored; what a link does once is in the
// row that it names.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { DenyLink, Links } from '../flows/ports.ts';
import type { NamedKey } from './keys.ts';

/** Longer ones are none of ours: an account's id has at most 128 bytes, each of which JSON may write as six. */
const longestToken = 2_048;

/** Links by HMAC-SHA-256 under the named keys (at least one); the first signs, all are read. */
export function createLinks(keys: readonly NamedKey[]): Links {
  // Apart from codes, which are made under the same keys.
  const macOf = (key: NamedKey, payload: string) =>
    createHmac('sha256', key.key).update(`countersign link v1\0${payload}`).digest();
  const [signing] = keys;
  if (signing === undefined) throw new Error('no key');
  return {
    sign: ({ accountId, challengeId, expireTime }) => {
      const said = [signing.keyId, Math.floor(expireTime.getTime() / 1000), challengeId, accountId];
      const payload = Buffer.from(JSON.stringify(said)).toString('base64url');
      return `${payload}.${macOf(signing, payload).toString('base64url')}`;
    },
    read: (token, now) => {
      const match = token.length <= longestToken ? /^([\w-]+)\.([\w-]{43})$/.exec(token) : null;
      const [, payload = '', mac = ''] = match ?? [];
      const said = match === null ? undefined : parse(payload);
      const key = keys.find(({ keyId }) => keyId === said?.keyId);
      if (said === undefined || key === undefined) return undefined;
      // As text: the last letter has bits that mean nothing, and one link has one spelling.
      if (!timingSafeEqual(Buffer.from(macOf(key, payload).toString('base64url')), Buffer.from(mac))) return undefined;
      return said.link.expireTime > now ? said.link : undefined;
    },
  };
}

function parse(payload: string): { readonly keyId: string; readonly link: DenyLink } | undefined {
  try {
    const said: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (!Array.isArray(said)) return undefined;
    const [keyId, seconds, challengeId, accountId] = said as readonly unknown[];
    const wellFormed =
      typeof keyId === 'string' &&
      typeof seconds === 'number' &&
      typeof challengeId === 'string' &&
      typeof accountId === 'string';
    return wellFormed ? { keyId, link: { accountId, challengeId, expireTime: new Date(seconds * 1000) } } : undefined;
  } catch {
    return undefined;
  }
}
