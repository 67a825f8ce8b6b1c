// ListLoginActivity, a page of an account among many.

import { createAccounts } from '../accounts.ts';
import { contest, flowWarmUpMs } from '../contest.ts';
import { activityFrame, eventsOf, paths, requireFirstField, signedIn } from '../requests.ts';
import { atLeast, type Scenario, standingsTable } from '../scenario.ts';

const eventAccounts = 50_000;
const eventsEach = 20;
const events = eventAccounts * eventsEach;
/** Those of the accounts whose owners look. */
const readers = 800;
const prefix = 'activity-';
const device = { displayName: 'My iPhone', model: 'iPhone 17', platform: 'IOS', osVersion: '19.1', appVersion: '2.3' };
const place = {
  city: 'Boxford',
  region: 'England',
  country: 'United Kingdom',
  countryCode: 'GB',
  latitude: 51.75,
  longitude: -1.25,
  source: 'DBIP-City-Lite 2026-06-05',
};
const origin = { ipAddress: '81.2.69.7', place, connectionType: null };

export const activity: Scenario = {
  name: 'activity',
  title: `ListLoginActivity, ${eventsEach} events of ${events / 1_000_000} million, 32 at once`,
  /** Over the last weeks, as time went: an account's events do not lie beside each other. */
  async load({ contestants, database }) {
    // The tables are the product's.
    await contestants.product();
    const peer = await contestants.peer();
    const begin = performance.now();
    for (let day = eventsEach; day > 0; day--) {
      await database.query(
        `insert into login_event (account_id, event_id, kind, device, device_id, session_id, challenge_id, channel, origin,
            unusual, reported)
          select $1 || 1 + (n::bigint * 7919) % $2, uuidv7(interval '-1 day' * $3::int), 'SIGNED_IN_TRUSTED_DEVICE',
            $4::jsonb, gen_random_uuid(), gen_random_uuid(), null, null, $5::jsonb, '[]', false
          from generate_series(1, $2::int) n`,
        [prefix, eventAccounts, day, JSON.stringify(device), JSON.stringify(origin)],
      );
    }
    await database.query('vacuum analyze login_event');
    const loaded = performance.now();
    await peer?.loadSessions(events);
    const seconds = [loaded - begin, performance.now() - loaded].map((ms) => (ms / 1_000).toFixed(0));
    return `${events} login events (${seconds[0]} s), and as many sessions at better-auth (${seconds[1]} s)`;
  },
  async run({ contestants, database, options }) {
    const product = await contestants.product();
    const peer = await contestants.peer();
    const devices = await createAccounts(database, { prefix, accounts: readers, devicesEach: 1, hash: 'plain' });
    const frame = activityFrame(eventsEach);
    const headers = devices.map(signedIn);
    const [one = {}] = headers;
    const found = eventsOf(await product.public.call(paths.activity, one, frame));
    if (found !== eventsEach) throw new Error(`${found} events instead of ${eventsEach}`);
    const requireEvents = requireFirstField(1, 2);
    let turn = 0;
    const list = () => {
      turn += 1;
      return product.public.call(paths.activity, headers[turn % headers.length] ?? one, frame).then(requireEvents);
    };
    const standings = await contest(
      [
        { name: 'Countersign', cpuMs: product.cpuMs, call: list },
        ...(peer === undefined
          ? []
          : [{ name: 'better-auth, list-sessions', cpuMs: peer.cpuMs, call: () => peer.listSessions() }]),
      ],
      { ...options, firstWarmUpMs: flowWarmUpMs, workers: 32 },
    );
    return {
      tables: [standingsTable(activity.title, standings)],
      targets: atLeast(5, standings, 'Countersign', 'better-auth, list-sessions'),
      notes: [
        `The events are those of ${eventAccounts} accounts, ${eventsEach} each, over ${eventsEach} days. better-auth has no ` +
          'login activity: it lists the 20 sessions of a user, of as many in its table.',
      ],
    };
  },
};
