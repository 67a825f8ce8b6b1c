// Calls by plain HTTP, as no client would make them, and what every refusal of them has to be: typed, at once, silent of the
// inside, and without effect.

import { fromBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { codeFromString, codeToHttpStatus } from '@connectrpc/connect/protocol-connect';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { hashServiceToken, type Scope } from '../../server/platform/service-tokens.ts';
import { isStream, type Rpc } from './contract.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from './server.ts';

export const gate = { 'countersign-client-version': '2.3', 'countersign-client-platform': 'ios' };
const limitedTokens = { legacy: 'a-token-of-the-scope-legacy-only', support: 'a-token-of-the-scope-support-only' };

/** A token that is known, and has another scope. */
export const tokenWithout = (scope: Scope | undefined): string =>
  scope === 'legacy' ? limitedTokens.support : limitedTokens.legacy;

export let server: TestServer;
export let account: TestAccount;
export let device: TestDevice;
export let other: TestAccount;
export let otherDevice: TestDevice;

/** For a test file: a server with two accounts, a device each; at the end nothing has failed inside. */
export function useServer(): void {
  beforeAll(async () => {
    const limited = Object.entries(limitedTokens).map(
      ([scope, token]) => `limited:${scope}:${Buffer.from(hashServiceToken(token)).toString('hex')}`,
    );
    server = await startTestServer({ COUNTERSIGN_SERVICE_TOKENS: limited.join() });
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
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly code: string;
  readonly reason: string;
  readonly domain: string;
  readonly cause: string | undefined;
  readonly fields: readonly string[];
}

export interface CallOptions {
  readonly headers?: Record<string, string>;
  readonly contentType?: string;
  readonly method?: string;
  readonly query?: string;
}

/**
 * A call by plain HTTP/1.1, by somebody who is let in everywhere, unless `headers` says otherwise (empty: not sent).
 * A stream is given `body` as its one message, in Connect's framing; with a `contentType`, as it is.
 */
export async function call(rpc: Rpc, body: string | Uint8Array | object, options: CallOptions = {}): Promise<Answer> {
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
export async function endOfStream(answer: Response): Promise<Answer> {
  expect(answer.status).toBe(200);
  const bytes = Buffer.from(await answer.arrayBuffer());
  // Nothing but its end: nobody who is refused has been told anything before.
  expect([bytes[0], bytes.readUInt32BE(1)]).toEqual([2, bytes.length - 5]);
  const { error = {} } = JSON.parse(bytes.subarray(5).toString());
  const text = JSON.stringify(error);
  const status = codeToHttpStatus(codeFromString(error.code) ?? Code.Unknown);
  return { status, headers: answer.headers, text, ...errorOf(text) };
}

export type Details = readonly { readonly type: string; readonly value: Uint8Array }[];

export function read(code: string, details: Details) {
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

export function errorOf(text: string) {
  const parsed = text.startsWith('{"code"') ? JSON.parse(text) : {};
  const details = (parsed.details ?? []).map(({ type, value }: { type: string; value: string }) => ({
    type,
    value: Buffer.from(value, 'base64'),
  }));
  return read(parsed.code ?? '', details);
}

/** A refusal that a program can read, and that says nothing of the inside. */
export function expectTyped(answer: Pick<Answer, 'code' | 'reason' | 'domain' | 'text'>, what?: unknown): void {
  const { code, reason, domain, text } = answer;
  expect([what, domain]).toEqual([what, 'countersign']);
  expect([what, reason]).not.toEqual([what, expect.stringMatching(/^(|INTERNAL|UNKNOWN)$/)]);
  expect([what, code]).not.toEqual([what, expect.stringMatching(/^(|internal|unknown|13|2)$/)]);
  expectNothingInside(text);
}

export function expectNothingInside(text: string): void {
  expect(text).not.toMatch(/\.[jt]s:\d+|node_modules|node:internal|\/server\/|select |insert |violates|DatabaseError/);
}

export function expectInvalid(answer: Answer, field: string | undefined, what?: unknown): void {
  expectTyped(answer, what);
  expect({ what, ...answer }).toMatchObject({ what, status: 400, code: 'invalid_argument', reason: 'REQUEST_INVALID' });
  if (field !== undefined)
    expect({ what, fields: answer.fields }).toEqual({ what, fields: expect.arrayContaining([field]) });
}

/**
 * Everything that is kept, but the guesses at passwords, which are there to be counted; the audit records, which note what was
 * refused too; and what replicas say of themselves by the clock: that they live, and which streams they hold.
 */
export async function everything(): Promise<Record<string, unknown>> {
  await vi.waitFor(
    async () =>
      expect(
        await server.query(
          `select from delivery where state = 'QUEUED' and (channel = 'EMAIL' or push_service is not null)`,
        ),
      ).toEqual([]),
    {
      timeout: 10_000,
      interval: 20,
    },
  );
  const tables = await server.query(`
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
      and relname not in ('password_guesses', 'audit_record', 'replica', 'open_stream') order by relname`);
  const contents: Record<string, unknown> = {};
  for (const { relname } of tables) {
    const [row] = await server.query(`select jsonb_agg(t order by t::text) as rows from "${relname}" t`);
    contents[String(relname)] = row?.['rows'];
  }
  expect(contents['session']).not.toBeNull();
  return contents;
}

export async function changingNothing(work: () => Promise<void>): Promise<void> {
  const before = await everything();
  await work();
  expect(await everything()).toEqual(before);
}

export async function challengeFor(of: TestAccount): Promise<string> {
  const { result } = await server.appClient().twoStepAuth.signIn({ ...of, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return result.value.challengeToken;
}

export async function challengeOfNewAccount() {
  const fresh = await server.createAccount();
  return { challengeToken: await challengeFor(fresh) };
}
