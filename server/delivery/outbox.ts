// The jobs: what a transaction promised is done here, after its commit, at least once. Push and mail have workers of their own:
// a mail server that hangs holds up no push.

import { type DeliverDeps, deliver, insist } from './deliver.ts';
import { type ChallengeJob, type DeliveryJob, type PasswordResetJob, tasks } from './jobs.ts';
import { startWorker, type Worker } from './worker.ts';

export interface OutboxSettings {
  readonly databaseUrl: string;
  /** Mails, and pushes, that are on their way at once. */
  readonly concurrency: number;
}

export interface OutboxDeps extends DeliverDeps {
  /** See flows/fallback.ts. */
  readonly emailWhereAppFailed: (job: ChallengeJob) => Promise<number | undefined>;
  readonly withdrawNotifications: (job: ChallengeJob) => Promise<number | undefined>;
  /** See flows/passwords.ts. */
  readonly sendPasswordReset: (job: PasswordResetJob) => Promise<void>;
  readonly maintain: () => Promise<void>;
}

/** What mails were called before pushes had jobs of their own: a release before may still write them. */
const formerMailTask = 'deliver';

export function startOutbox(deps: OutboxDeps, { databaseUrl, concurrency }: OutboxSettings): Worker {
  const send = (stopped: AbortSignal) => (payload: unknown) => deliver(deps, payload as DeliveryJob, stopped);
  const workers = [
    startWorker(
      (stopped) => ({
        [tasks.mail]: send(stopped),
        [tasks.newerMail]: send(stopped),
        [formerMailTask]: send(stopped),
        [tasks.passwordReset]: (payload) => insist(() => deps.sendPasswordReset(payload as PasswordResetJob), stopped),
        [tasks.maintain]: () => deps.maintain(),
      }),
      { databaseUrl, concurrency, name: 'mail', hourly: [tasks.maintain] },
      deps.log,
    ),
    startWorker(
      (stopped) => ({
        [tasks.push]: send(stopped),
        [tasks.newerPush]: send(stopped),
        [tasks.fallBack]: (payload) => insist(() => fallBack(deps, payload as ChallengeJob), stopped),
        [tasks.settle]: (payload) => insist(() => withdraw(deps, payload as ChallengeJob), stopped),
      }),
      { databaseUrl, concurrency, name: 'push' },
      deps.log,
    ),
  ];
  return {
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

async function fallBack(deps: OutboxDeps, job: ChallengeJob): Promise<void> {
  const againMs = await deps.emailWhereAppFailed(job);
  // Its time has not come by this machine's clock.
  if (againMs !== undefined) await deps.deliveries.fallBackLater(job, againMs);
}

async function withdraw(deps: OutboxDeps, job: ChallengeJob): Promise<void> {
  const againMs = await deps.withdrawNotifications(job);
  if (againMs !== undefined) await deps.deliveries.settleLater(job, againMs);
}
