// What bad input gets, on the running server: a typed refusal, at once, that says nothing of the inside and changes nothing.
// The tables are made from the contract's descriptors, so a new RPC or field is held to the same.

import { createHmac } from 'node:crypto';
import { request as http1Request } from 'node:http';
import * as http2 from 'node:http2';
import { connect as connectTcp } from 'node:net';
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJson,
  getOption,
  type JsonObject,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { codeFromString, codeToHttpStatus } from '@connectrpc/connect/protocol-connect';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { field as fieldOption, Ignore, oneof as oneofOption } from '../../gen/buf/validate/validate_pb.ts';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { RevocationReason, Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { ChallengeState, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { DeviceSchema } from '../../gen/countersign/v1/device_pb.ts';
import { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { createAccessTokens } from '../../server/platform/keys.ts';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';

interface Rpc {
  readonly method: DescMethod;
  readonly internal: boolean;
  readonly path: string;
}

const rpcs: readonly Rpc[] = [TwoStepAuth, TrustedDevices, LoginActivity, Accounts, Sessions].flatMap((service) =>
  service.methods.map((method) => ({
    method,
    internal: service.typeName.startsWith('countersign.internal.'),
    path: `/${service.typeName}/${method.name}`,
  })),
);
const publicRpcs = rpcs.filter(({ internal }) => !internal);
const internalRpcs = rpcs.filter(({ internal }) => internal);
const holdsItsOwnSecret = new Set(['SignIn', 'SendCode', 'VerifyCode', 'GetChallenge', 'RefreshSession']);
const sessionRpcs = publicRpcs.filter(({ method }) => !holdsItsOwnSecret.has(method.name));
const named = (table: readonly Rpc[]) => table.map((rpc) => [rpc.path.slice(1), rpc] as const);
const isStream = ({ method }: Rpc) => method.methodKind !== 'unary';
const byName = (name: string) => rpcs.find(({ method }) => method.name === name) as Rpc;

const gate = { 'countersign-client-version': '2.3', 'countersign-client-platform': 'ios' };
const limitedToken = 'a-token-of-the-scope-legacy-only';

let server: TestServer;
let account: TestAccount;
let device: TestDevice;
let other: TestAccount;
let otherDevice: TestDevice;

beforeAll(async () => {
  const hash = Buffer.from(hashServiceToken(limitedToken)).toString('hex');
  server = await startTestServer({ COUNTERSIGN_SERVICE_TOKENS: `limited:legacy:${hash}` });
  account = await server.createAccount();
  other = await server.createAccount();
  device = await server.signInNewDevice(account);
  otherDevice = await server.signInNewDevice(other);
  // Marks the sessions as used: later calls change nothing.
  await device.client.twoStepAuth.getSettings({});
  await otherDevice.client.twoStepAuth.getSettings({});
});
afterAll(async () => {
  await server.stop();
  const failures = server.log.filter((line) => JSON.parse(line).level === 'error' || JSON.parse(line).level === 50);
  expect(failures).toEqual([]);
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly code: string;
  readonly reason: string;
  readonly domain: string;
  readonly cause: string | undefined;
  readonly fields: readonly string[];
}

interface CallOptions {
  readonly headers?: Record<string, string>;
  readonly contentType?: string;
  readonly method?: string;
  readonly query?: string;
}

/**
 * A call by plain HTTP/1.1, by somebody who is let in everywhere, unless `headers` says otherwise (empty: not sent).
 * A stream is given `body` as its one message, in Connect's framing; with a `contentType`, as it is.
 */
async function call(rpc: Rpc, body: string | Uint8Array | object, options: CallOptions = {}): Promise<Answer> {
  const message = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const form = message instanceof Uint8Array ? 'proto' : 'json';
  const framed = isStream(rpc) && options.contentType === undefined;
  const bytes = framed ? encodeEnvelope(0, Buffer.from(message)) : message;
  const headers = {
    ...(rpc.internal ? {} : gate),
    authorization: `Bearer ${rpc.internal ? server.serviceToken : device.session.accessToken}`,
    // A connection a call: one that idles in a pool may be closed just as it is taken again.
    connection: 'close',
    'content-type': options.contentType ?? `application/${isStream(rpc) ? 'connect+' : ''}${form}`,
    ...options.headers,
  };
  const method = options.method ?? 'POST';
  const answer = await fetch(
    `${rpc.internal ? server.internalUrl : server.publicUrl}${rpc.path}${options.query ?? ''}`,
    {
      method,
      headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== '')),
      ...(method === 'GET' || method === 'HEAD' ? {} : { body: bytes as BodyInit }),
      signal: AbortSignal.timeout(5_000),
    },
  );
  if (answer.headers.get('content-type')?.startsWith('application/connect+')) return endOfStream(answer);
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, ...errorOf(text) };
}

/** What a stream ends with. It tells so after its 200: here it has the status with which a unary call tells the same. */
async function endOfStream(answer: Response): Promise<Answer> {
  expect(answer.status).toBe(200);
  const bytes = Buffer.from(await answer.arrayBuffer());
  // Nothing but its end: nobody who is refused has been told anything before.
  expect([bytes[0], bytes.readUInt32BE(1)]).toEqual([2, bytes.length - 5]);
  const { error = {} } = JSON.parse(bytes.subarray(5).toString());
  const text = JSON.stringify(error);
  const status = codeToHttpStatus(codeFromString(error.code) ?? Code.Unknown);
  return { status, headers: answer.headers, text, ...errorOf(text) };
}

type Details = readonly { readonly type: string; readonly value: Uint8Array }[];

function read(code: string, details: Details) {
  const find = (type: string) => details.find((detail) => detail.type === type)?.value;
  const info = fromBinary(ErrorInfoSchema, find(ErrorInfoSchema.typeName) ?? new Uint8Array());
  const bad = fromBinary(BadRequestSchema, find(BadRequestSchema.typeName) ?? new Uint8Array());
  return {
    code,
    reason: info.reason,
    domain: info.domain,
    cause: info.metadata['cause'],
    fields: bad.fieldViolations.map(({ field }) => field),
  };
}

function errorOf(text: string) {
  const parsed = text.startsWith('{"code"') ? JSON.parse(text) : {};
  const details = (parsed.details ?? []).map(({ type, value }: { type: string; value: string }) => ({
    type,
    value: Buffer.from(value, 'base64'),
  }));
  return read(parsed.code ?? '', details);
}

/** A refusal that a program can read, and that says nothing of the inside. */
function expectTyped(answer: Pick<Answer, 'code' | 'reason' | 'domain' | 'text'>, what?: unknown): void {
  const { code, reason, domain, text } = answer;
  expect([what, domain]).toEqual([what, 'countersign']);
  expect([what, reason]).not.toEqual([what, expect.stringMatching(/^(|INTERNAL|UNKNOWN)$/)]);
  expect([what, code]).not.toEqual([what, expect.stringMatching(/^(|internal|unknown|13|2)$/)]);
  expectNothingInside(text);
}

function expectNothingInside(text: string): void {
  expect(text).not.toMatch(/\.[jt]s:\d+|node_modules|node:internal|\/server\/|select |insert |violates|DatabaseError/);
}

function expectInvalid(answer: Answer, field: string | undefined, what?: unknown): void {
  expectTyped(answer, what);
  expect({ what, ...answer }).toMatchObject({ what, status: 400, code: 'invalid_argument', reason: 'REQUEST_INVALID' });
  if (field !== undefined)
    expect({ what, fields: answer.fields }).toEqual({ what, fields: expect.arrayContaining([field]) });
}

/**
 * Everything that is kept, but the guesses at passwords, which are there to be counted, and what replicas say of
 * themselves by the clock: that they live, and which streams they hold.
 */
async function everything(): Promise<Record<string, unknown>> {
  await vi.waitFor(async () => expect(await server.query(`select from delivery where state = 'QUEUED'`)).toEqual([]), {
    timeout: 10_000,
    interval: 20,
  });
  const tables = await server.query(`
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
      and relname not in ('password_guesses', 'replica', 'open_stream') order by relname`);
  const contents: Record<string, unknown> = {};
  for (const { relname } of tables) {
    const [row] = await server.query(`select jsonb_agg(t order by t::text) as rows from "${relname}" t`);
    contents[String(relname)] = row?.['rows'];
  }
  expect(contents['session']).not.toBeNull();
  return contents;
}

async function changingNothing(work: () => Promise<void>): Promise<void> {
  const before = await everything();
  await work();
  expect(await everything()).toEqual(before);
}

// What the contract says of a request, field by field.

interface Leaf {
  /** JSON names, from the request down. */
  readonly path: readonly string[];
  /** As BadRequest names it. */
  readonly name: string;
  readonly field: DescField;
}

/** Every field of a request, nested ones too. */
function leaves(message: DescMessage, path: readonly string[] = [], names: readonly string[] = []): Leaf[] {
  return message.fields.flatMap((field) => {
    const at = [...path, field.jsonName];
    const name = [...names, field.name];
    const leaf = { path: at, name: name.join('.'), field };
    return field.fieldKind === 'message' ? [leaf, ...leaves(field.message, at, name)] : [leaf];
  });
}

const isString = ({ field }: Leaf) => field.fieldKind === 'scalar' && field.scalar === ScalarType.STRING;
/** What the server writes, a client may not: it is ignored. */
const outputOnly = new Set(['device.app_version']);
const nobody = '00000000-0000-7000-8000-000000000000';

/** A request that breaks no rule, of nobody. Of a oneof it has the member that is on the path, else the first. */
function goodRequest(message: DescMessage, [head, ...rest]: readonly string[] = []): Record<string, unknown> {
  const request: Record<string, unknown> = {};
  for (const field of message.fields) {
    const { oneof } = field;
    if (oneof !== undefined && field !== (oneof.fields.find(({ jsonName }) => jsonName === head) ?? oneof.fields[0]))
      continue;
    const value = goodValue(field, field.jsonName === head ? rest : []);
    if (value !== undefined) request[field.jsonName] = value;
  }
  return request;
}

function goodValue(field: DescField, path: readonly string[] = []): unknown {
  if (field.fieldKind === 'message') return goodRequest(field.message, path);
  if (field.fieldKind === 'enum') return field.enum.values.find(({ number }) => number > 0)?.name;
  if (field.fieldKind !== 'scalar') throw new Error(`what is a good ${field.name}?`);
  if (field.scalar === ScalarType.BOOL) return true;
  if (field.scalar !== ScalarType.STRING) return 1;
  const fixed: Record<string, string> = {
    code: '123456',
    locale: 'en',
    email: 'nobody@example.com',
    token: 'ab'.repeat(32),
    topic: 'com.example.app',
  };
  if (field.name === 'page_token') return undefined;
  return fixed[field.name] ?? (field.name.endsWith('_id') ? nobody : `good ${field.name}`);
}

/** Whether a request without it breaks a rule. */
function isRequired(field: DescField): boolean {
  const rules = getOption(field, fieldOption);
  if (rules.required) return true;
  // In a oneof or `optional`, unset is unset; of a oneof that is required, one has to be there.
  if (field.oneof !== undefined) return getOption(field.oneof, oneofOption).required;
  if (field.presence === FeatureSet_FieldPresence.EXPLICIT || rules.ignore === Ignore.IF_ZERO_VALUE) return false;
  const { type } = rules;
  if (type.case === 'enum') return type.value.notIn.includes(0);
  if (type.case !== 'string') return false;
  const { minLen, pattern, wellKnown } = type.value;
  return minLen > 0n || wellKnown.case !== undefined || (pattern !== '' && !new RegExp(pattern, 'u').test(''));
}

function without(request: object, path: readonly string[]): object {
  return put(request, path, undefined);
}

function put(request: object, [head = '', ...rest]: readonly string[], value: unknown): object {
  const before = (request as Record<string, unknown>)[head];
  const inner = rest.length === 0 ? value : put((before ?? {}) as object, rest, value);
  return { ...request, [head]: inner };
}

/** The good request with one field replaced; of every oneof around it, only that member is set. */
function requestWith(rpc: Rpc, { path }: Leaf, value: unknown): object {
  return put(goodRequest(rpc.method.input, path), path, value);
}

const fieldsWhere = (table: readonly Rpc[], wanted: (leaf: Leaf) => boolean) =>
  table.flatMap((rpc) =>
    leaves(rpc.method.input)
      .filter((leaf) => wanted(leaf) && !outputOnly.has(leaf.name))
      .map((leaf) => ({ rpc, leaf, what: `${rpc.method.name}.${leaf.name}` })),
  );

/** A field of a binary message: its tag, and `bytes` as its length-delimited value; nested as `leaf` is. */
function binaryField(rpc: Rpc, leaf: Leaf, bytes: Uint8Array): Buffer {
  const numbers: number[] = [];
  let message: DescMessage | undefined = rpc.method.input;
  for (const name of leaf.path) {
    const field: DescField | undefined = message?.fields.find(({ jsonName }) => jsonName === name);
    numbers.push(field?.number ?? 0);
    message = field?.message;
  }
  return numbers.reduceRight<Buffer>(
    (inner, number) => Buffer.concat([Buffer.from([(number << 3) | 2, inner.length]), inner]),
    Buffer.from(bytes),
  );
}

describe.each(named(rpcs))('%s', (_name, rpc) => {
  test('a body that is no message is refused, in JSON and in binary', async () => {
    const json = [
      '',
      '{',
      '}',
      '[]',
      'null',
      '"x"',
      '1',
      '{"email":',
      '{"email":"a"}{"email":"b"}',
      `${'['.repeat(20_000)}`,
      '{"a":'.repeat(5_000),
      '<xml/>',
      '\u0000',
    ];
    const binary = [
      // A tag without its value; a length beyond the end; field number 0; a wire type that is none; an endless varint.
      [0xa2, 0x06],
      [0xa2, 0x06, 0x7f, 0x61],
      [0xa2, 0x06, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x02, 0x00],
      [0x0f, 0x01],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      // A group that never ends, one that ends without a beginning, many inside each other.
      [0xfb, 0x01],
      [0x0c],
      Array.from({ length: 4_000 }, () => [0xfb, 0x01]).flat(),
    ].map((bytes) => Uint8Array.from(bytes));
    await changingNothing(async () => {
      for (const body of [...json, ...binary])
        expectInvalid(await call(rpc, body), undefined, String(body).slice(0, 40));
    });
  });

  test('a body of 4 MB is refused', async () => {
    await changingNothing(async () => {
      for (const body of [`{"x":"${'a'.repeat(4 << 20)}"}`, new Uint8Array(4 << 20)]) {
        expectInvalid(await call(rpc, body), undefined);
      }
    });
  });

  test('other content types and other methods than POST are told what would be right', async () => {
    const good = JSON.stringify(goodRequest(rpc.method.input));
    await changingNothing(async () => {
      for (const contentType of [
        '',
        'text/plain',
        'text/json',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'application/xml',
        ...['json', 'proto'].map((form) => `application/${isStream(rpc) ? '' : 'connect+'}${form}`),
        'application/grpc-web-text',
        'application/json, application/json',
        'application/jsonx',
      ]) {
        // fetch sets a type of its own where it is given a string.
        const answer = await call(rpc, new TextEncoder().encode(good), { contentType });
        expectTyped(answer, contentType);
        expect([contentType, answer.status]).toEqual([contentType, 415]);
        expect(answer.text).toContain(`takes application/${isStream(rpc) ? 'connect+' : ''}json`);
      }
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']) {
        const query = method === 'GET' ? `?connect=v1&encoding=json&message=${encodeURIComponent(good)}` : '';
        const answer = await call(rpc, good, { method, query });
        expectTyped(answer, method);
        expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'POST']);
      }
      const head = await call(rpc, '', { method: 'HEAD' });
      expect([head.status, head.text]).toEqual([405, '']);
    });
  });
});

const demanding = rpcs.filter(({ method }) => leaves(method.input).some(({ field }) => isRequired(field)));

describe.each(named(demanding))('%s', (_name, rpc) => {
  const required = leaves(rpc.method.input).filter(({ field }) => isRequired(field));

  // Where a message is optional, only what is inside of it may be required.
  const needsSomething = rpc.method.input.fields.filter(isRequired).length > 0;

  if (needsSomething) {
    test('an empty message is refused, with every field that it lacks', async () => {
      await changingNothing(async () => {
        for (const body of ['{}', new Uint8Array()]) {
          const answer = await call(rpc, body);
          expectInvalid(answer, undefined);
          const lacking = required.filter(({ path, field }) => path.length === 1 && field.oneof === undefined);
          expect(answer.fields).toEqual(expect.arrayContaining(lacking.map(({ name }) => name)));
        }
      });
    });
  }

  test('each required field is missed', async () => {
    await changingNothing(async () => {
      for (const { path, name, field } of required) {
        const answer = await call(rpc, without(goodRequest(rpc.method.input, path), path));
        // Of a required oneof no field is named: any would do.
        expectInvalid(answer, field.oneof === undefined ? name : undefined, name);
      }
    });
  });
});

describe('a field that is not known', () => {
  /** Field 99, of every wire type: a varint, 8 bytes, a string, a group, 4 bytes. */
  const unknownInBinary = Buffer.from([
    ...[0x98, 0x06, 0x01],
    ...[0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
    ...[0x9a, 0x06, 0x01, 0x61],
    ...[0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06],
    ...[0x9d, 0x06, 1, 2, 3, 4],
  ]);

  test.each(named(rpcs))('is refused in the JSON of %s, and in each message inside', async (_name, rpc) => {
    const inside = leaves(rpc.method.input).filter(({ field }) => field.fieldKind === 'message');
    await changingNothing(async () => {
      for (const path of [[], ...inside.map((leaf) => leaf.path)]) {
        const good = goodRequest(rpc.method.input, path);
        for (const name of ['unknown', '', 'x-y', '__proto__', '@type', '[countersign.x]', '99']) {
          for (const value of [null, true, 'x', { deep: [1, null, 'x'] }]) {
            // Written by hand, for `__proto__` is not set by put.
            const request = JSON.stringify(put(good, [...path, 'HERE'], value)).replace('HERE', name);
            expectInvalid(await call(rpc, request), undefined, [path, name, value]);
          }
        }
      }
    });
  });

  test.each(named(rpcs.filter(({ method }) => method.input.fields.length > 0)))(
    'is refused where it is one of %s, misspelt',
    async (_name, rpc) => {
      await changingNothing(async () => {
        for (const { path, field } of leaves(rpc.method.input)) {
          const good = goodRequest(rpc.method.input, path);
          const { jsonName, name } = field;
          const misspelt = [`${jsonName}s`, jsonName.slice(0, -1), jsonName.toUpperCase(), `${name}_`, ` ${name}`];
          for (const wrong of misspelt) {
            const request = put(without(good, path), [...path.slice(0, -1), wrong], goodValue(field) ?? 'x');
            expectInvalid(await call(rpc, request), undefined, wrong);
          }
        }
      });
    },
  );

  test('costs a right code nothing: the answer that takes trust back is not lost', async () => {
    const owner = await server.createAccount();
    const challengeToken = await challengeFor(owner);
    const code = await server.mail.codeFor(owner.email);
    const rpc = byName('VerifyCode');
    await changingNothing(async () => {
      for (const name of ['trust_devices', 'trustDevices', 'trustdevice', 'TrustDevice', 'trust-device']) {
        expectInvalid(await call(rpc, { challengeToken, code, [name]: false }), undefined, name);
      }
    });
    // By either name that it has.
    expect((await call(rpc, { challenge_token: challengeToken, code, trust_device: false })).status).toBe(200);
  });

  test('is skipped in binary, also inside a message', async () => {
    const getSettings = byName('GetSettings');
    const plain = await call(getSettings, new Uint8Array());
    expect(plain.status).toBe(200);
    const more = await call(getSettings, unknownInBinary);
    expect([more.status, more.text]).toEqual([200, plain.text]);

    const { input } = byName('SignIn').method;
    const { device: deviceField, ...rest } = goodRequest(input) as { device: object };
    const deviceBytes = toBinary(DeviceSchema, fromJson(DeviceSchema, deviceField as JsonObject));
    const inner = Buffer.concat([deviceBytes, unknownInBinary]);
    const body = Buffer.concat([
      toBinary(input, fromJson(input, rest as JsonObject)),
      Buffer.from([0x1a, inner.length]),
      inner,
      unknownInBinary,
    ]);
    expect((await call(byName('SignIn'), body)).reason).toBe('CREDENTIALS_INCORRECT');
  });
});

describe('every field of every request', () => {
  test('is refused in another JSON type', async () => {
    const inputs = fieldsWhere(rpcs, () => true);
    expect(inputs.length).toBeGreaterThan(30);
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of inputs) {
        const values: unknown[] =
          leaf.field.fieldKind === 'message'
            ? ['x', 1, true, []]
            : leaf.field.fieldKind === 'enum'
              ? [{}, [], true]
              : [{}, []];
        if (isString(leaf)) values.push(1, true, ['x']);
        else if (leaf.field.fieldKind === 'scalar')
          values.push('x', leaf.field.scalar === ScalarType.BOOL ? 1 : true, 1.5, 1e20);
        for (const value of values) {
          const answer = await call(rpc, requestWith(rpc, leaf, value));
          expectInvalid(answer, undefined, [what, value]);
        }
      }
    });
  });

  test('that is a string has a bound', async () => {
    const strings = fieldsWhere(rpcs, isString);
    expect(strings.length).toBeGreaterThan(20);
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of strings) {
        const base = String(goodValue(leaf.field) ?? 'x');
        // Of the form that the field takes, where it takes one: digits, a tag, an address.
        const long = leaf.field.name === 'locale' ? `en${'-abcdefgh'.repeat(3_000)}` : base.slice(0, 1).repeat(20_000);
        expectInvalid(await call(rpc, requestWith(rpc, leaf, long)), leaf.name, what);
      }
    });
  });

  test('that is a string takes no NUL, which PostgreSQL can not keep', async () => {
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of fieldsWhere(rpcs, isString)) {
        const good = String(goodValue(leaf.field) ?? 'x');
        for (const value of [`${good}\0`, `\0${good}`, '\0']) {
          expectInvalid(await call(rpc, requestWith(rpc, leaf, value)), leaf.name, [what, value]);
        }
      }
    });
  });

  test('that is a string takes no half of a surrogate pair, and no invalid UTF-8', async () => {
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of fieldsWhere(rpcs, isString)) {
        for (const half of ['\\ud800', 'x\\udc00x', '\\ude00\\ud83d']) {
          const json = JSON.stringify(requestWith(rpc, leaf, 'HALF')).replace('HALF', half);
          expectInvalid(await call(rpc, json), undefined, [what, half]);
        }
        for (const bytes of [[0xff], [0x61, 0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]]) {
          expectInvalid(await call(rpc, binaryField(rpc, leaf, Uint8Array.from(bytes))), undefined, [what, bytes]);
          const [before = '', after = ''] = JSON.stringify(requestWith(rpc, leaf, 'HERE')).split('HERE');
          const json = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
          const answer = await call(rpc, json, { contentType: 'application/json' });
          expectInvalid(answer, undefined, [what, bytes]);
        }
      }
    });
  });

  test('that is an enum takes only what the contract names', async () => {
    const enums = fieldsWhere(rpcs, ({ field }) => field.fieldKind === 'enum');
    expect(enums.length).toBeGreaterThan(2);
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of enums) {
        const zero = leaf.field.enum?.values.find(({ number }) => number === 0)?.name;
        for (const value of [0, 99, -1, 2_147_483_647, zero]) {
          expectInvalid(await call(rpc, requestWith(rpc, leaf, value)), leaf.name, [what, value]);
        }
        // A name that is not known makes a body that can't be read, as one of a field does.
        const lower = String(goodValue(leaf.field)).toLowerCase();
        for (const value of [2_147_483_648, 1.5, 'NO_SUCH_NAME', '', lower]) {
          expectInvalid(await call(rpc, requestWith(rpc, leaf, value)), undefined, [what, value]);
        }
      }
    });
  });
});

test('a push registration is of one service, and in the form of its tokens', async () => {
  const rpc = byName('UpdateDevice');
  const apns = { token: 'ab'.repeat(32), topic: 'com.example.app', environment: 'APNS_ENVIRONMENT_SANDBOX' };
  const fcm = { token: 'a'.repeat(100) };
  await changingNothing(async () => {
    for (const both of [
      { apns, fcm },
      { fcm, apns },
    ])
      expectInvalid(await call(rpc, { pushRegistration: both }), undefined);
    expectInvalid(await call(rpc, { pushRegistration: {} }), 'push_registration.service');
    expectInvalid(await call(rpc, { displayName: '' }), 'display_name');
    for (const token of ['', 'a'.repeat(31), 'a'.repeat(201), `${apns.token}g`, `${apns.token}\n`, ` ${apns.token}`]) {
      const answer = await call(rpc, { pushRegistration: { apns: { ...apns, token } } });
      expectInvalid(answer, 'push_registration.apns.token', token);
    }
    for (const topic of [
      '',
      'a'.repeat(156),
      'com/example',
      'com.example\n',
      '../3/device',
      'com.ex\u0430mple',
      'a b',
    ]) {
      const answer = await call(rpc, { pushRegistration: { apns: { ...apns, topic } } });
      expectInvalid(answer, 'push_registration.apns.topic', topic);
    }
    for (const token of ['', 'a'.repeat(9), 'a'.repeat(1_001), `${fcm.token}/`, `${fcm.token}\n`, `${fcm.token} `]) {
      const answer = await call(rpc, { pushRegistration: { fcm: { token } } });
      expectInvalid(answer, 'push_registration.fcm.token', token);
    }
  });
});

describe('lists', () => {
  const lists = rpcs.filter(({ method }) => method.input.fields.some(({ name }) => name === 'page_size'));
  const tokenOf = async (rpc: Rpc) => JSON.parse((await call(rpc, { pageSize: 1 })).text).nextPageToken as string;

  test('take no negative page size, and no size beyond 32 bits', async () => {
    expect(lists.length).toBeGreaterThan(1);
    for (const rpc of lists) {
      for (const pageSize of [-1, -2_147_483_648]) expectInvalid(await call(rpc, { pageSize }), 'page_size');
      for (const pageSize of [2_147_483_648, '1x', 0.5]) expectInvalid(await call(rpc, { pageSize }), undefined);
      expect((await call(rpc, { pageSize: 2_147_483_647 })).status).toBe(200);
    }
  });

  test('take only page tokens that they gave', async () => {
    // Two devices and some events: both lists have a second page.
    await server.signInNewDevice(account);
    for (const rpc of lists) {
      const token = await tokenOf(rpc);
      expect(token).toBeTruthy();
      const foreign = await Promise.all(lists.filter((one) => one !== rpc).map(tokenOf));
      const made = (text: string) => Buffer.from(text).toString('base64url');
      for (const pageToken of [
        'x',
        '!',
        token.slice(0, -1),
        token.slice(0, token.length / 2),
        token.slice(1),
        `${token}AAAA`,
        token.toUpperCase(),
        made('events:'),
        made('events:\0'),
        made(`events:${nobody}:`),
        made(`events:${nobody}' or true --`),
        made('devices:'),
        made('devices:x_y'),
        made(`devices:99999999999999999999_${nobody}`),
        made(JSON.stringify({ offset: 1 })),
        Buffer.from(token, 'base64url').reverse().toString('base64url'),
        ...foreign,
      ]) {
        expectInvalid(await call(rpc, { pageToken }), 'page_token', pageToken);
      }
      expect((await call(rpc, { pageToken: token })).status).toBe(200);
    }
  });

  test('show with a page token of another account nothing of that account', async () => {
    for (const rpc of lists) {
      const { text } = await call(rpc, { pageSize: 1 });
      const pageToken = await tokenOf(rpc);
      const headers = { authorization: `Bearer ${otherDevice.session.accessToken}` };
      const foreign = await call(rpc, { pageToken }, { headers });
      const own = await call(rpc, {}, { headers });
      expect(foreign.status).toBe(200);
      const ids = (answer: string) => answer.match(/"(deviceId|eventId)":"[^"]+"/g) ?? [];
      expect(ids(own.text)).toEqual(expect.arrayContaining(ids(foreign.text)));
      expect(ids(own.text)).not.toEqual(expect.arrayContaining(ids(text)));
    }
  });
});

describe('an access token', () => {
  const claims = () => ({
    accountId: account.accountId,
    sessionId: device.session.sessionId,
    deviceId: device.session.deviceId,
    amr: ['pwd', 'otp'],
    generation: 1,
    issueTime: new Date(),
    expireTime: new Date(Date.now() + 300_000),
  });
  const key = (seed: number, keyId = 'test') => ({ keyId, key: Buffer.alloc(32, seed) });
  const sign = (more: object = {}, keys = [key(2)], issuer = 'countersign', audience = 'countersign') =>
    createAccessTokens(keys, issuer, audience).sign({ ...claims(), ...more });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

  async function badTokens(): Promise<Record<string, string>> {
    const good = device.session.accessToken;
    const [head = '', body = '', signature = ''] = good.split('.');
    const payload = JSON.parse(Buffer.from(body, 'base64url').toString());
    const jwks = await (await fetch(`${server.publicUrl}/.well-known/jwks.json`)).json();
    const publicKey = Buffer.from(jwks.keys[0].x, 'base64url');
    const hs256 = `${part({ alg: 'HS256', typ: 'at+jwt', kid: 'test' })}.${body}`;
    const elsewhere = otherDevice.session;
    return {
      'cut by one': good.slice(0, -1),
      'cut in half': good.slice(0, good.length / 2),
      'without signature': `${head}.${body}.`,
      'of two parts': `${head}.${body}`,
      'of four parts': `${good}.x`,
      'with another body': `${head}.${part({ ...payload, sub: other.accountId })}.${signature}`,
      'with a later end': `${head}.${part({ ...payload, exp: payload.exp + 86_400 })}.${signature}`,
      'with the signature of another': `${head}.${body}.${elsewhere.accessToken.split('.')[2]}`,
      'of alg none': `${part({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
      'of alg None with the signature': `${part({ alg: 'None', typ: 'at+jwt', kid: 'test' })}.${body}.${signature}`,
      'of HS256 under the public key': `${hs256}.${createHmac('sha256', publicKey).update(hs256).digest('base64url')}`,
      'of another key': await sign({}, [key(3)]),
      'of another key with an id of its own': await sign({}, [key(3, 'mine')]),
      'with the key in its head': await new SignJWT(payload)
        .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', jwk: jwks.keys[0] })
        .sign(Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 3)]) as never)
        .catch(() => `${part({ alg: 'EdDSA', typ: 'at+jwt', jwk: jwks.keys[0] })}.${body}.${signature}`),
      'for another audience': await sign({}, [key(2)], 'countersign', 'somebody else'),
      'of another issuer': await sign({}, [key(2)], 'somebody else'),
      'of another account, with this session': await sign({ accountId: other.accountId }),
      'of another device, with this session': await sign({ deviceId: elsewhere.deviceId }),
      'of a session that is not': await sign({ sessionId: nobody }),
      'that is a refresh token': device.session.refreshToken,
      'that is a device token': device.session.deviceToken,
      'that is the service token': server.serviceToken,
      'that is nothing': 'x',
      'that is very long': 'a.'.repeat(2_000),
    };
  }

  test('that is forged is SESSION_INVALID everywhere, and inactive', async () => {
    const bad = await badTokens();
    await changingNothing(async () => {
      for (const [what, token] of Object.entries(bad)) {
        for (const rpc of sessionRpcs) {
          const answer = await call(rpc, goodRequest(rpc.method.input), {
            headers: { authorization: `Bearer ${token}` },
          });
          expectTyped(answer, what);
          expect([what, answer.status, answer.reason, answer.cause]).toEqual([what, 401, 'SESSION_INVALID', 'UNKNOWN']);
        }
        const introspected = await server.service.sessions.introspectSession({ accessToken: token });
        expect([what, introspected]).toMatchObject([what, { active: false, accountId: '', sessionId: '' }]);
      }
    });
  });

  test('that is good as it is, is let in by this very test', async () => {
    expect((await call(byName('GetSettings'), {})).status).toBe(200);
    const headers = { authorization: `bearer ${await sign()}` };
    expect((await call(byName('GetSettings'), {}, { headers })).status).toBe(200);
  });

  test('that has expired is SESSION_INVALID with that cause', async () => {
    const expired = await sign({ expireTime: new Date(server.clock.now().getTime() - 1_000) });
    await changingNothing(async () => {
      for (const rpc of sessionRpcs) {
        const answer = await call(rpc, goodRequest(rpc.method.input), {
          headers: { authorization: `Bearer ${expired}` },
        });
        expectTyped(answer);
        expect([rpc.path, answer.reason, answer.cause]).toEqual([rpc.path, 'SESSION_INVALID', 'EXPIRED']);
      }
    });
    expect((await server.service.sessions.introspectSession({ accessToken: expired })).active).toBe(false);
  });

  test('that is missing or not borne is SESSION_INVALID', async () => {
    const good = device.session.accessToken;
    await changingNothing(async () => {
      for (const authorization of [
        '',
        'Bearer',
        'Bearer ',
        good,
        `Basic ${good}`,
        `Bearer ${good} x`,
        `Bearer ${good}, Bearer ${good}`,
        `Bearer\t${good}`,
        `DPoP ${good}`,
        `Bearer "${good}"`,
      ]) {
        for (const rpc of sessionRpcs) {
          const answer = await call(rpc, goodRequest(rpc.method.input), { headers: { authorization } });
          expectTyped(answer, authorization);
          expect([authorization, answer.status, answer.reason]).toEqual([authorization, 401, 'SESSION_INVALID']);
        }
      }
    });
  });
});

describe.each(named(rpcs.filter(isStream)))('%s', (_name, rpc) => {
  const good = encodeEnvelope(0, Buffer.from('{}'));
  const bodies: Readonly<Record<string, Uint8Array>> = {
    'no message': new Uint8Array(),
    'half a head': good.subarray(0, 3),
    'half a message': good.subarray(0, 6),
    'two messages': Buffer.concat([good, good]),
    'a message that promises 4 GB': Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff),
    'a message that is compressed, it does not say how': encodeEnvelope(1, Buffer.from('{}')),
    'a field that is not known': encodeEnvelope(0, Buffer.from('{"x":1}')),
    'bytes without a frame': Buffer.from('{}'),
  };

  test.each(Object.keys(bodies))('%s is refused, in each protocol', async (what) => {
    const body = bodies[what] ?? new Uint8Array();
    await changingNothing(async () => {
      const answer = await call(rpc, body, { contentType: 'application/connect+json' });
      expectTyped(answer, what);
      for (const contentType of ['application/grpc-web+json', 'application/grpc+json']) {
        const seen = await callHttp2(rpc, body, contentType);
        expectTyped(seen, [what, contentType]);
        expect([contentType, seen.reason]).toEqual([contentType, answer.reason]);
      }
    });
  });

  /** The refusal of a call in gRPC or gRPC-Web, wherever it stands. */
  async function callHttp2(rpc: Rpc, body: Uint8Array, contentType: string) {
    const session = http2.connect(server.publicUrl);
    try {
      const headers = { ...gate, authorization: `Bearer ${device.session.accessToken}`, te: 'trailers' };
      const stream = session.request({
        ':method': 'POST',
        ':path': rpc.path,
        'content-type': contentType,
        ...headers,
      });
      let status: Record<string, unknown> = {};
      const keep = (more: http2.IncomingHttpHeaders) => {
        status = { ...status, ...more };
      };
      stream.once('response', keep);
      stream.once('trailers', keep);
      const chunks: Buffer[] = [];
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.setTimeout(5_000, () => stream.close(http2.constants.NGHTTP2_CANCEL));
      stream.end(body);
      await new Promise((resolve, reject) => {
        stream.once('close', resolve);
        stream.once('error', reject);
      });
      const sent = Buffer.concat(chunks);
      if (contentType.includes('web')) {
        expect(sent[0]).toBe(0x80);
        const lines = sent.subarray(5).toString().trim().split('\r\n');
        status = Object.fromEntries(lines.map((line) => line.split(/: ?(.*)/, 2)));
      } else {
        expect(sent.length).toBe(0);
      }
      const { code, details } = fromBinary(
        StatusSchema,
        Buffer.from(String(status['grpc-status-details-bin']), 'base64'),
      );
      const seen = read(
        String(code),
        details.map(({ typeUrl, value }) => ({ type: typeUrl.split('/').at(-1) ?? '', value })),
      );
      return { ...seen, text: String(status['grpc-message']) };
    } finally {
      session.destroy();
    }
  }
});

/** Tokens that read like this one and are not. */
function respelled(token: string): string[] {
  const [name = '', secret = ''] = token.split('.');
  const bytes = Buffer.from(secret, 'base64url');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const lastBits = alphabet[alphabet.indexOf(secret.at(-1) ?? '') ^ 1];
  return [
    token.slice(0, -1),
    token.slice(0, token.length / 2),
    token.slice(1),
    name,
    `${name}.`,
    `.${secret}`,
    '.',
    `${token}.`,
    `${token}=`,
    `${token}==`,
    `${token}A`,
    ` ${token}`,
    `${token}\n`,
    `${name}=.${secret}`,
    `${name}.\t${secret}`,
    // The other alphabet; without a character in which they differ, one is put where decoders skip it.
    `${name}.${bytes.toString('base64')}`,
    `${name}.${secret.replaceAll('-', '+').replaceAll('_', '/')}+`,
    // Decodes to the same bytes: the bits that are left over differ.
    ...(secret.length % 4 === 0 ? [] : [`${name}.${secret.slice(0, -1)}${lastBits}`]),
    `${name.toUpperCase()}.${secret}`,
    `${name}.${secret.toUpperCase()}`,
    `${Buffer.from('x\0').toString('base64url')}.${secret}`,
    `${Buffer.from([0xff]).toString('base64url')}.${secret}`,
    `${Buffer.from('a'.repeat(300)).toString('base64url')}.${secret}`,
    `${Buffer.from(nobody).toString('base64url')}.${secret}`,
    `${Buffer.from(other.accountId).toString('base64url')}.${secret}`,
    bytes.toString('hex'),
  ].filter((text) => text !== token);
}

/** Beyond what the contract lets a secret be. */
const tooLong = (token: string) => token.length > 512;

async function challengeFor(of: TestAccount): Promise<string> {
  const { result } = await server.appClient().twoStepAuth.signIn({ ...of, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return result.value.challengeToken;
}

describe('secrets that are truncated, spelled another way, of another kind or of another account are worth nothing', () => {
  test('as a refresh token: the session lives on', async () => {
    const owner = await server.createAccount();
    const { session } = await server.signInNewDevice(owner);
    const client = server.appClient();
    const kinds = [session.deviceToken, session.accessToken, await challengeFor(owner)];
    await changingNothing(async () => {
      for (const refreshToken of [...respelled(session.refreshToken), ...kinds]) {
        const error = await refusal(client.twoStepAuth.refreshSession({ refreshToken }));
        const expected = tooLong(refreshToken) ? ['REQUEST_INVALID', undefined] : ['SESSION_INVALID', 'UNKNOWN'];
        expect([refreshToken, error.reason, error.reasonMetadata['cause']]).toEqual([refreshToken, ...expected]);
      }
    });
    const refreshed = await client.twoStepAuth.refreshSession({ refreshToken: session.refreshToken });
    expect(refreshed.session?.sessionId).toBe(session.sessionId);
  });

  test('as a challenge token: the challenge waits on, no try is taken', async () => {
    const owner = await server.createAccount();
    const challengeToken = await challengeFor(owner);
    const code = await server.mail.codeFor(owner.email);
    const { client, session } = device;
    const kinds = [session.refreshToken, session.deviceToken, session.accessToken];
    await changingNothing(async () => {
      for (const bad of [...respelled(challengeToken), ...kinds]) {
        const calls = {
          getChallenge: () => client.twoStepAuth.getChallenge({ challengeToken: bad }),
          sendCode: () => client.twoStepAuth.sendCode({ challengeToken: bad, channel: Channel.EMAIL }),
          verifyCode: () => client.twoStepAuth.verifyCode({ challengeToken: bad, code }),
          updateSettings: () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken: bad, code }),
        };
        for (const [name, attempt] of Object.entries(calls)) {
          const expected = tooLong(bad) ? 'REQUEST_INVALID' : 'CHALLENGE_UNKNOWN';
          expect([name, bad, (await refusal(attempt())).reason]).toEqual([name, bad, expected]);
        }
      }
      // Whole, but of another purpose and account.
      const update = client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
      expect((await refusal(update)).reason).toBe('CHALLENGE_UNKNOWN');
    });
    const { challenge } = await client.twoStepAuth.getChallenge({ challengeToken });
    expect(challenge).toMatchObject({ state: ChallengeState.PENDING, attemptsRemaining: 5 });
  });

  test('a switch-off challenge signs nobody in, and serves no other session', async () => {
    const owner = await server.createAccount();
    const first = await server.signInNewDevice(owner);
    const second = await server.signInNewDevice(owner);
    await second.client.twoStepAuth.getSettings({});
    const { result } = await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken } = result.value;
    const code = await server.mail.codeFor(owner.email, 3);
    await changingNothing(async () => {
      const attempts = [
        () => first.client.twoStepAuth.verifyCode({ challengeToken, code }),
        () => second.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }),
      ];
      for (const attempt of attempts) expect((await refusal(attempt())).reason).toBe('CHALLENGE_UNKNOWN');
    });
  });

  test('a code that is left out is no guess', async () => {
    const owner = await server.createAccount();
    const { client } = await server.signInNewDevice(owner);
    const { result } = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken } = result.value;
    await changingNothing(async () => {
      for (const attempt of [
        () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken }),
        () => client.twoStepAuth.verifyCode({ challengeToken }),
      ]) {
        const error = await refusal(attempt());
        expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'code' }] });
      }
    });
  });

  test('a code of another length is no guess; one with spaces is; a closed challenge takes none', async () => {
    const owner = await server.createAccount();
    const { client } = await server.signInNewDevice(owner);
    const { result } = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const switchOff = result.value.challengeToken;
    await server.mail.codeFor(owner.email, 2);
    const challengeToken = await challengeFor(owner);
    const challengeNow = async () => (await client.twoStepAuth.getChallenge({ challengeToken })).challenge;
    const code = await server.mail.codeFor(owner.email, 3);
    await changingNothing(async () => {
      for (const bad of [
        ...['', ' ', '      ', '1', '1 2 3 4 5', '12345', '1234567', '123456789', '1234567890', '0'.repeat(30)],
        ...[code.slice(1), `${code}0`, `0${code}`, `${code} ${code}`, `${code} `.repeat(5), `${' '.repeat(25)}${code}`],
        ...[
          '12345a',
          '-12345',
          '+12345',
          '12345.',
          '1e4567',
          '0x1234',
          '١٢٣٤٥٦',
          '１２３４５６',
          `${code}\n`,
          `\t${code}`,
        ],
      ]) {
        for (const attempt of [
          () => client.twoStepAuth.verifyCode({ challengeToken, code: bad }),
          () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken: switchOff, code: bad }),
        ]) {
          const error = await refusal(attempt());
          expect([bad, error.reason, error.violations[0]?.field]).toEqual([bad, 'REQUEST_INVALID', 'code']);
        }
      }
    });
    const wrong = code === '000000' ? '000001' : '000000';
    for (let left = 4; left >= 0; left -= 1) {
      expect(await challengeNow()).toMatchObject({ state: ChallengeState.PENDING, attemptsRemaining: left + 1 });
      const spaced = ` ${wrong.slice(0, 3)}  ${wrong.slice(3)} `;
      expect((await refusal(client.twoStepAuth.verifyCode({ challengeToken, code: spaced }))).reason).toBe(
        'CODE_INCORRECT',
      );
    }
    const closed = { state: ChallengeState.CLOSED, attemptsRemaining: 0 };
    expect(await challengeNow()).toMatchObject(closed);
    await changingNothing(async () => {
      expect((await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }))).reason).toBe('CHALLENGE_CLOSED');
    });
    expect(await challengeNow()).toMatchObject(closed);
  });

  test('as a device token: the device is a new one', async () => {
    const owner = await server.createAccount();
    const { session } = await server.signInNewDevice(owner);
    const others = [session.refreshToken, session.accessToken, otherDevice.session.deviceToken];
    for (const deviceToken of [...respelled(session.deviceToken), ...others]) {
      if (tooLong(deviceToken)) continue;
      // Else the eleventh would have to wait for an hour.
      await server.query('delete from challenge where account_id = $1', [owner.accountId]);
      const { result } = await server.appClient().twoStepAuth.signIn({ ...owner, device: iphone, deviceToken });
      expect([deviceToken, result.case]).toEqual([deviceToken, 'challengeGrant']);
    }
    const { deviceToken } = session;
    const { result } = await server.appClient().twoStepAuth.signIn({ ...owner, device: iphone, deviceToken });
    expect(result.case).toBe('session');
  });
});

test('ids of another account reach nothing of it', async () => {
  const ids = { deviceId: otherDevice.session.deviceId, sessionId: otherDevice.session.sessionId };
  const reason = RevocationReason.ADMINISTRATIVE;
  await changingNothing(async () => {
    for (const filter of [{ deviceId: ids.deviceId }, { sessionId: ids.sessionId }, ids]) {
      const { accountId } = account;
      const { revokedSessions } = await server.service.sessions.revokeSessions({ accountId, reason, ...filter });
      expect(revokedSessions).toBe(0);
    }
  });
  // Opened by the other account itself, for it to be denied.
  const challengeToken = await challengeFor(other);
  const { challenge } = await otherDevice.client.twoStepAuth.getChallenge({ challengeToken });
  await changingNothing(async () => {
    for (const spelt of [(id: string) => id, (id: string) => id.toUpperCase()]) {
      const { trustedDevices, twoStepAuth } = device.client;
      const remove = trustedDevices.removeTrustedDevice({ deviceId: spelt(ids.deviceId) });
      expect((await refusal(remove)).reason).toBe('DEVICE_UNKNOWN');
      const deny = twoStepAuth.denyChallenge({ challengeId: spelt(challenge?.challengeId ?? '') });
      expect((await refusal(deny)).reason).toBe('CHALLENGE_UNKNOWN');
    }
  });
  await otherDevice.client.twoStepAuth.getSettings({});
});

test('an account that is not known is ACCOUNT_UNKNOWN to every RPC that takes one', async () => {
  const takers = internalRpcs.filter(({ method }) => method.input.fields.some(({ name }) => name === 'account_id'));
  expect(takers.length).toBeGreaterThan(4);
  await changingNothing(async () => {
    for (const rpc of takers) {
      for (const accountId of [
        nobody,
        'x',
        '%',
        "' or true --",
        '🦊',
        account.accountId.toUpperCase(),
        ` ${account.accountId}`,
      ]) {
        const good = goodRequest(rpc.method.input, ['accountId']);
        const password = 'password' in good ? { password: 'a good password 1' } : {};
        const answer = await call(rpc, { ...good, ...password, accountId });
        expectTyped(answer);
        expect([rpc.path, answer.status, answer.reason]).toEqual([rpc.path, 404, 'ACCOUNT_UNKNOWN']);
      }
    }
  });
});

test('control and bidirectional characters in what a device says of itself are refused', async () => {
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const points = [
    ...range(0, 0x1f),
    ...range(0x7f, 0x9f),
    ...[0x200b, 0x200e, 0x200f, 0xfeff],
    ...range(0x2028, 0x202e),
    ...range(0x2066, 0x2069),
  ];
  const { email, password } = account;
  const rpc = byName('SignIn');
  await changingNothing(async () => {
    for (const name of ['displayName', 'model', 'osVersion']) {
      const field = `device.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
      for (const point of points) {
        const text = `Anna${String.fromCodePoint(point)}s phone`;
        const request = { email, password, device: { platform: 'PLATFORM_IOS', [name]: text } };
        expectInvalid(await call(rpc, request), field, [name, point.toString(16)]);
        if (name === 'displayName') {
          const renamed = await call(byName('UpdateDevice'), { displayName: text });
          expectInvalid(renamed, 'display_name', ['UpdateDevice', point.toString(16)]);
        }
      }
    }
  });
});

describe('the gate', () => {
  const forms: readonly (readonly [string, Record<string, string>, string])[] = [
    ['nothing', { 'countersign-client-version': '', 'countersign-client-platform': '' }, 'CLIENT_VERSION_MISSING'],
    ['no version', { 'countersign-client-version': '' }, 'CLIENT_VERSION_MISSING'],
    ['no platform', { 'countersign-client-platform': '' }, 'CLIENT_VERSION_MISSING'],
    ['a version that is none', { 'countersign-client-version': 'latest' }, 'CLIENT_VERSION_INVALID'],
    ['a version twice', { 'countersign-client-version': '2.3, 2.3' }, 'CLIENT_VERSION_INVALID'],
    ['a platform that is none', { 'countersign-client-platform': 'symbian' }, 'CLIENT_VERSION_INVALID'],
    ['a platform in capitals', { 'countersign-client-platform': 'IOS' }, 'CLIENT_VERSION_INVALID'],
    ['an old version', { 'countersign-client-version': '2.2.9' }, 'CLIENT_VERSION_UNSUPPORTED'],
    ['a pre-release of the minimum', { 'countersign-client-version': '2.3-rc.1' }, 'CLIENT_VERSION_UNSUPPORTED'],
  ];

  test.each(named(publicRpcs))('of %s comes before the body and before the session', async (_name, rpc) => {
    await changingNothing(async () => {
      for (const [what, headers, reason] of forms) {
        for (const body of [
          JSON.stringify(goodRequest(rpc.method.input)),
          '{',
          Uint8Array.from([0xff]),
          'x'.repeat(1 << 20),
        ]) {
          for (const authorization of ['', 'Bearer x', `Bearer ${device.session.accessToken}`]) {
            const answer = await call(rpc, body, { headers: { ...headers, authorization } });
            expectTyped(answer, what);
            expect([what, answer.reason, answer.headers.get('countersign-minimum-version')]).toEqual([
              what,
              reason,
              '2.3',
            ]);
          }
        }
      }
    });
  });

  test.each(named(publicRpcs))('of %s answers a gRPC call whose body never comes', async (_name, rpc) => {
    const session = http2.connect(server.publicUrl);
    try {
      for (const [what, headers, reason] of forms) {
        const sent = Object.fromEntries(Object.entries({ ...gate, ...headers }).filter(([, value]) => value !== ''));
        const stream = session.request({
          ':method': 'POST',
          ':path': rpc.path,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...sent,
        });
        const answer = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
          stream.once('response', resolve);
          stream.once('error', reject);
        });
        stream.close();
        const bin = Buffer.from(String(answer['grpc-status-details-bin']), 'base64');
        const { code, details } = fromBinary(StatusSchema, bin);
        const seen = read(
          String(code),
          details.map(({ typeUrl, value }) => ({ type: typeUrl.split('/').at(-1) ?? '', value })),
        );
        expectTyped({ ...seen, text: String(answer['grpc-message']) }, what);
        expect([what, seen.reason, answer['countersign-minimum-version']]).toEqual([what, reason, '2.3']);
      }
    } finally {
      session.destroy();
    }
  });
});

describe('the listeners', () => {
  /** Sends a path as it is: fetch would tidy it up. */
  const rawCall = (url: string, path: string, headers: Record<string, string>) =>
    new Promise<Answer>((resolve, reject) => {
      const { port } = new URL(url);
      const request = http1Request({ port, path, method: 'POST', headers, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: new Headers(), text, ...errorOf(text) });
        });
      });
      request.on('error', reject);
      request.end('{}');
    });

  test.each(named(internalRpcs))('on the public one %s is found by no spelling', async (name, rpc) => {
    const [service = '', method = ''] = name.split('/');
    const ours = '/countersign.v1.TwoStepAuth';
    const paths = [
      rpc.path,
      `/${rpc.path}`,
      `${rpc.path}/`,
      `${rpc.path}?x=1`,
      `${rpc.path}#x`,
      `${rpc.path};x`,
      `${ours}/..${rpc.path}`,
      `/.${rpc.path}`,
      `${ours}/%2e%2e${rpc.path}`,
      `/${service}%2f${method}`,
      `/${service}%2F${method}`,
      `/${service}//${method}`,
      `/${service}/%${method.charCodeAt(0).toString(16)}${method.slice(1)}`,
      `/%63${service.slice(1)}/${method}`,
      `/${service}\\${method}`,
      `/${service.toUpperCase()}/${method}`,
      `/${service}/${method.toLowerCase()}`,
      `/.${service}/${method}`,
      `${server.internalUrl}${rpc.path}`,
      `${server.publicUrl}${rpc.path}`,
      `${ours}/${service}/${method}`,
      `${ours}/${method}`,
      `${rpc.path}%00`,
    ];
    const tokens = { ...gate, authorization: `Bearer ${server.serviceToken}`, 'content-type': 'application/json' };
    const { host } = new URL(server.internalUrl);
    await changingNothing(async () => {
      for (const path of paths) {
        for (const headers of [tokens, { ...tokens, host, 'x-forwarded-host': host, 'x-original-url': rpc.path }]) {
          const answer = await rawCall(server.publicUrl, path, headers);
          expectTyped(answer, path);
          expect([path, answer.status, answer.code, answer.reason]).toEqual([
            path,
            404,
            'unimplemented',
            'METHOD_UNKNOWN',
          ]);
        }
      }
    });
  });

  test.each(named(publicRpcs))('on the internal one %s is not there', async (_name, rpc) => {
    const headers = { ...gate, authorization: `Bearer ${server.serviceToken}`, 'content-type': 'application/json' };
    const answer = await rawCall(server.internalUrl, rpc.path, headers);
    expectTyped(answer);
    expect([answer.status, answer.code, answer.reason]).toEqual([404, 'unimplemented', 'METHOD_UNKNOWN']);
  });

  test.each(named(internalRpcs))('%s needs a service token of its scope', async (_name, rpc) => {
    const good = `Bearer ${server.serviceToken}`;
    const wrong = [
      '',
      'Bearer',
      'Bearer x',
      server.serviceToken,
      good.slice(0, -1),
      `${good}x`,
      `${good}=`,
      good.toUpperCase(),
      `Basic ${Buffer.from(`test:${server.serviceToken}`).toString('base64')}`,
      `${good}, ${good}`,
      `Bearer ${Buffer.from(hashServiceToken(server.serviceToken)).toString('hex')}`,
      `Bearer ${device.session.accessToken}`,
    ];
    await changingNothing(async () => {
      for (const authorization of wrong) {
        const answer = await call(rpc, goodRequest(rpc.method.input), { headers: { authorization } });
        expectTyped(answer, authorization);
        expect([authorization, answer.status, answer.reason]).toEqual([authorization, 401, 'SERVICE_TOKEN_INVALID']);
      }
      const headers = { authorization: `Bearer ${limitedToken}` };
      const answer = await call(rpc, goodRequest(rpc.method.input), { headers });
      expectTyped(answer);
      expect([answer.status, answer.code, answer.reason]).toEqual([403, 'permission_denied', 'SCOPE_MISSING']);
    });
  });

  test('answer a very long path or name with a short refusal, also in gRPC, whose refusals are headers', async () => {
    for (const url of [server.publicUrl, server.internalUrl]) {
      const session = http2.connect(url);
      try {
        const long = 'a'.repeat(40_000);
        const name = Buffer.concat([Buffer.from([0x0a, 0xc0, 0xb8, 0x02]), Buffer.from(long)]);
        const message = Buffer.concat([Buffer.from([0, 0, 0, name.length >> 8, name.length & 255]), name]);
        for (const [path, body] of [
          [`/${long}`, Buffer.from([0, 0, 0, 0, 0])],
          ['/grpc.health.v1.Health/Check', message],
        ] as const) {
          const stream = session.request({
            ':method': 'POST',
            ':path': path,
            'content-type': 'application/grpc',
            te: 'trailers',
          });
          stream.end(body);
          const answer = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
            stream.once('response', resolve);
            stream.once('error', reject);
          });
          expect(JSON.stringify(answer).length).toBeLessThan(8_000);
          const { details } = fromBinary(
            StatusSchema,
            Buffer.from(String(answer['grpc-status-details-bin']), 'base64'),
          );
          expect(details.map(({ typeUrl }) => typeUrl.split('/').at(-1))).toContain(ErrorInfoSchema.typeName);
        }
      } finally {
        session.destroy();
      }
    }
  });

  test('outlive headers of 70 KB, bodies that stop half way, and callers that leave', async () => {
    await changingNothing(async () => {
      for (const rpc of [byName('SignIn'), byName('CreateAccount')]) {
        const url = new URL(rpc.internal ? server.internalUrl : server.publicUrl);
        const headers = Object.entries({
          host: url.host,
          'content-type': 'application/json',
          'content-length': '200',
          authorization: `Bearer ${server.serviceToken}`,
          ...gate,
        }).map(([name, value]) => `${name}: ${value}\r\n`);
        const start = `POST ${rpc.path} HTTP/1.1\r\n${headers.join('')}`;
        const ends = {
          'in its headers': start.slice(0, 40),
          'before its body': `${start}\r\n`,
          'in its body': `${start}\r\n{"email":"half@example.com","password":"correct`,
          'in a chunk': `${start.replace(/content-length: .*\r\n/, 'transfer-encoding: chunked\r\n')}\r\nff\r\n{"email"`,
          'in a chunk that is none': `${start.replace(/content-length: .*\r\n/, 'transfer-encoding: chunked\r\n')}\r\nzz\r\n`,
        };
        for (const text of Object.values(ends)) {
          for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
            const socket = connectTcp(Number(url.port), '127.0.0.1');
            let received = '';
            socket.on('data', (data) => {
              received += data;
            });
            socket.on('error', () => {});
            const closed = new Promise((resolve) => socket.once('close', resolve));
            await new Promise<void>((resolve) => socket.once('connect', resolve));
            await new Promise((resolve) => socket.write(text, resolve));
            socket[leave]();
            await closed;
            expect(received).not.toMatch(/^HTTP\/1.1 (200|5)/);
            expectNothingInside(received);
          }
        }

        const huge = await new Promise<string>((resolve) => {
          const socket = connectTcp(Number(url.port), '127.0.0.1');
          let received = '';
          socket.on('data', (data) => {
            received += data;
          });
          socket.on('error', () => {});
          socket.once('close', () => resolve(received));
          socket.end(`${start}x-long: ${'a'.repeat(70_000)}\r\n\r\n`);
        });
        // A client that is still writing may be reset before it has read; never an answer to the call itself.
        expect(huge).toMatch(/^($|HTTP\/1.1 431 )/);

        const session = http2.connect(url.origin);
        for (const leave of [http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_INTERNAL_ERROR]) {
          const stream = session.request({
            ':method': 'POST',
            ':path': rpc.path,
            'content-type': 'application/json',
            authorization: `Bearer ${server.serviceToken}`,
            ...gate,
          });
          stream.on('error', () => {});
          stream.write('{"email":"half@example.com"');
          stream.close(leave);
          await new Promise((resolve) => stream.once('close', resolve));
        }
        session.destroy();
      }
    });
    expect((await challengeOfNewAccount()).challengeToken).toBeTruthy();
  });
});

test('random bytes and random JSON get an answer in time, never an internal error, and the server serves on', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 50 }),
    fc.string({ unit: 'grapheme', maxLength: 50 }),
    fc.constantFrom('\0', ' ', '\u202e', 'a'.repeat(5_000), '1'.repeat(400), nobody, '{}', '%00', "'--", '٣'),
  );
  const anything = fc.oneof(text, fc.jsonValue({ stringUnit: 'binary' }), fc.integer(), fc.double(), fc.boolean());
  const shaped = (message: DescMessage, depth = 0): fc.Arbitrary<object> =>
    fc.record(
      Object.fromEntries(
        message.fields.map((field) => [
          field.jsonName,
          fc.oneof(
            { weight: 3, arbitrary: fc.constant(goodValue(field) ?? '') },
            field.fieldKind === 'message' && depth < 3 ? shaped(field.message, depth + 1) : anything,
            field.fieldKind === 'enum' ? fc.integer({ min: -2, max: 9 }) : text,
          ),
        ]),
      ),
      { requiredKeys: [] },
    );
  const bytes = fc.uint8Array({ maxLength: 300 });
  /** A good message, cut or with some bytes replaced. */
  const damaged = ({ method }: Rpc) =>
    fc.tuple(fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 })).map(([cut, changes]) => {
      const good = Buffer.from(JSON.stringify(goodRequest(method.input)));
      for (const [at, byte] of changes) good[at % good.length] = byte;
      return Uint8Array.from(good.subarray(0, good.length - (cut % 5)));
    });
  const attempt = fc.constantFrom(...rpcs).chain((rpc) =>
    fc.record({
      rpc: fc.constant(rpc),
      body: fc.oneof(
        { weight: 4, arbitrary: shaped(rpc.method.input).map((json) => Buffer.from(JSON.stringify(json))) },
        damaged(rpc),
        fc.json({ stringUnit: 'binary' }).map((json) => Buffer.from(json)),
        bytes,
      ),
      contentType: fc.oneof(
        { weight: 3, arbitrary: fc.constant('application/json') },
        fc.constantFrom('application/proto', 'application/json; charset=utf-16', 'application/grpc-web+proto'),
      ),
    }),
  );
  await fc.assert(
    fc.asyncProperty(attempt, async ({ rpc, body, contentType }) => {
      // Without a session, or the first good one would sign this device out for those that follow.
      // So is a stream: with one, it would stay open.
      const withoutSession = rpc.method.name === 'SignOut' || isStream(rpc);
      const headers: Record<string, string> = withoutSession ? { authorization: '' } : {};
      const framing = isStream(rpc) && contentType === 'application/proto' ? {} : { contentType };
      const answer = await call(rpc, Uint8Array.from(body), { ...framing, headers });
      if (contentType.startsWith('application/grpc-web')) {
        expect(answer.status).toBe(200);
        expect(answer.text).not.toMatch(/grpc-status: (2|13)\b/);
        expectNothingInside(answer.text);
      } else if (answer.status !== 200) {
        expectTyped(answer);
        expect(answer.status).toBeLessThan(500);
      }
    }),
    { numRuns: 300 },
  );
  expect((await challengeOfNewAccount()).challengeToken).toBeTruthy();
});

async function challengeOfNewAccount() {
  const fresh = await server.createAccount();
  return { challengeToken: await challengeFor(fresh) };
}
