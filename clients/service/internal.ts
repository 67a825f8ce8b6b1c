// The services, messages and enums of internal callers, as their contract says them: `@countersign/service/internal`.

export * from '../../gen/countersign/internal/v1/account_pb.ts';
export * from '../../gen/countersign/internal/v1/account_security_pb.ts';
export * from '../../gen/countersign/internal/v1/accounts_pb.ts';
export * from '../../gen/countersign/internal/v1/audit_record_pb.ts';
export * from '../../gen/countersign/internal/v1/challenge_trace_pb.ts';
export * from '../../gen/countersign/internal/v1/sessions_pb.ts';
export * from '../../gen/countersign/internal/v1/support_pb.ts';
// What AuthorizeLegacySignIn asks for.
export { Platform } from '../../gen/countersign/v1/device_pb.ts';
