// What is noted of internal calls: a record before a call is done, completed with how it ended. One description an RPC says whom a call
// concerns and what tells it apart, in ids, names and numbers: never an address, a password or a token of a person.

import type { DescEnum, DescMethod, DescMethodUnary, DescService, MessageShape } from '@bufbuild/protobuf';
import type { Interceptor } from '@connectrpc/connect';
import {
  Accounts,
  type AuthorizeLegacySignInRequest,
  ImportOutcome,
  LegacyRefusalSchema,
} from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { RevocationReasonSchema, Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { PlatformSchema } from '../../gen/countersign/v1/device_pb.ts';
import type { AuditRecord } from '../domain/audit-record.ts';
import { parseClientVersion } from '../domain/client-version.ts';
import { type AuditDeps, completeRecord, openRecord } from '../flows/audit.ts';
import { clientAddress } from '../platform/client-address.ts';
import type { Logger } from '../platform/log.ts';
import type { accounts, sessions, support } from './access.ts';
import { peerAddressOf, serviceOf, setAuditRecord } from './call.ts';
import { reasonOf, toConnectError } from './errors.ts';
import { uuid } from './pages.ts';
import { requestIdHeader } from './request-id.ts';

type Details = Readonly<Record<string, string | number | undefined>>;

/** What a record says of a call. Both are asked before, when there is no answer yet, and after; a request may be malformed. */
interface Description<M extends DescMethodUnary = DescMethodUnary> {
  /** The account; undefined where it is not known, or there are many. */
  whom(request: MessageShape<M['input']>, answer: MessageShape<M['output']> | undefined): string | undefined;
  /** It changes nothing: where whom it found can't be noted, it need not be told either. */
  readonly looksUp?: true;
  /** What is undefined is left out. */
  details?(request: MessageShape<M['input']>, answer: MessageShape<M['output']> | undefined): Details;
}

type Audited<R> = { [M in keyof R]: R[M] extends readonly [string, 'audited'] ? M : never }[keyof R];
/** One for each RPC that access.ts says is audited. */
type DescriptionsOf<S extends DescService, R> = {
  readonly [M in Audited<R> & keyof S['method']]: S['method'][M] extends DescMethodUnary
    ? Description<S['method'][M]>
    : never;
};

const ofAccounts: DescriptionsOf<typeof Accounts, typeof accounts> = {
  createAccount: { whom: (_, answer) => answer?.account?.accountId },
  getAccount: {
    whom: ({ key }, answer) => (key.case === 'accountId' ? key.value : answer?.account?.accountId),
    looksUp: true,
    details: ({ key }) => ({ by: nameOfKey(key.case) }),
  },
  updateAccount: {
    whom: ({ accountId }) => accountId,
    details: ({ email, locale }) => ({ fields: setOf({ email, locale }) }),
  },
  setPassword: { whom: ({ accountId }) => accountId },
  resetVerification: {
    whom: ({ accountId }) => accountId,
    details: ({ forgetTrustedDevices }) => ({ forget_trusted_devices: forgetTrustedDevices ? 'true' : undefined }),
  },
  deleteAccount: { whom: ({ accountId }) => accountId },
  batchImportAccounts: {
    whom: () => undefined,
    details: (request, answer) => {
      const count = (outcome: ImportOutcome) => answer?.results.filter((each) => each.outcome === outcome).length;
      return {
        accounts: request.accounts.length,
        created: count(ImportOutcome.CREATED),
        exists: count(ImportOutcome.EXISTS),
        conflict: count(ImportOutcome.CONFLICT),
      };
    },
  },
  authorizeLegacySignIn: {
    whom: ({ accountId }) => accountId,
    details: (request, answer) => ({
      platform: nameIn(PlatformSchema, request.platform),
      client_version: versionIn(request),
      allowed: answer && String(answer.allowed),
      reason: answer && nameIn(LegacyRefusalSchema, answer.reason),
    }),
  },
};

const ofSessions: DescriptionsOf<typeof Sessions, typeof sessions> = {
  listSessions: {
    whom: ({ accountId }) => accountId,
    looksUp: true,
    details: (_, answer) => ({ sessions: answer?.sessions.length }),
  },
  revokeSessions: {
    whom: ({ accountId }) => accountId,
    details: ({ deviceId, sessionId, reason }, answer) => ({
      reason: nameIn(RevocationReasonSchema, reason),
      device_id: uuidIn(deviceId),
      session_id: uuidIn(sessionId),
      revoked: answer?.revokedSessions,
    }),
  },
};

const ofSupport: DescriptionsOf<typeof Support, typeof support> = {
  traceChallenge: {
    whom: ({ account }, answer) => (account.case === 'accountId' ? account.value : answer?.trace?.accountId),
    looksUp: true,
    details: ({ account, challengeId }, answer) => ({
      by: nameOfKey(account.case),
      challenge_id: answer?.trace?.challengeId ?? uuidIn(challengeId),
    }),
  },
  getAccountSecurity: {
    whom: ({ account }, answer) => (account.case === 'accountId' ? account.value : answer?.accountSecurity?.accountId),
    looksUp: true,
    details: ({ account }) => ({ by: nameOfKey(account.case) }),
  },
  listAuditRecords: {
    // An answer without records says nothing of whether there is such an account.
    whom: ({ filter }, answer) =>
      answer?.auditRecords.length === 0 && filter?.accountId.includes('@') ? undefined : filter?.accountId,
    looksUp: true,
    details: ({ filter, pageToken }, answer) => ({
      filter: setOf({
        account_id: filter?.accountId,
        caller: filter?.caller,
        rpc: filter?.rpc,
        start_time: filter?.startTime,
        end_time: filter?.endTime,
      }),
      page: pageToken === '' ? 'first' : 'next',
      records: answer?.auditRecords.length,
    }),
  },
};

const descriptions = new Map<DescMethod, Description>([
  ...entries(Accounts, ofAccounts),
  ...entries(Sessions, ofSessions),
  ...entries(Support, ofSupport),
]);

function entries(service: DescService, of: object): [DescMethod, Description][] {
  const known = new Map<string, Description>(Object.entries(of));
  return service.methods.flatMap((method) => {
    const description = known.get(method.localName);
    return description === undefined ? [] : [[method, description] as [DescMethod, Description]];
  });
}

/** Notes each call that is audited before it goes on. It has to come behind what names the caller. */
export function auditCalls(deps: AuditDeps, log: Logger): Interceptor {
  return (next) => async (req) => {
    const description = descriptions.get(req.method);
    if (description === undefined || req.stream) return next(req);
    const { method, message, header, contextValues } = req;
    const describe = (answer: MessageShape<DescMethodUnary['output']> | undefined) => ({
      accountId: accountIdIn(description.whom(message, answer), answer !== undefined),
      details: detailsIn(description.details?.(message, answer)),
    });
    const record = await openRecord(deps, {
      caller: serviceOf(contextValues).name,
      rpc: `${method.parent.name}.${method.name}`,
      // No proxy stands in front of the internal listener, and a caller's own word is none to go by.
      ipAddress: clientAddress(peerAddressOf(contextValues), undefined, []),
      requestId: header.get(requestIdHeader) ?? '',
      ...describe(undefined),
    });
    setAuditRecord(contextValues, record.recordId);
    const complete = async (how: Pick<AuditRecord, 'outcome'> & Partial<AuditRecord>) => {
      const completed = { ...record, ...how };
      try {
        await completeRecord(deps, completed);
      } catch (error) {
        const { recordId, rpc, caller, accountId, outcome } = completed;
        const fields = { recordId, rpc, service: caller, accountId, outcome };
        log.error({ ...fields, err: error }, 'how a call ended is not noted');
        // What was changed is changed by now: that answer goes out.
        if (description.looksUp && accountId !== record.accountId) throw error;
      }
    };
    const response = await next(req).catch(async (thrown: unknown) => {
      await complete({ outcome: reasonOf(toConnectError(thrown)) });
      throw thrown;
    });
    if (!response.stream) await complete({ outcome: 'OK', ...describe(response.message) });
    return response;
  };
}

/** As the contract bounds it. */
const longestAccountId = 128;

/** What may be an address, sent by mistake, is an account's id only once an account was found by it. */
function accountIdIn(accountId: string | undefined, found: boolean): string {
  if (accountId === undefined || accountId.includes('\0') || Buffer.byteLength(accountId) > longestAccountId) return '';
  return found || !accountId.includes('@') ? accountId : '';
}

function detailsIn(details: Details = {}): Readonly<Record<string, string>> {
  const said = Object.entries(details).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(said.map(([name, value]) => [name, String(value)]));
}

function uuidIn(id: string | undefined): string | undefined {
  const lower = id?.toLowerCase();
  return lower !== undefined && uuid.test(lower) ? lower : undefined;
}

/** Which fields are set, never to what. */
const setOf = (fields: Readonly<Record<string, unknown>>) =>
  Object.keys(fields)
    .filter((name) => fields[name] !== undefined && fields[name] !== '')
    .join(',');

const nameOfKey = (key: string | undefined) => (key === 'email' ? 'email' : key && 'account_id');

/** `ADMINISTRATIVE` for REVOCATION_REASON_ADMINISTRATIVE; undefined for what is unspecified or unknown. */
function nameIn({ values, sharedPrefix = '' }: DescEnum, number: number): string | undefined {
  if (number === 0) return undefined;
  return values.find((value) => value.number === number)?.name.slice(sharedPrefix.length);
}

/** What claims to be a version may be anything. */
const versionIn = ({ clientVersion }: AuthorizeLegacySignInRequest) =>
  clientVersion === '' || parseClientVersion(clientVersion) !== undefined ? clientVersion : 'malformed';
