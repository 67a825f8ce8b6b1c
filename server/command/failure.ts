// What a command ends with where it was not done: an exit code, why, and what to do. It must not know which commands there are.

import { Code } from '@connectrpc/connect';
import { CountersignError } from '../../clients/errors.ts';
import { ConfigError, exitCodeOfConfigError } from '../environment.ts';
import { scopes } from '../platform/service-tokens.ts';

export const exitCodes = { done: 0, failed: 1, usage: 2, unreachable: 3, config: exitCodeOfConfigError } as const;

/** Names are stable: `--json` prints them. */
export interface FailureDetails {
  /** The reason of the contract's table, such as `ACCOUNT_UNKNOWN`; empty where the server did not refuse. */
  readonly reason?: string;
  /** What to do about it. */
  readonly help?: string;
  /** By which the server's log can be searched. */
  readonly requestId?: string;
  /** What was done before, and is worth telling all the same. */
  readonly done?: object;
}

export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: number;
  readonly details: FailureDetails;

  constructor(exitCode: number, message: string, details: FailureDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** Whatever was thrown, as what it means for an operator. What nobody expected is thrown on, with its stack. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof ConfigError) return new Failure(exitCodes.config, thrown.message);
  if (thrown instanceof CountersignError) return refused(thrown);
  throw thrown;
}

const helps: Readonly<Record<string, string>> = {
  SERVICE_TOKEN_INVALID:
    'COUNTERSIGN_SERVICE_TOKEN or --token-file has to be a token whose SHA-256 stands in COUNTERSIGN_SERVICE_TOKENS of the server, or in its file; without a token, --client-cert has to name a caller there',
  SCOPE_MISSING: `give the caller's entry in COUNTERSIGN_SERVICE_TOKENS, or in its file, the scope that this takes, of ${scopes.join(', ')}`,
  ACCOUNT_UNKNOWN: 'compare the address or the id with what the person sees in the app',
  ACCOUNT_EXISTS: '`countersign accounts show EMAIL` tells of it',
  ACCOUNTS_ELSEWHERE: 'accounts live in the directory of COUNTERSIGN_DIRECTORY_URL: change them there',
  CHALLENGE_UNKNOWN:
    'challenges are kept for 30 days: `countersign accounts show EMAIL` lists the newest; where there is none, no code was asked for',
  METHOD_UNKNOWN:
    '--url has to lead to the internal listener, not to the public one; if it does, the server is of another release than this command',
  DEPENDENCY_UNAVAILABLE: 'the server runs, and its database does not answer: `countersign doctor` there says more',
  INTERNAL: "the server's log says more, under the request's id",
};

/** A reason is a stranger's text. */
const helpFor = (reason: string) => (Object.hasOwn(helps, reason) ? helps[reason] : undefined);

/** gRPC's code for what never reached a server of ours, or broke off. */
const unreachableCodes: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Internal];

/** Whether it was not decided because somebody is out of reach, and another try may be. */
export function isUnreachable(error: unknown): error is CountersignError {
  if (!(error instanceof CountersignError)) return false;
  return error.reason === '' ? unreachableCodes.includes(error.code) : error.code === Code.Unavailable;
}

function refused(error: CountersignError): Failure {
  const { reason, requestId, rawMessage } = error;
  const ids = requestId === '' ? {} : { requestId };
  if (isUnreachable(error)) {
    const help =
      helpFor(reason) ??
      'is the server running, and do --url or COUNTERSIGN_INTERNAL_URL lead to its internal listener?';
    const words = reason === '' ? `the server can't be reached: ${rawMessage}` : rawMessage;
    return new Failure(exitCodes.unreachable, words, { reason, help, ...ids }, error);
  }
  if (reason === '') {
    const help = '--url has to lead to the internal listener of a Countersign server';
    return new Failure(
      exitCodes.failed,
      `what answers is no Countersign server: ${rawMessage}`,
      { help, ...ids },
      error,
    );
  }
  const help = helpFor(reason);
  return new Failure(exitCodes.failed, rawMessage, { reason, ...(help === undefined ? {} : { help }), ...ids }, error);
}
