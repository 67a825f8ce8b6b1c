// `countersign accounts import`: a file of accounts, batch by batch. It may be interrupted and repeated at any time.

import { create, toBinary } from '@bufbuild/protobuf';
import { CountersignError } from '../../clients/errors.ts';
import type { ServiceClient } from '../../clients/service/client.ts';
import { sleep } from '../../clients/streams.ts';
import {
  BatchImportAccountsRequestSchema,
  type BatchImportAccountsResponse,
  type ImportedAccount,
  ImportedAccountSchema,
  ImportOutcome,
} from '../../gen/countersign/internal/v1/accounts_pb.ts';
import type { Environment } from '../environment.ts';
import { type ConnectionOptions, connect } from './connection.ts';
import { exitCodes, Failure, failureOf, isUnreachable } from './failure.ts';
import { checkAccount, type ImportLine, readImportFile } from './import-file.ts';
import { type Answer, fields, paragraphs, table } from './output.ts';

export interface ImportOptions extends ConnectionOptions {
  readonly json: boolean;
  readonly dryRun?: true;
  /** How long a server that is out of reach is asked again, ms. */
  readonly patience: number;
}

/** What came of the file so far. Names are stable: `--json` prints it. */
interface Summary {
  dryRun: boolean;
  /** Lines with an account. */
  lines: number;
  created: number;
  exists: number;
  /** All of them, of which the first are told. */
  conflictCount: number;
  malformedCount: number;
  conflicts: { readonly line: number; readonly email: string; readonly accountId: string }[];
  malformed: { readonly line: number; readonly message: string }[];
}

/** However many there are in a file, they are held and told. */
const mostTold = 1_000;

interface Row {
  readonly line: number;
  readonly account: ImportedAccount;
}

/** The contract's: 1,000, and 1 MiB together; some bytes less, for what frames the message. */
const largestBatch = { accounts: 1_000, bytes: 1024 * 1024 - 1_024 };
/** A batch is one transaction of a thousand rows. */
const batchTimeoutMs = 60_000;

export async function importAccounts(path: string, options: ImportOptions, env: Environment): Promise<Answer> {
  const summary: Summary = {
    dryRun: options.dryRun === true,
    lines: 0,
    created: 0,
    exists: 0,
    conflictCount: 0,
    malformedCount: 0,
    conflicts: [],
    malformed: [],
  };
  const client = options.dryRun ? undefined : await connect(options, env, { timeoutMs: batchTimeoutMs });
  const progress = createProgress(!options.json);
  const stop = new AbortController();
  // What is under way is finished and counted; who does not want to wait asks twice.
  const onSignal = () => (stop.signal.aborted ? process.exit(exitCodes.failed) : stop.abort());
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    for await (const batch of batches(readImportFile(path, stop.signal), summary)) {
      if (stop.signal.aborted) break;
      if (client !== undefined) await send(client, batch, summary, options.patience, stop.signal);
      progress.show(summary);
    }
    if (stop.signal.aborted) throw new Failure(exitCodes.failed, 'interrupted');
  } catch (error) {
    const { exitCode, message, details } = failureOf(error);
    const again =
      summary.created + summary.exists > 0 ? { help: 'run it again: what is there already stays as it is' } : {};
    throw new Failure(exitCode, message, { ...again, ...details, done: summary }, error);
  } finally {
    progress.end();
  }
  const left = summary.conflictCount + summary.malformedCount;
  const failure = new Failure(
    exitCodes.failed,
    `${left} of ${summary.lines} lines ${summary.dryRun ? 'are malformed' : 'were not imported'}`,
  );
  return { json: summary, text: summaryText(summary), ...(left === 0 ? {} : { failure }) };
}

async function* batches(lines: AsyncIterable<ImportLine>, summary: Summary): AsyncGenerator<readonly Row[]> {
  let rows: Row[] = [];
  let bytes = 0;
  for await (const parsed of lines) {
    summary.lines += 1;
    const { line } = parsed;
    const fault = 'fault' in parsed ? parsed.fault : checkAccount(parsed.account);
    if ('fault' in parsed || fault !== undefined) {
      addMalformed(summary, line, fault ?? '');
      continue;
    }
    const account = create(ImportedAccountSchema, parsed.account);
    // With the field's tag and length.
    const size = toBinary(ImportedAccountSchema, account).length + 4;
    if (rows.length === largestBatch.accounts || bytes + size > largestBatch.bytes) {
      yield rows;
      rows = [];
      bytes = 0;
    }
    rows.push({ line, account });
    bytes += size;
  }
  if (rows.length > 0) yield rows;
}

function addMalformed(summary: Summary, line: number, message: string): void {
  summary.malformedCount += 1;
  if (summary.malformed.length < mostTold) summary.malformed.push({ line, message });
}

function addConflict(summary: Summary, { line, account }: Row, accountId: string): void {
  summary.conflictCount += 1;
  if (summary.conflicts.length < mostTold) summary.conflicts.push({ line, email: account.email, accountId });
}

/** Sends a batch until it is decided. Of one in which the server finds accounts malformed, the others are sent again. */
async function send(
  client: ServiceClient,
  batch: readonly Row[],
  summary: Summary,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  let rows = batch;
  while (rows.length > 0) {
    const sent = rows;
    const refused = new Map<number, string>();
    try {
      const { results } = await patiently(client, sent, patienceMs, signal);
      for (const [at, { outcome, accountId }] of results.entries()) {
        const row = sent[at];
        if (outcome === ImportOutcome.CREATED) summary.created += 1;
        else if (outcome === ImportOutcome.EXISTS) summary.exists += 1;
        else if (row !== undefined) addConflict(summary, row, accountId);
      }
      return;
    } catch (error) {
      if (!CountersignError.is(error, 'REQUEST_INVALID')) throw error;
      for (const { field, description } of error.violations) {
        const [, at, name] = /^accounts\[(\d+)\]\.?(.*)$/.exec(field) ?? [];
        if (at !== undefined) refused.set(Number(at), `${name === '' ? '' : `${name}: `}${description}`);
      }
      if (refused.size === 0) throw error;
    }
    for (const [at, message] of refused) addMalformed(summary, sent[at]?.line ?? 0, message);
    rows = sent.filter((_, at) => !refused.has(at));
  }
}

/** An answer that was lost is no harm: what was created then exists now. */
async function patiently(
  client: ServiceClient,
  rows: readonly Row[],
  patienceMs: number,
  signal: AbortSignal,
): Promise<BatchImportAccountsResponse> {
  const request = create(BatchImportAccountsRequestSchema, { accounts: rows.map(({ account }) => account) });
  const started = performance.now();
  for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 10_000)) {
    try {
      return await client.accounts.batchImportAccounts(request);
    } catch (error) {
      if (!isUnreachable(error) || signal.aborted) throw error;
      const pauseMs = Math.max(waitMs, error.retryAfter ?? 0);
      if (performance.now() - started + pauseMs > patienceMs) throw error;
      await sleep(pauseMs, signal);
    }
  }
}

/** How far it is, on standard error: over itself on a terminal, else a line every few seconds. */
function createProgress(shown: boolean) {
  const { isTTY } = process.stderr;
  const everyMs = isTTY ? 100 : 5_000;
  let last = Number.NEGATIVE_INFINITY;
  let lines = '';
  return {
    show: ({ dryRun, lines: read, created, exists, conflictCount, malformedCount }: Summary) => {
      if (!shown || performance.now() - last < everyMs) return;
      last = performance.now();
      const done = created + exists + conflictCount + malformedCount;
      lines = dryRun ? `${read} lines` : `${done} lines: ${created} created, ${exists} there already`;
      process.stderr.write(isTTY ? `\r${lines}` : `${lines}\n`);
    },
    end: () => {
      if (isTTY && lines !== '') process.stderr.write(`\r${' '.repeat(lines.length)}\r`);
    },
  };
}

function summaryText(summary: Summary): string {
  const { dryRun, lines, created, exists, conflictCount, malformedCount, conflicts, malformed } = summary;
  const counted = fields({
    lines: String(lines),
    ...(dryRun ? {} : { created: String(created), 'there already': String(exists), conflicts: String(conflictCount) }),
    malformed: String(malformedCount),
  });
  return paragraphs(
    table(
      ['line', 'what is wrong'],
      malformed.map(({ line, message }) => [String(line), message]),
    ),
    table(
      ['line', 'conflict', 'belongs to'],
      conflicts.map(({ line, email, accountId }) => [String(line), email, accountId]),
    ),
    Math.max(conflictCount, malformedCount) > mostTold ? `The first ${mostTold} of each are told.` : '',
    counted,
  );
}
