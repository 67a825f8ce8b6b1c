// What an error of PostgreSQL's, or of the way to it, means: out of reach, set up wrongly, taken, or a bug.

// Connection exceptions, insufficient resources, operator intervention, a statement that took too long; lock and deadlock
// are worth another try as well.
// So is what a connection has not prepared after all: because another call's first use of it failed, or a table changed.
const unavailableStates = /^(08|53|57P|57014|40001|40P01|55P03|25P03|26000|42P05|0A000)/;
const networkErrors = /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENOENT|EHOSTUNREACH|ENETUNREACH)/;

/** Whether an error means that PostgreSQL is out of reach, rather than that the statement is wrong. */
export function isUnavailable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? String(cause.code) : '';
    if (unavailableStates.test(code) || networkErrors.test(code)) return true;
    // pg gives these no code.
    if (
      /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Client was closed/.test(
        cause.message,
      )
    ) {
      return true;
    }
  }
  return false;
}

/** Whether a connection does not have, or no longer has, the prepared statement that it should have. */
export function isUnprepared(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(26000|42P05|0A000)/.test(String(error.code));
}

/** Whether PostgreSQL is there and says that the user, the password or the database is wrong. */
export function isMisconfigured(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(28|3D000)/.test(String(error.code));
}

/** Whether a statement failed because a value that must be unique was there already. */
export function isUniqueViolation(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === '23505') return true;
  }
  return false;
}

/** Whether a row had no partition to go to, which PostgreSQL tells as a check that it broke, without the check's name. */
export function isPartitionMissing(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && error.code === '23514' && !('constraint' in error && error.constraint)
  );
}
