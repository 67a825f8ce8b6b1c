// A self-signed certificate for this machine (X.509 v3, RFC 5280), made anew at each start: nothing secret in the repository,
// and no openssl on the machine. It must not know who uses it.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** PEM; it is its own authority. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

const hour = 3_600_000;

/** For `localhost` and 127.0.0.1, from an hour ago for a day. */
export function selfSigned(now = new Date()): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // ecdsa-with-SHA256: RFC 5758, 3.2.
  const algorithm = sequence(oid('2a8648ce3d040302'));
  const serial = randomBytes(8);
  // Two authorities of the same name would be taken for one another.
  const commonName = sequence(oid('550403'), der(0x0c, Buffer.from(`localhost ${serial.toString('hex')}`)));
  const name = sequence(der(0x31, commonName));
  const validity = sequence(
    generalizedTime(new Date(now.getTime() - hour)),
    generalizedTime(new Date(now.getTime() + 24 * hour)),
  );
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  const extension = sequence(oid('551d11'), der(0x04, names));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    // Positive, and without a leading zero byte.
    der(0x02, Buffer.concat([Buffer.from([0x5a]), serial])),
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  );
  const signature = sign('sha256', body, privateKey);
  const certificate = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  return { cert: pem(certificate), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
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
