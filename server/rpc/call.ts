// What is known of a call, passed from interceptor to interceptor to handler in Connect's context.

import { type ContextValues, createContextKey, createContextValues, type HandlerContext } from '@connectrpc/connect';
import type { Caller, SignedInCaller } from '../flows/context.ts';
import type { SessionRecord } from '../flows/store-ports.ts';
import { isBearerToken, type Service } from '../platform/service-tokens.ts';

/** The caller of a public RPC. */
const callerKey = createContextKey<Caller | undefined>(undefined, { description: 'caller' });
/** The session of a signed-in device. */
const sessionKey = createContextKey<SessionRecord | undefined>(undefined, { description: 'session' });
/** An internal caller. */
const serviceKey = createContextKey<Service | undefined>(undefined, { description: 'service' });
/** The id of a call's audit record. */
const auditRecordKey = createContextKey<string | undefined>(undefined, { description: 'audit record' });
/** What is known of the connection of a call. */
export interface Peer {
  /** The address of the TCP peer, which may be a proxy. */
  readonly address: string | undefined;
  /** The DNS names and URIs that its certificate is for, signed by an authority of ours; empty where none was asked for. */
  readonly certificateNames: readonly string[];
  /** Breaks the call off, without a word: for a client that does not read. */
  readonly cut: () => void;
}

const peerKey = createContextKey<Peer>(
  { address: undefined, certificateNames: [], cut: () => {} },
  { description: 'peer' },
);

export function peerContext(peer: Peer): ContextValues {
  return createContextValues().set(peerKey, peer);
}

export const peerAddressOf = (values: ContextValues): string | undefined => values.get(peerKey).address;

export const certificateNamesOf = (values: ContextValues): readonly string[] => values.get(peerKey).certificateNames;

export const cutOf = ({ values }: Pick<HandlerContext, 'values'>): (() => void) => values.get(peerKey).cut;

/** RFC 6750, 2.1. */
export function bearerOf(header: Headers): string | undefined {
  const token = /^Bearer +(\S+)$/i.exec(header.get('authorization') ?? '')?.[1];
  return token !== undefined && isBearerToken(token) ? token : undefined;
}

export function setCaller(values: ContextValues, caller: Caller): void {
  values.set(callerKey, caller);
}

export function setSession(values: ContextValues, session: SessionRecord): void {
  values.set(sessionKey, session);
}

export function setService(values: ContextValues, service: Service): void {
  values.set(serviceKey, service);
}

export function serviceOf(values: ContextValues): Service {
  const service = values.get(serviceKey);
  if (service === undefined) throw new Error('an internal RPC without its interceptors');
  return service;
}

export function setAuditRecord(values: ContextValues, recordId: string): void {
  values.set(auditRecordKey, recordId);
}

export function auditRecordOf({ values }: HandlerContext): string {
  const recordId = values.get(auditRecordKey);
  if (recordId === undefined) throw new Error('an audited RPC without its interceptors');
  return recordId;
}

/** What the log says of a call: names, never secrets. */
export function logFieldsOf(values: ContextValues): Record<string, unknown> {
  const caller = values.get(callerKey);
  const record = values.get(sessionKey);
  const service = values.get(serviceKey);
  return {
    ...(caller && { platform: caller.platform, clientVersion: caller.appVersion, ipAddress: caller.ipAddress }),
    ...(record && { accountId: record.session.accountId, sessionId: record.session.sessionId }),
    ...(service && { service: service.name }),
  };
}

export function callerOf({ values }: Pick<HandlerContext, 'values'>): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined) throw new Error('a public RPC without its interceptors');
  return caller;
}

export function signedInOf(context: Pick<HandlerContext, 'values'>): SignedInCaller {
  const record = context.values.get(sessionKey);
  if (record === undefined) throw new Error('an RPC for signed-in devices without its access rule');
  return { ...callerOf(context), ...record };
}
