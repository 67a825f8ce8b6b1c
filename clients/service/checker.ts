// Checks access tokens in this process, and asks the server only where that would not be enough. It lets nobody through in
// doubt, and keeps no token: only their SHA-256.

import { hash } from 'node:crypto';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Connection } from '../connection.ts';
import { CountersignError } from '../errors.ts';
import { sleep } from '../streams.ts';
import { createServiceTransport, type ServiceClientOptions } from './client.ts';
import { type Clock, skewMs, systemClock } from './clock.ts';
import { followKeys } from './keys.ts';
import { createRecent } from './recent.ts';
import { sessionInvalid, unavailable } from './refusals.ts';
import { createRevocationList, type RevokedSession } from './revocation-list.ts';
import { followRevocations } from './revocations.ts';
import { type CheckedSession, claimedExpiry, type GenuineToken, readToken } from './tokens.ts';

/** The caller needs the scope `sessions`; `timeoutMs` is 2 s by default. */
export interface SessionCheckerOptions extends ServiceClientOptions {
  /** As the server's COUNTERSIGN_TOKEN_ISSUER, which is `countersign` unless set. */
  readonly issuer: string;
  /** As the server's COUNTERSIGN_TOKEN_AUDIENCE, which is `countersign` unless set. */
  readonly audience: string;
  /**
   * How old the knowledge of ended sessions may be, in milliseconds; 5 s by default. Beyond it the server is asked for each call, as it is
   * while the stream is down; where it can't be asked either, what is known still decides for so long, and then every call is refused.
   */
  readonly maxStalenessMs?: number;
  /** How long after its end a token is still taken, for a clock that is ahead of the server's, in milliseconds; 0 by default. */
  readonly clockToleranceMs?: number;
  /** How many tokens that were seen are remembered, at some 750 bytes each; 10,000 by default. */
  readonly rememberedTokens?: number;
  /** How many ended sessions are remembered, at some 300 bytes each; 100,000 by default. */
  readonly rememberedRevocations?: number;
  /**
   * Told of what goes wrong beside the calls: a stream that broke and keys that could not be had, which are tried again; a clock that is
   * behind. For a log.
   */
  readonly onProblem?: (problem: CountersignError) => void;
}

export interface CheckOptions {
  /** Asks the server in any case: for what must not lag by the delivery of a revocation. */
  readonly fresh?: boolean;
}

export interface SessionChecker extends AsyncDisposable {
  /**
   * Whose access token this is.
   *
   * @param token without `Bearer`; undefined where the caller sent none.
   * @throws CountersignError `SESSION_INVALID` with its cause, or `DEPENDENCY_UNAVAILABLE` where it can't be known now.
   */
  check(token: string | undefined, options?: CheckOptions): Promise<CheckedSession>;
  /**
   * Calls `listener` once for each session that ends before its time, in the moment from which it is refused here. What it
   * throws is an uncaught exception.
   *
   * @returns what takes the listener away.
   */
  onRevoked(listener: (session: RevokedSession) => void): () => void;
  /**
   * Resolves when tokens can be checked without asking the server for each.
   *
   * @throws CountersignError what is in the way: at once where waiting does not help, such as a wrong service token, else after
   * `timeoutMs` (10 s by default). The checker goes on trying in either case, and may be used.
   */
  ready(timeoutMs?: number): Promise<void>;
  /** Milliseconds: a session that was revoked longer ago than this is refused. Infinite until the stream has caught up once. */
  staleness(): number;
  /** Ends everything, calls that wait for an answer too. Calls after it are refused. */
  close(): Promise<void>;
}

/** A connection that does not answer a ping within 3 s is given up for a new one. */
const pings = { pingIntervalMs: 3_000, pingTimeoutMs: 3_000 };

/** A token that was found genuine, with its answer, made once. */
interface Remembered extends GenuineToken {
  readonly answer: Promise<CheckedSession>;
  /** The server has said that it is good for nothing any more. */
  isOver: boolean;
}

export function createSessionChecker(options: SessionCheckerOptions, clock: Clock = systemClock): SessionChecker {
  const { maxStalenessMs = 5_000, clockToleranceMs = 0, timeoutMs = 2_000 } = options;
  const { baseUrl, issuer, audience } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const connection = new Connection(baseUrl, pings, options.tls);
  const transport = createServiceTransport({ ...options, timeoutMs }, connection);
  const sessions = createClient(Sessions, transport);
  const remembered = createRecent<Remembered>(options.rememberedTokens ?? 10_000);
  const revoked = createRevocationList(options.rememberedRevocations ?? 100_000);
  /** Questions on their way, by the token's hash. */
  const questions = new Map<string, Promise<boolean>>();
  const listeners = new Set<(session: RevokedSession) => void>();
  const problems = new Set<(problem: CountersignError) => void>();
  if (options.onProblem) problems.add(options.onProblem);

  const onProblem = (thrown: unknown) => {
    const problem = typed(thrown);
    for (const tell of [...problems]) call(tell, problem);
  };
  const keys = followKeys({
    ask: async () => (await sessions.getSigningKeys({}, { signal })).signingKeys,
    clock,
    signal,
    onRemoved: remembered.clear,
    onProblem,
  });
  const revocations = followRevocations({
    open: (how) => sessions.watchRevocations({}, how),
    clock,
    signal,
    onRevoked: (session) => {
      if (!revoked.add(session, clock.now())) return;
      for (const tell of [...listeners]) call(tell, session);
    },
    onProblem,
  });

  const hasExpired = ({ expiresAt }: Pick<GenuineToken, 'expiresAt'>) => clock.now() >= expiresAt + clockToleranceMs;
  const isRevoked = ({ session }: GenuineToken) => revoked.find(session.sessionId) !== undefined;
  /** Whether the clock here is behind that of the server that has issued it: then it would be taken for longer than it lives. */
  const isAhead = ({ issuedAt }: GenuineToken) => issuedAt > clock.now() + skewMs;
  /** Whether what is known here is new enough to decide about a genuine token. */
  const isKnown = (entry: GenuineToken) =>
    revocations.staleness() <= maxStalenessMs && revoked.covers(entry.issuedAt) && !isAhead(entry);
  /** Whether it is all that is to say. */
  const isAllKnown = (entry: GenuineToken) => revocations.isFollowing() && isKnown(entry);

  const isActive = async (token: string): Promise<boolean> => {
    try {
      return (await sessions.introspectSession({ accessToken: token }, { signal })).active;
    } catch (error) {
      throw unavailable('whether the session is over could not be asked for', error);
    }
  };
  /** Who asks while the same is being asked gets the same answer. */
  const isActiveShared = (token: string, tokenHash: string): Promise<boolean> => {
    const asked = questions.get(tokenHash);
    if (asked !== undefined) return asked;
    const question = isActive(token).finally(() => questions.delete(tokenHash));
    questions.set(tokenHash, question);
    return question;
  };

  const read = async (token: string, tokenHash: string): Promise<Remembered> => {
    // Whoever made it; and its key may be gone since.
    if (hasExpired({ expiresAt: claimedExpiry(token) })) throw sessionInvalid('EXPIRED');
    const genuine = await readToken(token, keys, { issuer, audience });
    if (genuine === undefined) throw sessionInvalid('UNKNOWN');
    if (isAhead(genuine)) onProblem(new ConnectError('a token comes from the future: the clock here is behind'));
    const entry = { ...genuine, answer: Promise.resolve(genuine.session), isOver: false };
    remembered.set(tokenHash, entry);
    return entry;
  };
  const refuseEnded = (entry: Remembered) => {
    if (hasExpired(entry)) throw sessionInvalid('EXPIRED');
    const revocation = revoked.find(entry.session.sessionId);
    if (revocation !== undefined) throw sessionInvalid(revocation.cause);
    // Why is not told; refreshing is what tells its holder, as with a token that was void.
    if (entry.isOver) throw sessionInvalid('EXPIRED');
  };
  /** The long way: the token is new, or to be refused, or the server has to be asked. */
  const checkThoroughly = async (token: string, tokenHash: string, fresh: boolean): Promise<CheckedSession> => {
    const entry = remembered.get(tokenHash) ?? (await read(token, tokenHash));
    refuseEnded(entry);
    if (fresh || !isAllKnown(entry)) {
      // One that is on its way may have been answered before this call began.
      const active = await (fresh ? isActive(token) : isActiveShared(token, tokenHash)).catch((error: unknown) => {
        // A server that restarts refuses nobody for that.
        if (fresh || signal.aborted || !isKnown(entry)) throw error;
        return true;
      });
      if (!active) {
        entry.isOver = true;
        remembered.set(tokenHash, entry);
      }
      refuseEnded(entry);
    }
    return entry.session;
  };

  const close = async () => {
    closing.abort(new ConnectError('the session checker is closed', Code.Canceled));
    connection.abort();
    remembered.clear();
    listeners.clear();
  };

  return {
    check: (token, { fresh = false } = {}) => {
      if (signal.aborted) return Promise.reject(unavailable('the session checker is closed'));
      if (typeof token !== 'string') return Promise.reject(sessionInvalid('UNKNOWN'));
      const tokenHash = hash('sha256', token, 'binary');
      const entry = remembered.get(tokenHash);
      if (entry === undefined || fresh || entry.isOver) return checkThoroughly(token, tokenHash, fresh);
      const isGood = !hasExpired(entry) && !isRevoked(entry) && isAllKnown(entry);
      return isGood ? entry.answer : checkThoroughly(token, tokenHash, fresh);
    },
    onRevoked: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ready: async (withinMs = 10_000) => {
      const over = new AbortController();
      let last: CountersignError | undefined;
      const { promise: hopeless, reject } = Promise.withResolvers<never>();
      const onProblemNow = (problem: CountersignError) => {
        last = problem;
        if (isHopeless(problem)) reject(problem);
      };
      problems.add(onProblemNow);
      const late = sleep(withinMs, AbortSignal.any([signal, over.signal])).then(() => {
        throw unavailable(last ? `not ready: ${last.rawMessage}` : `not ready within ${withinMs} ms`, last);
      });
      try {
        await Promise.race([Promise.all([keys.there, revocations.caughtUp]), hopeless, late]);
      } finally {
        problems.delete(onProblemNow);
        late.catch(() => {});
        over.abort();
      }
    },
    staleness: revocations.staleness,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Whether somebody has to change something first. */
function isHopeless({ code }: CountersignError): boolean {
  return [Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented].includes(code);
}

function typed(thrown: unknown): CountersignError {
  return thrown instanceof CountersignError ? thrown : new CountersignError(ConnectError.from(thrown, Code.Unknown));
}

/** What a listener throws is not for whoever made it hear. */
function call<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
