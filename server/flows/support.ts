// What the support desk is told: a challenge from its opening to its end, and how an account stands. Reads only.

import { admitVerification } from '../domain/account.ts';
import {
  appAudience,
  type Challenge,
  type ChallengeState,
  type Channel,
  type Delivery as ChannelDelivery,
  challengeState,
  chooseDefaultChannel,
  viewChallenge,
} from '../domain/challenge.ts';
import { type Route, routeOf } from '../domain/delivery.ts';
import { DomainError } from '../domain/errors.ts';
import { maskEmail } from '../domain/mask.ts';
import { explain, messageDelivery, type TracedDelivery, type TraceEvent, traceEvents } from '../domain/trace.ts';
import { isTrusted } from '../domain/trust.ts';
import type { AccountName } from './accounts.ts';
import type { Deps } from './context.ts';
import type { DirectoryAccount } from './ports.ts';
import type { SupportDevice } from './store-ports.ts';

export interface TracedMessage extends TracedDelivery {
  readonly route: Route;
  /** The masked address, or the device; '' for open apps. */
  readonly destination: string;
  readonly delivery: ChannelDelivery;
  readonly explanation: string;
}

export interface ChallengeTrace {
  readonly accountId: string;
  readonly maskedEmail: string;
  readonly challenge: Challenge;
  readonly state: ChallengeState;
  readonly messages: readonly TracedMessage[];
  readonly events: readonly TraceEvent[];
}

export async function traceChallenge(
  deps: Deps,
  name: AccountName,
  challengeId: string | undefined,
): Promise<ChallengeTrace> {
  const directory = await accountOf(deps, name);
  const { accountId } = directory;
  const now = deps.clock.now();
  const found = await deps.store.traceChallenge(accountId, challengeId);
  if (found === undefined) throw new DomainError({ reason: 'CHALLENGE_UNKNOWN' });
  const { challenge, deliveries, wrongCodeTimes, devices } = found;
  const names = new Map(devices.map(({ deviceId, displayName, model }) => [deviceId, nameOf(displayName, model)]));
  const own = deliveries.filter((delivery): delivery is typeof delivery & TracedDelivery => isOfCode(delivery.kind));
  const until = challenge.settleTime ?? now;
  const messages = own.map((delivery) => ({
    ...delivery,
    route: routeOf(delivery),
    destination:
      delivery.channel === 'EMAIL'
        ? challenge.maskedEmail
        : delivery.deviceId === null
          ? ''
          : (names.get(delivery.deviceId) ?? 'a device that is gone'),
    delivery: messageDelivery(delivery, deps.limits, until),
    explanation: explain(delivery, deps.limits, until),
  }));
  return {
    accountId,
    maskedEmail: maskEmail(directory.email),
    challenge,
    state: challengeState(challenge, now),
    messages,
    events: traceEvents(challenge, own, wrongCodeTimes, now),
  };
}

const isOfCode = (kind: string) => kind === 'CODE' || kind === 'CODE_SETTLED';

const nameOf = (displayName: string, model: string) =>
  displayName === model || model === '' ? displayName : `${displayName} (${model})`;

export interface SecurityDevice extends SupportDevice {
  readonly trusted: boolean;
}

export interface ChallengeSummary {
  readonly challenge: Challenge;
  readonly state: ChallengeState;
  readonly deliveries: Readonly<Record<Channel, ChannelDelivery>>;
}

export interface AccountSecurity {
  readonly accountId: string;
  readonly maskedEmail: string;
  readonly locale: string;
  readonly twoStepEnabled: boolean;
  readonly passwordChangeRequired: boolean;
  readonly verificationLocked: boolean;
  readonly wrongCodes: number;
  readonly defaultChannel: Channel;
  /** Whether a code may go by e-mail. */
  readonly emailOpen: boolean;
  readonly devices: readonly SecurityDevice[];
  readonly recentChallenges: readonly ChallengeSummary[];
}

export async function getAccountSecurity(deps: Deps, name: AccountName): Promise<AccountSecurity> {
  const directory = await accountOf(deps, name);
  const { accountId, locale } = directory;
  const now = deps.clock.now();
  const [account, showing, emailOpen, found] = await Promise.all([
    deps.store.findAccount(accountId),
    deps.store.appDevices(accountId, now),
    deps.store.emailOpen(accountId),
    deps.store.accountSecurity(accountId),
  ]);
  if (account === undefined) throw new DomainError({ reason: 'ACCOUNT_UNKNOWN' });
  return {
    accountId,
    maskedEmail: maskEmail(directory.email),
    locale,
    twoStepEnabled: account.twoStepEnabled,
    passwordChangeRequired: account.passwordChangeRequired,
    verificationLocked: admitVerification(account, deps.limits, now).kind === 'locked',
    wrongCodes: account.wrongCodes,
    defaultChannel: chooseDefaultChannel({ audience: showing, emailOpen }),
    emailOpen,
    devices: found.devices.map((each) => ({ ...each, trusted: isTrusted(each.device, deps.limits, now) })),
    recentChallenges: found.challenges.map(({ challenge, codeSends }) => {
      const around = { codeSends, audience: appAudience(showing, challenge.deviceId), emailOpen };
      const view = viewChallenge(challenge, around, deps.limits, now);
      const by = (channel: Channel) => view.channels.find((each) => each.channel === channel)?.delivery ?? 'NOT_SENT';
      return { challenge, state: view.state, deliveries: { APP: by('APP'), EMAIL: by('EMAIL') } };
    }),
  };
}

async function accountOf(deps: Deps, name: AccountName): Promise<DirectoryAccount> {
  const account = await ('email' in name
    ? deps.directory.lookUpAccount(name.email)
    : deps.directory.getAccount(name.accountId));
  if (account === undefined) throw new DomainError({ reason: 'ACCOUNT_UNKNOWN' });
  return account;
}
