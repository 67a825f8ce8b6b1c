// The HTTP/2 connection of a client on Node, as Connect's manager keeps it. It must not know what is called.

import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Http2SessionManager } from '@connectrpc/connect-node';

/**
 * One that is told to go (GOAWAY) while nothing is called ends with an error that the manager may not listen to any more, and
 * that would end the process: connect-es #1768, in 2.1.2. A server that is replaced says so to everybody.
 */
export class Connection extends Http2SessionManager {
  readonly #heard = new WeakSet<ClientHttp2Session>();

  override async request(...request: Parameters<Http2SessionManager['request']>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...request);
    const session = stream.session as ClientHttp2Session | undefined;
    if (session !== undefined && !this.#heard.has(session)) {
      this.#heard.add(session);
      // Whoever calls is told by the manager.
      session.on('error', () => {});
    }
    return stream;
  }
}
