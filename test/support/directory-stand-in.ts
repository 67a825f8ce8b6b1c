// A directory that answers each question as a test wants, down to its bytes: slow, dead, or a liar. HTTP/2 by Node, gRPC by hand
// (grpc/doc/PROTOCOL-HTTP2.md), so that it can say what no gRPC library would.

import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Directory,
  GetAccountRequestSchema,
  GetAccountResponseSchema,
  LookUpAccountRequestSchema,
  VerifyPasswordRequestSchema,
} from '../../gen/countersign/directory/v1/directory_pb.ts';
import type { Certificate } from './certificate.ts';

export type Method = keyof (typeof Directory)['method'];

/** One question, as it came. */
export interface Asked {
  readonly method: Method;
  readonly email: string;
  readonly password: string;
  readonly accountId: string;
  readonly ipAddress: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Answered {
  readonly accountId: string;
  readonly email: string;
  readonly locale?: string;
}

export type Behaviour =
  /** An account, none, or the bytes of a message. */
  | { readonly account: Answered | undefined }
  | { readonly bytes: Uint8Array }
  /** A status, with words. */
  | { readonly status: number; readonly words?: string }
  /** As a proxy in front answers. */
  | { readonly http: number; readonly body?: string }
  | 'silent'
  /** RST_STREAM. */
  | 'reset'
  /** The connection breaks. */
  | 'cut';

export interface DirectoryStandIn {
  readonly url: string;
  readonly asked: readonly Asked[];
  /** How many connections were opened to it. */
  readonly connections: number;
  /** From now on it answers so. */
  behave(answer: (asked: Asked) => Behaviour | Promise<Behaviour>): void;
  /** Takes no connection any more, and cuts those that there are. */
  down(): Promise<void>;
  /** Is back, on the same port. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

export async function startDirectoryStandIn(certificate?: Certificate): Promise<DirectoryStandIn> {
  const asked: Asked[] = [];
  const sessions = new Set<ServerHttp2Session>();
  let connections = 0;
  let behave: (asked: Asked) => Behaviour | Promise<Behaviour> = () => ({ account: undefined });
  let server: Http2Server;
  let port = 0;

  const onStream = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {});
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const question = read(String(headers[':path']), Buffer.concat(chunks).subarray(5), headers);
    asked.push(question);
    const behaviour = await behave(question);
    if (!stream.destroyed) answer(stream, behaviour);
  };
  const up = async () => {
    server = certificate === undefined ? createServer() : createSecureServer(certificate);
    server.on('session', (session) => {
      connections += 1;
      sessions.add(session);
      session.on('close', () => sessions.delete(session));
      session.on('error', () => {});
    });
    server.on('stream', onStream);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const down = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const session of sessions) session.destroy();
    await closed;
  };
  await up();
  return {
    url: `${certificate === undefined ? 'http' : 'https'}://localhost:${port}`,
    asked,
    get connections() {
      return connections;
    },
    behave: (next) => {
      behave = next;
    },
    down,
    up,
    stop: down,
  };
}

function read(path: string, message: Buffer, headers: IncomingHttpHeaders): Asked {
  const nothing = { email: '', password: '', accountId: '', ipAddress: '', headers };
  switch (path.slice(path.lastIndexOf('/') + 1)) {
    case 'VerifyPassword':
      return { ...nothing, ...fromBinary(VerifyPasswordRequestSchema, message), method: 'verifyPassword' };
    case 'GetAccount':
      return { ...nothing, ...fromBinary(GetAccountRequestSchema, message), method: 'getAccount' };
    case 'LookUpAccount':
      return { ...nothing, ...fromBinary(LookUpAccountRequestSchema, message), method: 'lookUpAccount' };
    default:
      throw new Error(`nobody asks ${path}`);
  }
}

const grpc = { ':status': 200, 'content-type': 'application/grpc+proto' };

function answer(stream: ServerHttp2Stream, behaviour: Behaviour): void {
  if (behaviour === 'silent') return;
  if (behaviour === 'reset') {
    stream.close(2);
    return;
  }
  if (behaviour === 'cut') {
    stream.session?.destroy();
    return;
  }
  if ('http' in behaviour) {
    stream.respond({ ':status': behaviour.http, 'content-type': 'text/html' });
    stream.end(behaviour.body ?? '<h1>no</h1>');
    return;
  }
  if ('status' in behaviour) {
    const words = encodeURIComponent(behaviour.words ?? 'words of its own');
    stream.respond({ ...grpc, 'grpc-status': String(behaviour.status), 'grpc-message': words }, { endStream: true });
    return;
  }
  stream.respond(grpc, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const message = 'bytes' in behaviour ? behaviour.bytes : accountMessage(behaviour.account);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  stream.end(Buffer.concat([head, message]));
}

/** The answers of all three are the same on the wire. */
export function accountMessage(account: Answered | undefined): Uint8Array {
  const message = account === undefined ? {} : { account: { $typeName, locale: '', ...account } };
  return toBinary(GetAccountResponseSchema, { $typeName: GetAccountResponseSchema.typeName, ...message });
}

const $typeName = 'countersign.directory.v1.DirectoryAccount' as const;
