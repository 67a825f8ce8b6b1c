// TLS on a listener: who gets in, what a call knows of its client, and what becomes of connections when files are replaced.

import { once } from 'node:events';
import * as http2 from 'node:http2';
import { Agent, request as httpsRequest } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer as createTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import type { TlsMaterial, TlsSource } from '../../server/platform/tls-files.ts';
import { certificateNamesOf, peerContext } from '../../server/rpc/call.ts';
import { namesIn } from '../../server/rpc/certificates.ts';
import { type Certificate, createAuthority, selfSigned, thisMachine } from '../support/certificate.ts';
import { checkPath, healthClient, serve } from './serve.ts';

/** Files that a test replaces. */
function changeable(first: TlsMaterial): TlsSource & { renew(next: TlsMaterial): void } {
  let current = first;
  const listeners: ((material: TlsMaterial) => void)[] = [];
  return {
    current: () => current,
    onChange: (listener) => {
      listeners.push(listener);
    },
    renew: (next) => {
      current = next;
      for (const listener of listeners) listener(next);
    },
  };
}

/** A server that keeps the names with which calls came. */
async function serveTls(
  material: TlsMaterial,
  limits: { readonly firstBytesMs?: number; readonly leaveMs?: number } = {},
) {
  const source = changeable(material);
  const names: (readonly string[])[] = [];
  const server = await serve({
    listener: { tls: source, limits },
    contextValues: ({ certificateNames, peerAddress }) =>
      peerContext({ address: peerAddress, certificateNames, cut: () => {} }),
    health: {
      check: (_request, { url, values }) => {
        names.push(certificateNamesOf(values));
        return { status: url.startsWith('https:') ? Status.SERVING : Status.UNKNOWN };
      },
    },
  });
  return { ...server, url: `https://localhost:${server.port}`, renew: source.renew, names };
}

const serverAuthority = createAuthority();
const clientAuthority = createAuthority();
const own = serverAuthority.issue(thisMachine);
const ca = serverAuthority.cert;
const mutual: TlsMaterial = { ...own, clientCa: clientAuthority.cert };
const billing = clientAuthority.issue({ dns: ['billing.internal'], uris: ['spiffe://example.org/billing'] });
const billingNames = ['billing.internal', 'spiffe://example.org/billing'];

const day = 86_400_000;
const daysAway = (days: number) => new Date(Date.now() + days * day);

const transports = {
  'gRPC over HTTP/2': (baseUrl: string, nodeOptions: ConnectionOptions) =>
    createGrpcTransport({ baseUrl, nodeOptions, defaultTimeoutMs: 10_000 }),
  'Connect over HTTP/1.1': (baseUrl: string, options: ConnectionOptions) => {
    // An agent of its own keeps its connections apart from those of others.
    const agent = new Agent({ keepAlive: true, ...options });
    onTestFinished(() => agent.destroy());
    return createConnectTransport({ baseUrl, httpVersion: '1.1', nodeOptions: { agent }, defaultTimeoutMs: 10_000 });
  },
};

const check = (of: keyof typeof transports, url: string, options: ConnectionOptions) =>
  healthClient(transports[of](url, { ca, ...options })).check({});

/** A connection, until it is over; `end` resolves with what went wrong. */
function connection(socket: Socket): { socket: Socket; end: Promise<string | undefined> } {
  onTestFinished(() => void socket.destroy());
  let wrong: string | undefined;
  socket.on('error', (error) => {
    wrong = 'code' in error ? String(error.code) : error.message;
  });
  socket.resume();
  return { socket, end: new Promise((resolve) => socket.once('close', () => resolve(wrong))) };
}

const tlsTo = (port: number, options: ConnectionOptions) =>
  connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });

describe.each(Object.keys(transports) as (keyof typeof transports)[])('%s', (of) => {
  test('is served over TLS, to clients who have no certificate where none is asked for', async () => {
    const server = await serveTls(own);
    expect((await check(of, server.url, {})).status).toBe(Status.SERVING);
    // One that is shown all the same was not checked, and says nothing.
    expect((await check(of, server.url, { ...billing })).status).toBe(Status.SERVING);
    expect(server.names).toEqual([[], []]);
    expect(server.errors).toEqual([]);
  });

  test('knows the names in the certificate of its client, on every call of a connection', async () => {
    const server = await serveTls(mutual);
    const client = healthClient(transports[of](server.url, { ca, ...billing }));
    await client.check({});
    await client.check({});
    expect(server.names).toEqual([billingNames, billingNames]);
    const nameless = clientAuthority.issue({});
    await check(of, server.url, nameless);
    expect(server.names.at(-1)).toEqual([]);
  });

  test('takes a client whose certificate stands below an authority between', async () => {
    const between = clientAuthority.issueAuthority();
    const { cert, key } = between.issue({ dns: ['billing.internal'] });
    const server = await serveTls(mutual);
    await check(of, server.url, { cert: cert + between.cert, key });
    expect(server.names).toEqual([['billing.internal']]);
    // Without the one between, nobody knows.
    await expect(check(of, server.url, { cert, key })).rejects.toThrow();
  });

  const strange: Record<string, Partial<Certificate>> = {
    'no certificate': {},
    'a certificate of another authority': createAuthority().issue({ dns: ['billing.internal'] }),
    'a certificate that it has signed itself': selfSigned(),
    'a certificate of the authority of servers': serverAuthority.issue({ dns: ['billing.internal'] }),
    'a certificate that has expired': clientAuthority.issue({
      dns: ['billing.internal'],
      from: daysAway(-2),
      to: daysAway(-1),
    }),
    'a certificate that is not valid yet': clientAuthority.issue({
      dns: ['billing.internal'],
      from: daysAway(1),
      to: daysAway(2),
    }),
    'a certificate below one that may not sign': (() => {
      const { key } = clientAuthority.issue({});
      return { cert: selfSigned().cert + billing.cert, key };
    })(),
  };
  test.each(Object.keys(strange))('is refused at the handshake to who has %s', async (what) => {
    const server = await serveTls(mutual);
    await expect(check(of, server.url, strange[what] ?? {})).rejects.toThrow();
    expect(server.names).toEqual([]);
    expect((await check(of, server.url, billing)).status).toBe(Status.SERVING);
    expect(server.errors).toEqual([]);
  });

  test('opens with the new certificate once it is replaced; a connection that is open goes on', async () => {
    const server = await serveTls(own);
    const open = healthClient(transports[of](server.url, { ca }));
    await open.check({});
    const later = createAuthority();
    server.renew(later.issue(thisMachine));
    expect((await open.check({})).status).toBe(Status.SERVING);
    expect((await check(of, server.url, { ca: later.cert })).status).toBe(Status.SERVING);
    await expect(check(of, server.url, {})).rejects.toThrow();
  });

  test('ends for clients of an authority that is taken out, and for nobody else', async () => {
    const other = createAuthority();
    const stays = other.issue({ dns: ['login.internal'] });
    const server = await serveTls({ ...own, clientCa: clientAuthority.cert + other.cert });
    const [leaving, staying] = [billing, stays].map((certificate) =>
      healthClient(transports[of](server.url, { ca, ...certificate })),
    );
    await leaving?.check({});
    await staying?.check({});
    const atRest = [billing, stays].map((certificate) => tlsTo(server.port, certificate));
    const ends = atRest.map((socket) => connection(socket));
    await Promise.all(atRest.map((socket) => once(socket, 'secureConnect')));
    for (const socket of atRest) socket.write(`GET / HTTP/1.1\r\nhost: x\r\n\r\n`);
    await Promise.all(atRest.map((socket) => once(socket, 'data')));

    server.renew({ ...own, clientCa: other.cert });
    await ends[0]?.end;
    await expect(leaving?.check({})).rejects.toThrow();
    await expect(check(of, server.url, billing)).rejects.toThrow();
    await staying?.check({});
    await check(of, server.url, stays);
    expect(ends[1]?.socket.destroyed).toBe(false);
    expect(server.names.slice(-2)).toEqual([['login.internal'], ['login.internal']]);
    expect(server.errors).toEqual([]);
  });
});

test('both versions of HTTP are offered, and one that nobody speaks is refused', async () => {
  const server = await serveTls(own);
  for (const [offered, chosen] of [
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [[], false],
  ] as const) {
    const { socket } = connection(tlsTo(server.port, { ALPNProtocols: [...offered] }));
    await once(socket, 'secureConnect');
    expect((socket as TLSSocket).alpnProtocol).toBe(chosen);
  }
  expect(await connection(tlsTo(server.port, { ALPNProtocols: ['spdy/3'] })).end).toMatch(/ALERT/);
});

test.each(['TLSv1', 'TLSv1.1'] as const)('%s is not spoken', async (version) => {
  const server = await serveTls(own);
  const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' };
  expect(await connection(tlsTo(server.port, options)).end).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken, also to clients with certificates', async (version) => {
  const server = await serveTls(mutual);
  for (const of of Object.keys(transports) as (keyof typeof transports)[]) {
    await check(of, server.url, { ...billing, minVersion: version, maxVersion: version });
  }
  expect(server.names).toEqual([billingNames, billingNames]);
});

test('who speaks no TLS, or says nothing, is let go, and the server serves on', async () => {
  const server = await serveTls(own, { firstBytesMs: 300 });
  const open = (bytes: string) => {
    const each = connection(connectTcp(server.port, '127.0.0.1'));
    each.socket.write(bytes);
    return each.end;
  };
  await Promise.all([
    open(`POST ${checkPath} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`),
    open('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    open('\x16\x03\x01\xff\xff'),
    open('\x16\x03\x01'),
    open('\0'.repeat(100_000)),
    connection(connectTcp(server.port, '127.0.0.1')).end,
    // Shakes hands, and says nothing.
    connection(tlsTo(server.port, {})).end,
  ]);
  expect((await check('gRPC over HTTP/2', server.url, {})).status).toBe(Status.SERVING);
  expect(server.errors).toEqual([]);
});

test('a graceful stop ends what is at rest at once, also in the middle of a handshake', {
  timeout: 30_000,
}, async () => {
  const server = await serveTls(own);
  const half = connection(connectTcp(server.port, '127.0.0.1'));
  half.socket.write('\x16\x03\x01');
  const silent = connection(tlsTo(server.port, {}));
  await once(silent.socket, 'secureConnect');
  const keepsAlive = connection(tlsTo(server.port, {}));
  keepsAlive.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(keepsAlive.socket, 'data');
  const session = http2.connect(server.url, { ca });
  await once(session, 'remoteSettings');
  await server.close(50_000);
  await Promise.all([half.end, silent.end, keepsAlive.end]);
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a session of %s that a client would resume', (version) => {
  const versions = { minVersion: version, maxVersion: version };

  /** Calls over HTTP/1.1 on a connection of its own; returns whether the session was resumed, and one for the next time. */
  async function call(
    port: number,
    options: ConnectionOptions,
  ): Promise<{ reused: boolean; session: Buffer | undefined }> {
    const socket = tlsTo(port, { ...versions, ...options });
    onTestFinished(() => void socket.destroy());
    let session: Buffer | undefined;
    socket.on('session', (next) => {
      session = next;
    });
    const answered = new Promise<string>((resolve, reject) => {
      socket.once('data', (data) => resolve(String(data)));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed')));
    });
    socket.write(
      `POST ${checkPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
    );
    expect(await answered).toContain('200 OK');
    return { reused: socket.isSessionReused(), session: session ?? socket.getSession() };
  }

  test('is resumed where clients have no certificates', async () => {
    const server = await serveTls(own);
    const first = await call(server.port, {});
    expect((await call(server.port, { session: first.session })).reused).toBe(true);
  });

  test('is not where they have: each connection shows its certificate again', async () => {
    const other = createAuthority();
    const server = await serveTls(mutual);
    const first = await call(server.port, billing);
    const second = await call(server.port, { ...billing, session: first.session });
    expect(second.reused).toBe(false);
    expect(server.names).toEqual([billingNames, billingNames]);
    await expect(call(server.port, { session: second.session })).rejects.toThrow();
    server.renew({ ...own, clientCa: other.cert });
    await expect(call(server.port, { ...billing, session: second.session })).rejects.toThrow();
    expect(server.names).toHaveLength(2);
  });
});

test('an HTTP/2 stream that is open is cut with its connection when its authority is taken out', async () => {
  const server = await serveTls(mutual);
  const session = http2.connect(server.url, { ca, ...billing });
  session.on('error', () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': checkPath, 'content-type': 'application/grpc' });
  stream.on('error', () => {});
  await once(session, 'remoteSettings');
  const ended = once(session, 'close');
  server.renew({ ...own, clientCa: createAuthority().cert });
  await ended;
  expect(stream.destroyed).toBe(true);
});

/** The certificate of a client below an authority between, with that behind it. */
function issueBelow(): Certificate {
  const between = clientAuthority.issueAuthority();
  const { cert, key } = between.issue({ dns: ['billing.internal'] });
  return { cert: cert + between.cert, key };
}

const halfRequest = `POST ${checkPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n`;

describe('below an authority between, which Node does not show,', () => {
  const other = createAuthority();
  const both = { ...own, clientCa: clientAuthority.cert + other.cert };

  /** A call over each version of HTTP that waits for its end. */
  async function openBoth(port: number, certificate: Certificate) {
    const session = http2.connect(`https://localhost:${port}`, { ca, ...certificate });
    session.on('error', () => {});
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': checkPath, 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    stream.resume();
    const { socket, end } = connection(tlsTo(port, certificate));
    socket.write(`${halfRequest}{}${halfRequest}`);
    await Promise.all([once(session, 'remoteSettings'), once(socket, 'data')]);
    return { session, stream, socket, end, ended: Promise.all([once(session, 'close'), end]) };
  }

  test('a connection goes on when a certificate is renewed or an authority comes', async () => {
    const server = await serveTls(mutual, { leaveMs: 1 });
    const { session, stream, socket } = await openBoth(server.port, issueBelow());
    const asked: unknown[] = [];
    session.on('goaway', () => asked.push('goaway'));
    const renewed = serverAuthority.issue(thisMachine);
    server.renew({ ...mutual, ...renewed });
    server.renew({ ...both, ...renewed });
    const answers = Promise.all([once(stream, 'response'), once(socket, 'data')]);
    stream.end(Buffer.alloc(5));
    socket.write('{}');
    const [[headers], [text]] = await answers;
    expect(headers).toMatchObject({ ':status': 200 });
    expect(String(text)).toContain('HTTP/1.1 200 OK');
    expect([session.closed, socket.destroyed, asked]).toEqual([false, false, []]);
  });

  test('a connection ends its calls and has to come again when an authority is taken out', async () => {
    const server = await serveTls(both);
    const certificate = issueBelow();
    const { session, stream, socket, ended } = await openBoth(server.port, certificate);
    const atRest = connection(tlsTo(server.port, certificate));
    atRest.socket.write(`${halfRequest}{}`);
    await once(atRest.socket, 'data');
    const goaway = once(session, 'goaway');
    server.renew(mutual);
    await goaway;
    const answers = Promise.all([once(stream, 'response'), once(socket, 'data')]);
    stream.end(Buffer.alloc(5));
    socket.write('{}');
    const [[headers], [text]] = await answers;
    expect(headers).toMatchObject({ ':status': 200 });
    expect(String(text)).toContain('HTTP/1.1 200 OK');
    await ended;
    // One at rest is told with its next answer.
    atRest.socket.write(`${halfRequest}{}`);
    expect(String(await once(atRest.socket, 'data'))).toMatch(/^HTTP\/1.1 200 .*\nconnection: close/is);
    await atRest.end;
    await check('gRPC over HTTP/2', server.url, certificate);
  });

  test('it is cut when its calls do not end, and does not come back without its authority', async () => {
    // The one between is known here too, which says nothing without the one above it.
    const between = clientAuthority.issueAuthority();
    const certificate = between.issue({ dns: ['billing.internal'] });
    const server = await serveTls({ ...both, clientCa: both.clientCa + between.cert }, { leaveMs: 200 });
    const { ended } = await openBoth(server.port, certificate);
    server.renew({ ...own, clientCa: other.cert + between.cert });
    await ended;
    await expect(check('gRPC over HTTP/2', server.url, certificate)).rejects.toThrow();
    expect(server.errors).toEqual([]);
  });
});

test('nobody stays who shook hands while his authority was taken out; who is of another does', async () => {
  const other = createAuthority();
  const server = await serveTls({ ...own, clientCa: clientAuthority.cert + other.cert });
  // What the server says first shows that it has begun; the client hears it when the authority is gone.
  const relay = createTcp((client) => {
    const { socket: upstream } = connection(connectTcp(server.port, '127.0.0.1'));
    connection(client).end.then(() => upstream.destroy());
    upstream.once('close', () => client.destroy());
    client.pipe(upstream);
    upstream.once('data', (bytes) => {
      server.renew({ ...own, clientCa: other.cert });
      client.write(bytes);
      upstream.pipe(client);
    });
  });
  onTestFinished(() => void relay.close());
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  const { port } = relay.address() as AddressInfo;
  const answerTo = async (certificate: Certificate) => {
    server.renew({ ...own, clientCa: clientAuthority.cert + other.cert });
    const { socket, end } = connection(tlsTo(port, certificate));
    socket.write(`${halfRequest}{}`);
    return String(await Promise.race([once(socket, 'data'), end]));
  };
  expect(await answerTo(billing)).not.toContain('HTTP/1.1');
  expect(server.names).toEqual([]);
  expect(await answerTo(other.issue({ dns: ['login.internal'] }))).toContain('HTTP/1.1 200 OK');
  expect(server.names).toEqual([['login.internal']]);
});

test('grpc-js gets in with its certificate, and not without', async () => {
  const server = await serveTls(mutual);
  const method = {
    path: checkPath,
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: () => null,
    responseSerialize: () => Buffer.alloc(0),
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  const Client = makeGenericClientConstructor({ check: method }, 'Health');
  const callWith = (...pair: readonly [] | readonly [Buffer, Buffer]) => {
    const client = new Client(`localhost:${server.port}`, credentials.createSsl(Buffer.from(ca), pair[1], pair[0]));
    onTestFinished(() => client.close());
    return new Promise<Buffer>((resolve, reject) => {
      const deadline = Date.now() + 10_000;
      const call = client['check'] as (
        request: unknown,
        options: object,
        callback: (error: unknown, answer: Buffer) => void,
      ) => void;
      call.call(client, {}, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  };
  // HealthCheckResponse of SERVING.
  expect([...(await callWith(Buffer.from(billing.cert), Buffer.from(billing.key)))]).toEqual([8, 1]);
  expect(server.names).toEqual([billingNames]);
  await expect(callWith()).rejects.toMatchObject({ code: 14 });
});

test('plain HTTPS is answered', async () => {
  const server = await serveTls(own);
  const status = await new Promise((resolve, reject) => {
    const sent = httpsRequest({ port: server.port, host: 'localhost', ca, path: '/nothing' }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sent.once('error', reject);
    sent.end();
  });
  expect(status).toBe(404);
});

test.each<readonly [string, readonly string[]]>([
  ['', []],
  ['DNS:a.internal', ['a.internal']],
  [
    'DNS:a.internal, DNS:b.internal, IP Address:127.0.0.1, URI:spiffe://c/d',
    ['a.internal', 'b.internal', 'spiffe://c/d'],
  ],
  // As Node writes a name that has another's form within.
  ['DNS:"a.internal, DNS:b.internal", DNS:c.internal', ['c.internal']],
  ['URI:"spiffe://a\\u002c URI:spiffe://b", URI:spiffe://c', ['spiffe://c']],
  ['email:DNS:a@example.com', []],
  ['othername:<unsupported>, DNS:a.internal', ['a.internal']],
  ['DNS:spiffe://a/b', []],
  ['URI:a.internal', []],
])('the names in %j are %j', (text, names) => {
  expect(namesIn(text)).toEqual(names);
});
