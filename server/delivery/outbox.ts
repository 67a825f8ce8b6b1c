// The jobs: what a transaction promised is sent here, after its commit, at least once. Derives a code only when its
// message is made; a job names things and holds no secret.

import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobHelpers, parseCronItems, type Runner, run, Logger as WorkerLogger } from 'graphile-worker';
import pg from 'pg';
import { challengeState } from '../domain/challenge.ts';
import { DomainError } from '../domain/errors.ts';
import { maskEmail } from '../domain/mask.ts';
import type { Clock, Codes, Directory } from '../flows/ports.ts';
import type { Logger } from '../platform/log.ts';
import { compose, type Message } from './compose.ts';
import type { Handover, Mailer } from './email.ts';
import { type DeliverPayload, type DeliveryLog, deliverTask, type QueuedDelivery } from './jobs.ts';
import { keepJobsAlive } from './rescue.ts';

export interface OutboxSettings {
  readonly databaseUrl: string;
  /** Jobs that run at once. */
  readonly concurrency: number;
  readonly brandName: string;
}

export interface OutboxDeps {
  readonly clock: Clock;
  readonly codes: Codes;
  readonly directory: Directory;
  readonly deliveries: DeliveryLog;
  readonly mailer: Mailer;
  readonly maintain: () => Promise<void>;
  readonly log: Logger;
}

export interface Outbox {
  /** Finishes what runs and stops taking jobs. */
  stop(): Promise<void>;
}

const maintainTask = 'maintain';
/** A job is tried this often; graphile-worker waits exp(attempt) seconds in between, at most 6 h. */
const mostAttempts = 25;
/** A job waits this long for PostgreSQL before it fails, and is tried again by the rule above. */
const insistMs = 5 * 60_000;

/** Starts the worker, and starts it again whenever the database took it down. */
export function startOutbox(deps: OutboxDeps, settings: OutboxSettings): Outbox {
  const stopped = new AbortController();
  const aborted = new Promise<void>((resolve) => stopped.signal.addEventListener('abort', () => resolve()));
  let runner: Runner | undefined;
  const supervise = async () => {
    while (!stopped.signal.aborted) {
      const pool = new pg.Pool({
        connectionString: settings.databaseUrl,
        max: settings.concurrency + 2,
        connectionTimeoutMillis: 2_000,
        // Its statements take milliseconds. Without a bound, one to a machine that is gone would hold its worker for minutes.
        query_timeout: 5_000,
        keepAlive: true,
        application_name: 'countersign-outbox',
      });
      pool.on('connect', endWhenSilent);
      // A connection that breaks fails its query; here it only must not be thrown.
      pool.on('error', () => {});
      pool.on('connect', (client) => client.on('error', () => {}));
      const events = new EventEmitter();
      const alive = keepJobsAlive(settings.databaseUrl, events, deps.log);
      try {
        runner = await startWorker(deps, settings, pool, events, Promise.race([alive.held, aborted]), stopped.signal);
        if (stopped.signal.aborted) await runner.stop();
        await runner.promise;
      } catch (error) {
        if (!stopped.signal.aborted) deps.log.warn({ err: error }, 'the outbox stopped; it starts again');
      } finally {
        runner = undefined;
        await alive.stop();
        await pool.end().catch(() => {});
      }
      await sleep(1_000, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const running = supervise();
  return {
    stop: async () => {
      stopped.abort();
      await runner?.stop().catch(() => {});
      await running;
    },
  };
}

function startWorker(
  deps: OutboxDeps,
  settings: OutboxSettings,
  pgPool: pg.Pool,
  events: EventEmitter,
  held: Promise<void>,
  stopped: AbortSignal,
): Promise<Runner> {
  return run({
    pgPool,
    events,
    concurrency: settings.concurrency,
    // Jobs are announced; polling is for what was not, and for retries.
    pollInterval: 1_000,
    noHandleSignals: true,
    logger: workerLogger(deps.log),
    preset: {
      // No job is taken before the lock that says who lives: another replica would take it for a dead one's.
      plugins: [{ name: 'lives-first', worker: { hooks: { startWorker: () => held } } }],
      // Without a batch the worker drops the promise of noting a job's end: rejected, it would end the whole process.
      worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 },
    },
    taskList: {
      [deliverTask]: (payload, helpers) => deliver(deps, settings, payload as DeliverPayload, helpers, stopped),
      [maintainTask]: () => deps.maintain(),
    },
    // Once an hour in the whole deployment, whichever replica takes it.
    parsedCronItems: parseCronItems([{ task: maintainTask, match: '17 * * * *', options: { maxAttempts: 5 } }]),
  });
}

async function deliver(
  deps: OutboxDeps,
  settings: OutboxSettings,
  { accountId, deliveryId }: DeliverPayload,
  { job }: JobHelpers,
  stopped: AbortSignal,
): Promise<void> {
  const queued = await insist(() => deps.deliveries.find(accountId, deliveryId), stopped);
  if (queued === undefined || queued.delivery.state !== 'QUEUED') return;
  const note = (state: 'QUEUED' | 'ACCEPTED' | 'FAILED', answer: string) =>
    insist(() => deps.deliveries.note(accountId, deliveryId, state, answer, deps.clock.now()), stopped);

  const letter = await insist(() => write(deps, queued), stopped);
  if (letter.kind === 'none') return note('FAILED', letter.why);
  await insist(() => deps.deliveries.handOver(accountId, deliveryId, deps.clock.now()), stopped);
  const message = compose(letter.message, { locale: queued.delivery.locale, brandName: settings.brandName });
  const handover = withoutSecrets(await deps.mailer.send(letter.to, deliveryId, message), letter);
  const fields = { accountId, deliveryId, outcome: handover.kind, attempt: job.attempts, answer: handover.answer };
  if (handover.kind === 'accepted') deps.log.info(fields, 'mail handed over');
  else deps.log.warn(fields, 'mail not taken');
  switch (handover.kind) {
    case 'accepted':
      return note('ACCEPTED', handover.answer);
    case 'refused':
      return note('FAILED', handover.answer);
    case 'retry':
      if (job.attempts >= Math.min(job.max_attempts, mostAttempts)) return note('FAILED', handover.answer);
      await note('QUEUED', handover.answer);
      // The worker tries again later.
      throw new Error('the mail server could not take it now');
  }
}

/**
 * Tries again while PostgreSQL is away: a mail that was taken and not noted is sent twice, and a job that fails would wait
 * far longer than for its return.
 */
async function insist<T>(work: () => Promise<T>, stopped: AbortSignal): Promise<T> {
  const deadline = performance.now() + insistMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const away = error instanceof DomainError && error.refusal.reason === 'DEPENDENCY_UNAVAILABLE';
      if (!away || stopped.aborted || performance.now() > deadline) throw error;
      await sleep(250, undefined, { signal: stopped }).catch(() => {});
    }
  }
}

/** Mail servers quote what they took or refused: the code, which is never stored, and the address, which is elsewhere. */
function withoutSecrets(handover: Handover, { to, message }: Extract<Letter, { readonly kind: 'letter' }>): Handover {
  const answer = handover.answer.replaceAll(to, maskEmail(to));
  return { ...handover, answer: message.kind === 'code' ? answer.replaceAll(message.code, '…') : answer };
}

type Letter =
  | { readonly kind: 'letter'; readonly to: string; readonly message: Message }
  | { readonly kind: 'none'; readonly why: string };

/** Makes the message now, so that a code exists only on its way. */
async function write(deps: OutboxDeps, { delivery, challenge }: QueuedDelivery): Promise<Letter> {
  const account = await deps.directory.getAccount(delivery.accountId);
  if (account === undefined) return { kind: 'none', why: 'not sent: the account is gone' };
  const now = deps.clock.now();
  if (delivery.kind === 'EMAIL_CHANGED') {
    const to = delivery.address ?? account.email;
    const newEmailMasked = maskEmail(account.email);
    return { kind: 'letter', to, message: { kind: 'emailChanged', newEmailMasked, time: delivery.createTime } };
  }
  if (challenge === undefined || challengeState(challenge, now) !== 'PENDING') {
    return { kind: 'none', why: 'not sent: its challenge was over' };
  }
  const { purpose, device, origin, createTime, expireTime } = challenge;
  return {
    kind: 'letter',
    to: account.email,
    message: {
      kind: 'code',
      purpose,
      code: deps.codes.derive(challenge, delivery.channel),
      device,
      time: createTime,
      place: origin.place,
      ipAddress: origin.ipAddress,
      minutesValid: Math.max(1, Math.round((expireTime.getTime() - now.getTime()) / 60_000)),
    },
  };
}

function workerLogger(log: Logger): WorkerLogger {
  return new WorkerLogger(() => (level, message) => {
    // Job failures are warnings here: they are tried again. What the worker says of its work is for debugging.
    if (level === 'error' || level === 'warning') log.warn({ worker: message }, 'outbox');
    else log.debug({ worker: message }, 'outbox');
  });
}

/** A query that was given up leaves its connection busy, perhaps within a transaction: nobody may get it after that. */
function endWhenSilent(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const watched = (...args: unknown[]) => {
    const result = query(...args);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (error instanceof Error && error.message === 'Query read timeout')
          (client as unknown as pg.Client).end().catch(() => {});
      });
    }
    return result;
  };
  Object.assign(client, { query: watched });
}
