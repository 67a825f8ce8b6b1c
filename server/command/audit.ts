// `countersign audit`: what internal callers did.

import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { AuditRecord } from '../../gen/countersign/internal/v1/audit_record_pb.ts';
import { ListAuditRecordsResponseSchema } from '../../gen/countersign/internal/v1/support_pb.ts';
import type { Environment } from '../environment.ts';
import { accountIdOf, type ConnectionOptions, connect } from './connection.ts';
import { type Answer, messageJson, moment, table } from './output.ts';
import { collect } from './pages.ts';
import type { TimeOption } from './program.ts';

export interface AuditOptions extends ConnectionOptions {
  readonly account?: string;
  readonly caller?: string;
  readonly rpc?: string;
  readonly since?: TimeOption;
  readonly limit: number;
}

export async function listAudit(options: AuditOptions, env: Environment, now: Date): Promise<Answer> {
  const client = await connect(options, env);
  const { account, caller = '', rpc = '', since, limit } = options;
  const filter = {
    accountId: account === undefined ? '' : await accountIdOf(client, account),
    caller,
    rpc,
    ...(since === undefined ? {} : { startTime: timestampFromDate(startOf(since, now)) }),
  };
  const auditRecords = await collect<AuditRecord>(async (pageToken, pageSize) => {
    const page = await client.support.listAuditRecords({ filter, pageToken, pageSize });
    return [page.auditRecords, page.nextPageToken];
  }, limit);
  const text = table(
    ['time', 'caller', 'from', 'rpc', 'outcome', 'account', 'request', 'details'],
    auditRecords.map((record) => [
      moment(record.time),
      record.caller,
      record.ipAddress,
      record.rpc,
      record.outcome || 'unknown',
      record.accountId,
      record.requestId,
      Object.entries(record.details)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    ]),
  );
  return {
    json: messageJson(ListAuditRecordsResponseSchema, create(ListAuditRecordsResponseSchema, { auditRecords })),
    text: text === '' ? 'No records.' : text,
  };
}

function startOf(since: TimeOption, now: Date): Date {
  return 'time' in since ? since.time : new Date(now.getTime() - since.agoMs);
}
