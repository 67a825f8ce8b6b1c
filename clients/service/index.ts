// What services that check sessions import: `@countersign/service`.

export { bearerToken } from './bearer.ts';
export {
  type CheckOptions,
  createSessionChecker,
  type SessionChecker,
  type SessionCheckerOptions,
} from './checker.ts';
export { CountersignError, createServiceClient, type ServiceClient, type ServiceClientOptions } from './client.ts';
export type { RevokedSession } from './revocation-list.ts';
export type { CheckedSession } from './tokens.ts';
