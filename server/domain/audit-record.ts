// One call of an internal caller, as it is kept. Pure. It holds no address, password or token of a person.

export interface AuditRecord {
  /** UUIDv7: its time is the call's. */
  readonly recordId: string;
  /** The name that the caller's service token or client certificate stands for. */
  readonly caller: string;
  /** Such as `Accounts.SetPassword`. */
  readonly rpc: string;
  /** Empty where it concerns none, or many. */
  readonly accountId: string;
  readonly ipAddress: string;
  /** `OK` or the reason of its refusal; empty where that was never noted: then it may have been done. */
  readonly outcome: string;
  readonly details: Readonly<Record<string, string>>;
  readonly requestId: string;
}
