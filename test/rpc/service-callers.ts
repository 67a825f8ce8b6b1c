// Internal callers as tests write them down: entries of service tokens, and certificates that a header stands for.

import { hashServiceToken, parseServiceTokens } from '../../server/platform/service-tokens.ts';
import { peerContext } from '../../server/rpc/call.ts';
import type { Exchange } from '../../server/rpc/exchange.ts';

export const hex = (token: string) => Buffer.from(hashServiceToken(token)).toString('hex');
export const grantsOf = (...lines: readonly string[]) => parseServiceTokens(lines.join('\n'));

/** What a connection would know of a verified client certificate, said by a header: TLS is the listener's. */
export const peerWithCertificate = (exchange: Exchange) =>
  peerContext({
    address: exchange.peerAddress,
    certificateNames: [exchange.headers['x-test-certificate'] ?? []].flat().flatMap((names) => names.split(',')),
    cut: () => exchange.cut(),
  });
