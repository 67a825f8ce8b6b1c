// TLS on a listener: how it is spoken, and who a client is by its certificate. It must not know what a name may do.

import { constants, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { TlsMaterial } from '../platform/tls-files.ts';

export function tlsOptions({ cert, key, clientCa }: TlsMaterial): SecureContextOptions {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    ...(clientCa !== undefined && {
      ca: clientCa,
      // A session that is resumed is not checked again: it would outlive its certificate and its authority.
      secureOptions: constants.SSL_OP_NO_TICKET,
    }),
  };
}

/** On the socket itself: what HTTP/2 shows of it is a proxy. */
const namesKey = Symbol('names of the client');

interface NamedSocket extends Socket {
  [namesKey]?: readonly string[];
}

/** Once a connection, so that no call reads a certificate. */
export function noteNames(socket: TLSSocket): void {
  // An unsigned one is not let in; it says nothing where nobody asked for it.
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  (socket as NamedSocket)[namesKey] = certificate ? namesIn(certificate.subjectAltName ?? '') : [];
}

/** The DNS names and URIs that the client's certificate is for; empty where it showed none. */
export function certificateNames(socket: Socket | undefined): readonly string[] {
  return (socket as NamedSocket | undefined)?.[namesKey] ?? [];
}

/**
 * As Node writes a subject's alternative names: `DNS:a.example, URI:spiffe://b/c`, each as a JSON string where it has other than
 * plain letters. Those are left out: no name that we know looks like that.
 */
export function namesIn(subjectAltName: string): readonly string[] {
  const names = subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?=, |$)/gy);
  return [...names].flatMap(([, kind, name = '']) => {
    const form = kind === 'DNS' ? /^[\w*.-]+$/ : kind === 'URI' ? /^[a-z][a-z\d+.-]*:[^\s"]+$/i : undefined;
    return form?.test(name) ? [name] : [];
  });
}

/** Whether one of these authorities stands above the client's certificate. */
export function isSignedBy(socket: TLSSocket, authorities: readonly X509Certificate[]): boolean {
  const signs = (certificate: X509Certificate) =>
    authorities.some((each) => certificate.checkIssued(each) && certificate.verify(each.publicKey));
  let certificate = socket.getPeerX509Certificate();
  for (let depth = 0; certificate !== undefined && depth < deepestChain; depth += 1) {
    if (signs(certificate)) return true;
    certificate = certificate.issuerCertificate;
  }
  return false;
}

/** OpenSSL's own bound is 100; nobody has so many. */
const deepestChain = 10;
