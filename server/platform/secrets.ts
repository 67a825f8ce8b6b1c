// Bearer secrets: made here, recognised here by their SHA-256, kept nowhere. They name their account so that a look-up
// touches one account's rows.

import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Secrets } from '../flows/ports.ts';

const secretBytes = 32;
const familyBytes = 16;

export const secrets: Secrets = {
  issue(accountId) {
    const secret = randomBytes(secretBytes);
    return { token: format(accountId, secret), hash: sha256(secret) };
  },
  read(token) {
    const parsed = parse(token, secretBytes);
    return parsed && { accountId: parsed.accountId, hash: sha256(parsed.secret) };
  },
  issueRefresh(accountId, family = randomBytes(familyBytes)) {
    const changing = randomBytes(secretBytes);
    return {
      token: format(accountId, Buffer.concat([family, changing])),
      familyHash: sha256(family),
      refreshHash: sha256(changing),
    };
  },
  readRefresh(token) {
    const parsed = parse(token, familyBytes + secretBytes);
    if (parsed === undefined) return undefined;
    const family = parsed.secret.subarray(0, familyBytes);
    const changing = parsed.secret.subarray(familyBytes);
    return { accountId: parsed.accountId, family, familyHash: sha256(family), refreshHash: sha256(changing) };
  },
  hashOf: (text) => sha256(Buffer.from(text, 'utf8')),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

function format(accountId: string, secret: Uint8Array): string {
  return `${Buffer.from(accountId, 'utf8').toString('base64url')}.${Buffer.from(secret).toString('base64url')}`;
}

function parse(token: string, length: number): { readonly accountId: string; readonly secret: Buffer } | undefined {
  const [account, text, ...rest] = token.split('.');
  if (account === undefined || text === undefined || rest.length > 0) return undefined;
  const accountId = Buffer.from(account, 'base64url').toString('utf8');
  const secret = Buffer.from(text, 'base64url');
  if (accountId === '' || secret.length !== length) return undefined;
  // Only the one spelling that `format` writes: base64url decoders skip what they don't know.
  return format(accountId, secret) === token && !accountId.includes('\0') ? { accountId, secret } : undefined;
}

function sha256(data: Uint8Array): Uint8Array {
  return hash('sha256', data, 'buffer');
}
