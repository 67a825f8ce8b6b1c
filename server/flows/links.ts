// The links in e-mails where "it wasn't me" is said, to a challenge or to an entry of the login activity. Looking at one changes
// nothing; using it does, once.

import type { DeviceDescription } from '../domain/device.ts';
import { type LoginEvent, timeOfUuid } from '../domain/login-event.ts';
import type { Place } from '../domain/place.ts';
import { type Deps, unlessAway } from './context.ts';
import { denyOnce } from './denial.ts';
import type { LinkOutcome } from './intruders.ts';
import type { WasNotMe } from './ports.ts';
import { reportOnce } from './report.ts';

/** How long a link works. Long enough for a mailbox that is read once a week. */
const lifetimeMs = 7 * 24 * 3_600_000;

/** The secret of a link that says "it wasn't me" to a challenge or an event, good from now on for 7 days. */
export function signWasNotMe(deps: Deps, accountId: string, may: WasNotMe): string {
  const now = deps.clock.now();
  return deps.links.sign({ accountId, may, expireTime: new Date(now.getTime() + lifetimeMs) }, now);
}

/** What the page behind a link shows before it asks: `over` where it was used, or said in the app. */
export type LinkView =
  | {
      readonly kind: 'ask';
      readonly about: 'challenge' | 'event';
      readonly device: DeviceDescription | null;
      readonly time: Date;
      readonly place: Place | null;
      /** BCP 47; undefined where the account is gone, or out of reach. */
      readonly locale: string | undefined;
    }
  | { readonly kind: 'over' }
  | { readonly kind: 'invalid' };

export async function lookAtLink(deps: Deps, token: string): Promise<LinkView> {
  const link = deps.links.read(token, deps.clock.now());
  if (link?.may.kind === 'deny') {
    const challenge = await deps.store.findChallenge(link.accountId, link.may.challengeId);
    if (challenge === undefined) return { kind: 'invalid' };
    const { denyTime, device, createTime: time, origin, locale } = challenge;
    return denyTime === null
      ? { kind: 'ask', about: 'challenge', device, time, place: origin.place, locale }
      : { kind: 'over' };
  }
  if (link?.may.kind === 'report') {
    const event = await deps.store.findEvent(link.accountId, link.may.eventId);
    if (event === undefined) return { kind: 'invalid' };
    return event.reported ? { kind: 'over' } : askAbout(event, await localeOf(deps, link.accountId));
  }
  return { kind: 'invalid' };
}

function askAbout({ device, eventId, origin }: LoginEvent, locale: string | undefined): LinkView {
  return { kind: 'ask', about: 'event', device, time: timeOfUuid(eventId), place: origin.place, locale };
}

/** Unknown where accounts live elsewhere and are out of reach: "it wasn't me" must not wait for that. */
async function localeOf(deps: Deps, accountId: string): Promise<string | undefined> {
  return (await unlessAway(deps.directory.getAccount(accountId)))?.locale;
}

/** Says what the link says. Whatever it names is done once, also where it was said in the app before. */
export async function useLink(
  deps: Deps,
  token: string,
): Promise<LinkOutcome & { readonly accountId?: string; readonly locale?: string | undefined }> {
  const link = deps.links.read(token, deps.clock.now());
  if (link === undefined || link.may.kind === 'reset') return { kind: 'invalid' };
  const { accountId, may } = link;
  const outcome = await (may.kind === 'deny'
    ? denyOnce(deps, accountId, may.challengeId)
    : reportOnce(deps, accountId, may.eventId));
  return outcome.kind === 'done' ? { ...outcome, accountId, locale: await localeOf(deps, accountId) } : outcome;
}
