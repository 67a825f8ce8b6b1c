// Requests that want to be read in two ways: as another path, as one more request, as somebody else's. They must not know whom
// they meet.

import { blockFrame, headersFrame, literals } from '../support/raw-http2.ts';

const check = '/grpc.health.v1.Health/Check';
/** What must not be answered: its answer has a word that no other has. */
const smuggled = 'GET /.well-known/jwks.json HTTP/1.1\r\nhost: localhost\r\n\r\n';
export const smuggledAnswer = '"keys"';

const post = (headers: string, body: string) =>
  `POST ${check} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}\r\n\r\n${body}`;
/** Whole by its length, over at once by its chunks. */
const overByChunks = `0\r\n\r\n${smuggled}`;
const lengthOf = (body: string) => `content-length: ${body.length}`;
/** Whole by its chunks, over after four bytes by its length. */
const overByLength = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;

/** HTTP/1.1 (RFC 9112, 6.3 and 11.2): each holds a second request, for who reads it otherwise than it is. */
export const smuggling: Readonly<Record<string, string>> = {
  'CL.TE': post(`${lengthOf(overByChunks)}\r\ntransfer-encoding: chunked`, overByChunks),
  'TE.CL': post('transfer-encoding: chunked\r\ncontent-length: 4', overByLength),
  'a length that is said twice': post(`content-length: 2\r\n${lengthOf(`{}${smuggled}`)}`, `{}${smuggled}`),
  'a length that is a list': post(`content-length: 2, ${2 + smuggled.length}`, `{}${smuggled}`),
  'a length with a sign': post(`content-length: +2`, `{}${smuggled}`),
  'a length below zero': post(`content-length: -1`, `{}${smuggled}`),
  'a length in hexadecimal': post(`content-length: 0x2`, `{}${smuggled}`),
  'a length with words behind it': post(`content-length: 2 2`, `{}${smuggled}`),
  'a length beyond 64 bits': post(`content-length: 18446744073709551618`, `{}${smuggled}`),
  ...Object.fromEntries(
    [
      'transfer-encoding: xchunked',
      'transfer-encoding : chunked',
      'transfer-encoding:\r\n chunked',
      'transfer-encoding: chunked\r\ntransfer-encoding: identity',
      'transfer-encoding: identity\r\ntransfer-encoding: chunked',
      'transfer-encoding: chunked, identity',
      'transfer-encoding: \x0bchunked',
      'transfer-encoding: "chunked"',
      'transfer-encoding:\tchunked',
      ' transfer-encoding: chunked',
      'x: y\ntransfer-encoding: chunked',
      'x: y\rtransfer-encoding: chunked',
      'transfer_encoding: chunked',
      'transfer-encoding\0: chunked',
    ].map((header) => [JSON.stringify(header), post(`${lengthOf(overByChunks)}\r\n${header}`, overByChunks)]),
  ),
  'TE in HTTP/1.0': post(`${lengthOf(overByChunks)}\r\ntransfer-encoding: chunked`, overByChunks).replace('1.1', '1.0'),
  'a chunk whose size is beyond 64 bits': post('transfer-encoding: chunked', `10000000000000002\r\n{}\r\n0\r\n\r\n`),
  'a chunk whose size has a sign': post('transfer-encoding: chunked', `+2\r\n{}\r\n0\r\n\r\n`),
  'a chunk whose size has 0x': post('transfer-encoding: chunked', `0x2\r\n{}\r\n0\r\n\r\n`),
  'a chunk that is longer than it says': post('transfer-encoding: chunked', `1\r\n{}\r\n0\r\n\r\n`),
  'chunks with LF only': post('transfer-encoding: chunked', `2\n{}\n0\n\n`),
  'an extension of a chunk that hides a line': post(
    'transfer-encoding: chunked',
    `2;a="\n0\r\n\r\n${smuggled}"\r\n{}\r\n0\r\n\r\n`,
  ),
  'a GET with a body': `GET ${check} HTTP/1.1\r\nhost: localhost\r\n${lengthOf(smuggled)}\r\n\r\n${smuggled}`,
  'a request line with a second version': post(lengthOf('{}'), '{}').replace(' HTTP/1.1', ` HTTP/1.1 HTTP/1.1`),
  'a path with a line in it': post(lengthOf('{}'), '{}').replace(check, `${check}\r\n`),
  'a header with a line in its name': post(`x\r\n\r\n${smuggled}: y\r\n${lengthOf('{}')}`, '{}').replace(
    '\r\n\r\n',
    '\r\r',
  ),
};

/** HTTP/2 (RFC 9113, 8.2 and 8.3): what is malformed there, or would be another request once it is HTTP/1.1. */
export const malformed: Readonly<Record<string, Buffer>> = {
  'transfer-encoding': headersFrame(1, check, { 'transfer-encoding': 'chunked' }),
  connection: headersFrame(1, check, { connection: 'transfer-encoding' }),
  upgrade: headersFrame(1, check, { upgrade: 'h2c' }),
  'a name in capitals': headersFrame(1, check, { 'X-Forwarded-For': '203.0.113.9' }),
  'NUL in the path': headersFrame(1, `${check}\0`),
  'a line in the path': headersFrame(1, `${check} HTTP/1.1\r\nhost: internal\r\nx: `),
  'a line in the method': headersFrame(1, check, { ':method': `POST ${check} HTTP/1.1\r\nx: ` }),
  'a line in the authority': headersFrame(1, check, { ':authority': 'localhost\r\nx: y' }),
  'a line in the scheme': headersFrame(1, check, { ':scheme': 'http\r\nx: y' }),
  'no path': headersFrame(1, '', { ':path': '' }),
  'no method': headersFrame(1, check, { ':method': '' }),
  'no scheme': headersFrame(1, check, { ':scheme': '' }),
  'a pseudo-header that nobody knows': headersFrame(1, check, { ':internal': 'yes' }),
  'a pseudo-header behind others': Buffer.concat([
    blockFrame(
      1,
      literals([
        [':method', 'POST'],
        [':scheme', 'http'],
        ['x', 'y'],
        [':path', check],
      ]),
    ),
  ]),
  'two paths': blockFrame(
    1,
    literals([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', check],
      [':path', '/x'],
      [':authority', 'a'],
    ]),
  ),
  'an answer': headersFrame(1, check, { ':status': '200' }),
  'CONNECT with a protocol': headersFrame(1, check, { ':method': 'CONNECT', ':protocol': 'websocket' }),
  'a length that is wrong': headersFrame(1, check, { 'content-length': '3' }, { last: true }),
};

/** One path in other spellings, of which a server may take some for it. */
export function spellings(path: string): readonly string[] {
  const [, service = '', method = ''] = path.split('/');
  const hex = (text: string) => [...text].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('');
  const ours = '/countersign.v1.TwoStepAuth';
  return [
    path,
    `/${path}`,
    `//internal${path}`,
    `${path}/`,
    `${path}?x=1`,
    `${path}#x`,
    `${path};x=1`,
    `${path}%00`,
    `${path}%20`,
    `${path}.`,
    `${path}:80`,
    `/.${path}`,
    `/./${path.slice(1)}`,
    `${ours}/..${path}`,
    `${ours}/SignIn/../..${path}`,
    `${ours}/SignIn/..;${path}`,
    `${ours}/%2e%2e${path}`,
    `${ours}/..%2f${path.slice(1)}`,
    `${ours}/%252e%252e${path}`,
    `${ours}\\..\\${path.slice(1)}`,
    `${ours}/..%5c${path.slice(1)}`,
    `${ours}/SignIn?${path}`,
    `/${service}%2f${method}`,
    `/${service}%252f${method}`,
    `/${service}//${method}`,
    `/${service}\\${method}`,
    `/${service}%5c${method}`,
    `/${service}/%${method.charCodeAt(0).toString(16)}${method.slice(1)}`,
    `/${hex(service)}/${method}`,
    hex(path),
    `/${service.toUpperCase()}/${method}`,
    `/${service}/${method.toLowerCase()}`,
    `/${service.replace('.internal', '.INTERNAL')}/${method}`,
    // The full stop and the slash in longer UTF-8 than they need, and in full width.
    `/${service.replace('.', '%c0%ae')}/${method}`,
    `/${service}%c0%af${method}`,
    `/${service}%ef%bc%8f${method}`,
    `/metrics`,
    `/metrics/`,
    `//metrics`,
    `/%6detrics`,
    `${ours}/../metrics`,
  ];
}
