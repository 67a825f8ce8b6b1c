// What the contract says of its RPCs and of their requests, field by field, read off its descriptors; so a new RPC or field is
// held to the same.

import { type DescField, type DescMessage, type DescMethod, getOption, ScalarType } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { field as fieldOption, Ignore, oneof as oneofOption } from '../../gen/buf/validate/validate_pb.ts';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { Account } from '../../gen/countersign/v1/account_pb.ts';
import { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';

export interface Rpc {
  readonly method: DescMethod;
  readonly internal: boolean;
  readonly path: string;
}

export const rpcs: readonly Rpc[] = [
  TwoStepAuth,
  TrustedDevices,
  LoginActivity,
  Account,
  Accounts,
  Sessions,
  Support,
].flatMap((service) =>
  service.methods.map((method) => ({
    method,
    internal: service.typeName.startsWith('countersign.internal.'),
    path: `/${service.typeName}/${method.name}`,
  })),
);
export const publicRpcs = rpcs.filter(({ internal }) => !internal);
export const internalRpcs = rpcs.filter(({ internal }) => internal);
export const holdsItsOwnSecret = new Set([
  'SignIn',
  'SendCode',
  'VerifyCode',
  'GetChallenge',
  'RefreshSession',
  'RequestPasswordReset',
  'ResetPassword',
]);
/** Of those, what costs nothing but a look. */
export const isCheap = new Set(['GetChallenge', 'RefreshSession']);
export const sessionRpcs = publicRpcs.filter(({ method }) => !holdsItsOwnSecret.has(method.name));
export const named = (table: readonly Rpc[]) => table.map((rpc) => [rpc.path.slice(1), rpc] as const);
export const isStream = ({ method }: Rpc) => method.methodKind !== 'unary';
export const byName = (name: string) => rpcs.find(({ method }) => method.name === name) as Rpc;

// What the contract says of a request, field by field.

export interface Leaf {
  /** JSON names, from the request down. */
  readonly path: readonly string[];
  /** As BadRequest names it. */
  readonly name: string;
  readonly field: DescField;
}

/** Every field of a request, nested ones too. */
export function leaves(message: DescMessage, path: readonly string[] = [], names: readonly string[] = []): Leaf[] {
  return message.fields.flatMap((field) => {
    const at = [...path, field.jsonName];
    const name = [...names, field.name];
    const leaf = { path: at, name: name.join('.'), field };
    if (isMessages(field)) return [leaf, ...leaves(field.message, [...at, '0'], [...names, `${field.name}[0]`])];
    return isNested(field) ? [leaf, ...leaves(field.message, at, name)] : [leaf];
  });
}

const isTime = (field: DescField) =>
  field.fieldKind === 'message' && field.message.typeName === TimestampSchema.typeName;

/** A message with fields of its own in JSON: a time is written as one value. */
const isNested = (field: DescField): field is DescField & { readonly fieldKind: 'message' } =>
  field.fieldKind === 'message' && !isTime(field);

/** A list of messages; goodRequest gives it one. */
const isMessages = (
  field: DescField,
): field is DescField & { readonly fieldKind: 'list'; readonly listKind: 'message' } =>
  field.fieldKind === 'list' && field.listKind === 'message';

export const isString = ({ field }: Leaf) => field.fieldKind === 'scalar' && field.scalar === ScalarType.STRING;
/** What the server writes, a client may not: it is ignored. */
export const outputOnly = new Set(['device.app_version']);
export const nobody = '00000000-0000-7000-8000-000000000000';

/** A request that breaks no rule, of nobody. Of a oneof it has the member that is on the path, else the first. */
export function goodRequest(message: DescMessage, [head, ...rest]: readonly string[] = []): Record<string, unknown> {
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

export function goodValue(field: DescField, path: readonly string[] = []): unknown {
  if (isTime(field)) return field.name === 'end_time' ? '2026-02-01T00:00:00Z' : '2026-01-01T00:00:00Z';
  if (field.fieldKind === 'message') return goodRequest(field.message, path);
  if (isMessages(field)) return [goodRequest(field.message, path.slice(1))];
  if (field.fieldKind === 'list' && field.listKind === 'enum') return [field.enum.values.at(-1)?.name];
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
    ip_address: '81.2.69.142',
    // Of no password: salt and hash are made up.
    password_hash: `$2b$04$${'.'.repeat(53)}`,
  };
  if (field.name === 'page_token') return undefined;
  return fixed[field.name] ?? (field.name.endsWith('_id') ? nobody : `good ${field.name}`);
}

/** Whether a request without it breaks a rule. */
export function isRequired(field: DescField): boolean {
  const rules = getOption(field, fieldOption);
  if (rules.required) return true;
  // In a oneof or `optional`, unset is unset; of a oneof that is required, one has to be there.
  if (field.oneof !== undefined) return getOption(field.oneof, oneofOption).required;
  if (field.presence === FeatureSet_FieldPresence.EXPLICIT || rules.ignore === Ignore.IF_ZERO_VALUE) return false;
  const { type } = rules;
  if (type.case === 'repeated') return type.value.minItems > 0n;
  if (type.case === 'enum') return type.value.notIn.includes(0);
  if (type.case !== 'string') return false;
  const { minLen, pattern, wellKnown } = type.value;
  return minLen > 0n || wellKnown.case !== undefined || (pattern !== '' && !new RegExp(pattern, 'u').test(''));
}

export function without(request: object, path: readonly string[]): object {
  return put(request, path, undefined);
}

export function put(request: object, [head = '', ...rest]: readonly string[], value: unknown): object {
  const before = (request as Record<string, unknown>)[head];
  const inner = rest.length === 0 ? value : put((before ?? {}) as object, rest, value);
  if (Array.isArray(request)) return request.with(Number(head), inner);
  return { ...request, [head]: inner };
}

/** The good request with one field replaced; of every oneof around it, only that member is set. */
export function requestWith(rpc: Rpc, { path }: Leaf, value: unknown): object {
  return put(goodRequest(rpc.method.input, path), path, value);
}

export const fieldsWhere = (table: readonly Rpc[], wanted: (leaf: Leaf) => boolean) =>
  table.flatMap((rpc) =>
    leaves(rpc.method.input)
      .filter((leaf) => wanted(leaf) && !outputOnly.has(leaf.name))
      .map((leaf) => ({ rpc, leaf, what: `${rpc.method.name}.${leaf.name}` })),
  );

/** A field of a binary message: its tag, and `bytes` as its length-delimited value; nested as `leaf` is. */
export function binaryField(rpc: Rpc, leaf: Leaf, bytes: Uint8Array): Buffer {
  const numbers: number[] = [];
  let message: DescMessage | undefined = rpc.method.input;
  // Of a list only the place of its one message says which.
  for (const name of leaf.path.filter((each) => each !== '0')) {
    const field: DescField | undefined = message?.fields.find(({ jsonName }) => jsonName === name);
    numbers.push(field?.number ?? 0);
    message = field?.message;
  }
  return numbers.reduceRight<Buffer>(
    (inner, number) => Buffer.concat([Buffer.from([(number << 3) | 2, inner.length]), inner]),
    Buffer.from(bytes),
  );
}
