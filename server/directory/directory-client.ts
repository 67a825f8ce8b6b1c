// One question to the customer's directory: its deadline, its retries, the breaker, and whether the answer keeps to the contract.
// Whatever goes wrong is DEPENDENCY_UNAVAILABLE. It must not know what the answers mean, and tells nobody whom it asked about.

import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator } from '@bufbuild/protovalidate';
import { Code, ConnectError } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  BrokenCircuitError,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  retry,
  SamplingBreaker,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
} from 'cockatiel';
import { Connection } from '../../clients/connection.ts';
import { DomainError } from '../domain/errors.ts';
import type { DirectoryLog } from './breached-passwords.ts';

export interface DirectoryClientSettings {
  /** `http:` or `https:`. */
  readonly url: string;
  /** Sent as bearer token. */
  readonly token: string | undefined;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca: string | undefined;
  /** Milliseconds that one question may take, its retries included. */
  readonly patienceMs: number;
}

export interface DirectoryClient {
  /**
   * Asks, and returns an answer that keeps the contract's rules. Refuses with DEPENDENCY_UNAVAILABLE where there is none; its
   * cause holds nothing that the other side has said, for that may be an address or a password.
   */
  ask<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>;
  close(): void;
}

/** An account is a few hundred bytes. */
const readMaxBytes = 64 * 1024;
const retryAfterMs = 1_000;
/** How long nobody is asked once the breaker is open; then one question is, and the others wait for what comes of it. */
const openMs = 2_000;
/** A connection that was silent for so long may have died without a word: it is tried before it is used. */
const silentMs = 10_000;

export function createDirectoryClient(settings: DirectoryClientSettings, log: DirectoryLog): DirectoryClient {
  const { url, token, ca, patienceMs } = settings;
  const sessions = new Connection(
    url,
    { pingIntervalMs: silentMs, pingTimeoutMs: Math.ceil(patienceMs / 2) },
    ca === undefined ? {} : { ca },
  );
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager: sessions,
    readMaxBytes,
    acceptCompression: [],
  });
  const header = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const validator = createValidator();

  const timeLimit = timeout(patienceMs, TimeoutStrategy.Aggressive);
  const retries = retry(handleWhen(isUnreachable), {
    maxAttempts: 2,
    backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 500 }),
  });
  // More than half of the questions of 10 s, of at least 10. Only finding nobody and hearing nothing count, not what an answer says: a
  // system that is silent about one account, and is asked for little else, is taken for one that is away.
  const breaker = circuitBreaker(
    handleWhen((error) => isUnreachable(error) || isTimeout(error)),
    {
      halfOpenAfter: openMs,
      breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 1 }),
    },
  );
  breaker.onBreak(() => {
    log.warn({}, 'the directory is out of reach, and is not asked for a while');
    // Perhaps it is only this connection that is dead: the next question comes over another.
    sessions.abort();
  });
  breaker.onReset(() => log.info({}, 'the directory answers again'));

  return {
    ask: async (method, request) => {
      const deadline = performance.now() + patienceMs;
      // A retry, or the breaker's turn, may come when nobody waits for it any more.
      const once = (signal: AbortSignal) => {
        const leftMs = Math.floor(deadline - performance.now());
        if (signal.aborted || leftMs < 1) throw new ConnectError('too late', Code.DeadlineExceeded);
        return transport.unary(method, signal, leftMs, header, request);
      };
      const answer = await timeLimit
        .execute(({ signal }) => breaker.execute(() => retries.execute(() => once(signal), signal), signal))
        .catch((error: unknown) => {
          throw unusable(
            `${method.name}: ${wordsFor(error, patienceMs)}`,
            error instanceof BrokenCircuitError ? openMs : undefined,
          );
        });
      const { message } = answer;
      const checked = validator.validate(method.output, message);
      if (checked.kind === 'valid') return message;
      const faults =
        checked.kind === 'invalid'
          ? checked.violations.map(({ field, ruleId }) => `${pathToString(field)} (${ruleId})`)
          : [];
      throw unusable(`${method.name} was answered with what the contract does not allow: ${faults.join(', ')}`);
    },
    close: () => sessions.abort(),
  };
}

/** What a question ends with that has no answer to go by. `what` must hold nothing of who it was about. */
export function unusable(what: string, retryMs = retryAfterMs): DomainError {
  const cause = new Error(`the directory's ${what}`);
  return new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: retryMs }, { cause });
}

/** gRPC says UNAVAILABLE wherever a connection fails; Connect has other codes for some of these, and Node's error as cause. */
function isUnreachable(error: unknown): boolean {
  return error instanceof ConnectError && (error.code === Code.Unavailable || nodeCodeOf(error) !== undefined);
}

/** CANCELED is what becomes of a call when its time is over, or its connection. */
function isTimeout(error: unknown): boolean {
  return error instanceof ConnectError && (error.code === Code.DeadlineExceeded || error.code === Code.Canceled);
}

/** Node's own name of why a connection failed, such as `ECONNREFUSED`. */
function nodeCodeOf(error: ConnectError): string | undefined {
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return undefined;
}

function wordsFor(error: unknown, patienceMs: number): string {
  if (error instanceof BrokenCircuitError) return 'not asked, for it was out of reach a moment ago';
  if (error instanceof TaskCancelledError) return `no answer within ${patienceMs} ms`;
  if (!(error instanceof ConnectError)) return error instanceof Error ? error.name : 'failed';
  const nodeCode = nodeCodeOf(error);
  return nodeCode === undefined ? Code[error.code] : `${Code[error.code]} (${nodeCode})`;
}
