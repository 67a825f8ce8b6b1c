// What an error of PostgreSQL's, or of the way to it, means: out of reach, worth another try, set up wrongly, taken, or a bug.

import pg from 'pg';

// Connection exceptions, insufficient resources, operator intervention, a statement that took too long; lock and deadlock
// are worth another try as well, and so is another server than one that takes no writes.
// So is what a connection has not prepared after all: because another call's first use of it failed, or a table changed.
const unavailableStates = /^(08|53|57P|57014|40001|40P01|55P03|25P03|25006|26000|42P05|0A000)/;
/** The server goes down, starts, or is no longer the one that writes: none of its connections is of use any more. */
const goneStates = /^(57P0[123]|25006)/;
/** Lost to another transaction, to a server that goes away or has no room, or to a connection that forgot a statement. */
const passingStates = /^(08|40001|40P01|57P0[123]|25006|53300|26000|42P05|0A000)/;
const networkErrors = /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENOENT|EHOSTUNREACH|ENETUNREACH)/;
/** pg gives these no code. */
const cutMessages = /Connection terminated|not queryable|Client was closed/;
const lateMessages = /timeout exceeded when trying to connect|Query read timeout/;

/** Whether an error means that PostgreSQL is out of reach, rather than that the statement is wrong. */
export function isUnavailable(error: unknown): boolean {
  return causes(error).some(
    (cause) => unavailableStates.test(codeOf(cause)) || isCut(cause) || lateMessages.test(cause.message),
  );
}

/** Whether a connection that was good is cut, or its server says that it is gone. */
export function isGone(error: unknown): boolean {
  return saysGone(error) || causes(error).some(isCut);
}

/** Whether the server of a connection that was good says that it goes, or is not the primary any more. */
export function saysGone(error: unknown): boolean {
  return causes(error).some((cause) => goneStates.test(codeOf(cause)));
}

/** Whether the same may succeed in a moment, on another connection. What took too long would only take longer. */
export function isPassing(error: unknown): boolean {
  return causes(error).some((cause) => passingStates.test(codeOf(cause)) || isCut(cause));
}

/**
 * Whether a statement was certainly not done: PostgreSQL itself refused it, and goes on; or writes nothing, whatever it is asked; or it
 * never left. Of one that ended with its connection nobody knows, and a pooler says such things too.
 */
export function isUndone(error: unknown): boolean {
  if (error instanceof pg.DatabaseError && error.severity === 'ERROR') return true;
  return error instanceof Error && (codeOf(error) === '25006' || /not queryable/.test(error.message));
}

function isCut(cause: Error): boolean {
  return networkErrors.test(codeOf(cause)) || cutMessages.test(cause.message);
}

function causes(error: unknown): readonly Error[] {
  const found: Error[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) found.push(cause);
  return found;
}

const codeOf = (error: Error) => ('code' in error ? String(error.code) : '');

/** Whether a connection does not have, or no longer has, the prepared statement that it should have. */
export function isUnprepared(error: unknown): boolean {
  return error instanceof Error && /^(26000|42P05|0A000)/.test(codeOf(error));
}

/** Whether PostgreSQL is there and says that the user, the password or the database is wrong, or does not prove who it is. */
export function isMisconfigured(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /^(28|3D000)/.test(codeOf(error)) || certificateErrors.test(codeOf(error)) || noTls.test(error.message);
}

/** Node's, of a server's certificate. */
const certificateErrors = /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CERT_|ERR_TLS_)/;
const noTls = /server does not support SSL connections/;

/** Whether a pooler answers that does not take what a session of PostgreSQL's does. */
export function isPooler(error: unknown): boolean {
  return error instanceof Error && /unsupported (options )?startup parameter/.test(error.message);
}

/** Whether a statement failed because a value that must be unique was there already. */
export function isUniqueViolation(error: unknown): boolean {
  return causes(error).some((cause) => codeOf(cause) === '23505');
}

/** Whether a row had no partition to go to, which PostgreSQL tells as a check that it broke, without the check's name. */
export function isPartitionMissing(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '23514' && !('constraint' in error && error.constraint);
}
