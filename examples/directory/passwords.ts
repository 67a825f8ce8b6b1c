// Password hashes of node:crypto's scrypt, as PHC strings. A server whose hashes are of another kind has this file to replace.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export interface Cost {
  /** The base-2 logarithm of N. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

/** OWASP Password Storage Cheat Sheet: N=2^14, r=8, p=5. */
const owasp: Cost = { ln: 14, r: 8, p: 5 };

export async function hashPassword(password: string, cost = owasp): Promise<string> {
  const salt = randomBytes(16);
  return phc(cost, salt, await derive(password, salt, cost));
}

/** Takes as long where there is no hash: nobody learns by it whether there is such an account. */
export async function verifyPassword(hash: string | undefined, password: string): Promise<boolean> {
  const { cost, salt, expected } = read(hash ?? decoy);
  const matches = timingSafeEqual(await derive(password, salt, cost), expected);
  return hash !== undefined && matches;
}

/** The same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2). */
function derive(password: string, salt: Buffer, { ln, r, p }: Cost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, 32, { N: 2 ** ln, r, p, maxmem: 2 ** 28 }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');

function phc({ ln, r, p }: Cost, salt: Buffer, key: Buffer): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(key)}`;
}

const decoy = phc(owasp, Buffer.alloc(16), Buffer.alloc(32));

function read(hash: string): { readonly cost: Cost; readonly salt: Buffer; readonly expected: Buffer } {
  const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(hash);
  if (match === null) throw new Error('a password hash is no PHC string of scrypt');
  const [, ln, r, p, salt = '', key = ''] = match;
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  return { cost, salt: Buffer.from(salt, 'base64'), expected: Buffer.from(key, 'base64') };
}
