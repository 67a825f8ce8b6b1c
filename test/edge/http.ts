// Requests to the edge, spelled as a test wants them.

import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { Edge } from '../support/edge.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

const json = { 'content-type': 'application/json' };
export const gate = { 'countersign-client-version': '2.3', 'countersign-client-platform': 'ios' };

/** Over HTTP/2, by default a call in JSON. */
export async function send(edge: Edge, headers: OutgoingHttpHeaders, body: string | undefined = '{}'): Promise<Answer> {
  const session = connectHttp2(edge.url, { ca: edge.ca });
  session.on('error', () => {});
  try {
    const stream = session.request({ ':method': 'POST', ...json, ...headers }, { endStream: body === '' });
    if (body !== '') stream.end(body);
    const answered = new Promise<Record<string, string | undefined>>((resolve, reject) => {
      stream.once('response', (head) => resolve(head as unknown as Record<string, string | undefined>));
      stream.once('error', reject);
      stream.once('close', () => reject(new Error('closed without an answer')));
    });
    const head = await answered;
    return { status: Number(head[':status']), headers: head, body: await text(stream) };
  } finally {
    session.destroy();
  }
}

/** A connection on which nothing has been said yet. */
export async function openTls(edge: Edge, how: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ port: edge.port, host: '127.0.0.1', ca: edge.ca, ...how });
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

/** Over HTTP/1.1, whatever stands in `request`; the answer of a connection that the edge then closes. */
export async function sendRaw(edge: Edge, request: string): Promise<Answer> {
  const socket = await openTls(edge);
  socket.write(request);
  const whole = await text(socket);
  const [head = '', ...body] = whole.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { status: Number(first.split(' ')[1]), headers, body: body.join('\r\n\r\n') };
}

/** A call by a balancer that says this of the client (PROXY protocol): what comes back, '' where nobody is let in. */
export async function sendAs(edge: Edge, line: string, request: string, localAddress = '127.0.0.1'): Promise<string> {
  const socket = connectTcp({ port: edge.port, host: '127.0.0.1', localAddress });
  socket.write(line);
  const secured = connectTls({ socket, ca: edge.ca, host: '127.0.0.1' });
  secured.on('error', () => {});
  secured.write(request);
  return text(secured).catch(() => '');
}

/** As that balancer writes it. */
export function proxyLine(ipAddress: string): string {
  return ipAddress.includes(':')
    ? `PROXY TCP6 ${ipAddress} fd00::1 50000 443\r\n`
    : `PROXY TCP4 ${ipAddress} 10.0.0.1 50000 443\r\n`;
}

/** An HTTP/1.1 request with a JSON body, to be closed after its answer. */
export function rawRequest(target: string, more: readonly string[] = [], method = 'POST'): string {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'host: localhost',
    'connection: close',
    'content-type: application/json',
    ...Object.entries(gate).map(([name, value]) => `${name}: ${value}`),
    'content-length: 2',
    ...more,
  ];
  return `${lines.join('\r\n')}\r\n\r\n{}`;
}
