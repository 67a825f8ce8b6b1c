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

/**
 * What a change of authorities is to a client that was let in before: one of those that are left has signed its certificate, one
 * that was taken out has, or neither: Node does not show a server what stands between (nodejs/node#65579).
 */
export function standingOf(
  socket: TLSSocket,
  before: readonly X509Certificate[],
  now: readonly X509Certificate[],
): 'stays' | 'taken out' | 'unknown' {
  const removed = before.filter((one) => !now.some((other) => other.fingerprint256 === one.fingerprint256));
  if (removed.length === 0) return 'stays';
  const certificate = socket.getPeerX509Certificate();
  const isOf = (authorities: readonly X509Certificate[]) =>
    authorities.some((each) => certificate?.checkIssued(each) && certificate.verify(each.publicKey));
  // One that stands below another counts only with that one, so it proves nothing by itself.
  if (isOf(now.filter((each) => each.checkIssued(each)))) return 'stays';
  return isOf(removed) ? 'taken out' : 'unknown';
}
