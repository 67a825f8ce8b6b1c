// Certificates for this machine and for callers (X.509 v3, RFC 5280), made anew at each start: nothing secret in the repository,
// and no openssl on the machine. It must not know who uses it.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface Subject {
  readonly dns?: readonly string[];
  readonly uris?: readonly string[];
  /** IPv4. */
  readonly addresses?: readonly string[];
  /** From an hour ago for a day, where these are left out. */
  readonly from?: Date;
  readonly to?: Date;
}

export interface Authority {
  /** PEM. */
  readonly cert: string;
  issue(subject: Subject): Certificate;
  /** An authority below this one. */
  issueAuthority(): Authority;
}

const hour = 3_600_000;

export const thisMachine: Subject = { dns: ['localhost'], addresses: ['127.0.0.1'] };

/** For `localhost` and 127.0.0.1, from an hour ago for a day; it is its own authority. */
export function selfSigned(now = new Date()): Certificate {
  const keys = generateKeys();
  const name = nameOf('localhost');
  const subject = { ...thisMachine, from: new Date(now.getTime() - hour), to: new Date(now.getTime() + 24 * hour) };
  return { cert: certify({ name, publicKey: keys.publicKey, subject, issuer: { name, ...keys } }), key: pkcs8(keys) };
}

export function createAuthority(): Authority {
  const keys = generateKeys();
  const name = nameOf('authority');
  return authorityOf(keys, name, { name, ...keys });
}

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

interface Issuer extends Keys {
  /** DER. */
  readonly name: Buffer;
}

function authorityOf(keys: Keys, name: Buffer, issuer: Issuer): Authority {
  const self = { name, ...keys };
  return {
    cert: certify({ name, publicKey: keys.publicKey, subject: {}, issuer, isAuthority: true }),
    issue: (subject) => {
      const leaf = generateKeys();
      const cert = certify({ name: nameOf('leaf'), publicKey: leaf.publicKey, subject, issuer: self });
      return { cert, key: pkcs8(leaf) };
    },
    issueAuthority: () => authorityOf(generateKeys(), nameOf('authority below'), self),
  };
}

const generateKeys = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pkcs8 = ({ privateKey }: Keys) => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Two authorities of the same name would be taken for one another. */
function nameOf(commonName: string): Buffer {
  const unique = `${commonName} ${randomBytes(8).toString('hex')}`;
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(unique)))));
}

function certify({
  name,
  publicKey,
  subject: { dns = [], uris = [], addresses = [], from, to },
  issuer,
  isAuthority = false,
}: {
  readonly name: Buffer;
  readonly publicKey: KeyObject;
  readonly subject: Subject;
  readonly issuer: Issuer;
  readonly isAuthority?: boolean;
}): string {
  // ecdsa-with-SHA256: RFC 5758, 3.2.
  const algorithm = sequence(oid('2a8648ce3d040302'));
  const now = Date.now();
  const validity = sequence(
    generalizedTime(from ?? new Date(now - hour)),
    generalizedTime(to ?? new Date(now + 24 * hour)),
  );
  const names = [
    ...dns.map((each) => der(0x82, Buffer.from(each))),
    ...uris.map((each) => der(0x86, Buffer.from(each))),
    ...addresses.map((each) => der(0x87, Buffer.from(each.split('.').map(Number)))),
  ];
  const extensions = [
    ...(names.length === 0 ? [] : [sequence(oid('551d11'), der(0x04, sequence(...names)))]),
    // basicConstraints, critical: cA.
    ...(isAuthority
      ? [sequence(oid('551d13'), der(0x01, Buffer.from([0xff])), der(0x04, sequence(der(0x01, Buffer.from([0xff])))))]
      : []),
  ];
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    // Positive, and without a leading zero byte.
    der(0x02, Buffer.concat([Buffer.from([0x5a]), randomBytes(8)])),
    algorithm,
    issuer.name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  const signature = sign('sha256', body, issuer.privateKey);
  return pem(sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature]))));
}

/** DER (X.690): a tag, the length, the content. */
function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function generalizedTime(time: Date): Buffer {
  return der(0x18, Buffer.from(`${time.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`));
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
