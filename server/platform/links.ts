// Signed links in e-mails: what they name, under an HMAC of the code keys. Nothing is stored; what a link does once is in the
// row that it names.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Link, LinkPower, Links } from '../flows/ports.ts';
import type { NamedKey } from './key-entries.ts';
import type { KeyRing } from './key-ring.ts';

/** Longer ones are none of ours: an account's id has at most 128 bytes, each of which JSON may write as six. */
const longestToken = 2_048;

/** Links by HMAC-SHA-256: the key in use signs, all that stand in the list are read. */
export function createLinks(keys: KeyRing): Links {
  // Apart from codes, which are made under the same keys.
  const macOf = (key: NamedKey, payload: string) =>
    createHmac('sha256', key.key).update(`countersign link v1\0${payload}`).digest();
  return {
    sign: ({ accountId, may, expireTime }, now) => {
      const signing = keys.current(now);
      const said = [signing.keyId, Math.floor(expireTime.getTime() / 1000), written(may), accountId];
      const payload = Buffer.from(JSON.stringify(said)).toString('base64url');
      return `${payload}.${macOf(signing, payload).toString('base64url')}`;
    },
    read: (token, now) => {
      const match = token.length <= longestToken ? /^([\w-]+)\.([\w-]{43})$/.exec(token) : null;
      const [, payload = '', mac = ''] = match ?? [];
      const said = match === null ? undefined : parse(payload);
      const key = keys.entries().find(({ keyId }) => keyId === said?.keyId);
      if (said === undefined || key === undefined) return undefined;
      // As text: the last letter has bits that mean nothing, and one link has one spelling.
      if (!timingSafeEqual(Buffer.from(macOf(key, payload).toString('base64url')), Buffer.from(mac))) return undefined;
      return said.link.expireTime > now ? said.link : undefined;
    },
  };
}

/** A denial is written as its challenge's id alone, as a release before has; whatever else, it takes for no link. */
function written(power: LinkPower) {
  switch (power.kind) {
    case 'deny':
      return power.challengeId;
    case 'report':
      return { event: power.eventId };
    case 'reset':
      return { passwordVersion: power.passwordVersion, emailHash: power.emailHash };
  }
}

function powerOf(said: unknown): LinkPower | undefined {
  if (typeof said === 'string') return { kind: 'deny', challengeId: said };
  if (typeof said !== 'object' || said === null) return undefined;
  if ('event' in said && typeof said.event === 'string') return { kind: 'report', eventId: said.event };
  if (!('passwordVersion' in said && 'emailHash' in said)) return undefined;
  const { passwordVersion, emailHash } = said;
  if (typeof passwordVersion !== 'number' || typeof emailHash !== 'string') return undefined;
  return { kind: 'reset', passwordVersion, emailHash };
}

function parse(payload: string): { readonly keyId: string; readonly link: Link } | undefined {
  try {
    const said: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (!Array.isArray(said)) return undefined;
    const [keyId, seconds, power, accountId] = said as readonly unknown[];
    const may = powerOf(power);
    const wellFormed =
      typeof keyId === 'string' && typeof seconds === 'number' && may !== undefined && typeof accountId === 'string';
    return wellFormed ? { keyId, link: { accountId, may, expireTime: new Date(seconds * 1000) } } : undefined;
  } catch {
    return undefined;
  }
}
