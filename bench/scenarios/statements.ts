// How many SQL statements each flow takes, and how often it waits for PostgreSQL: one flow after the other, nothing timed.

import { startStatementProxy } from '../../test/support/statement-proxy.ts';
import { createAccounts, type SignedInDevice } from '../accounts.ts';
import type { RunningPeer } from '../contestants.ts';
import { connectGrpc } from '../load.ts';
import {
  activityFrame,
  challengeOf,
  codeOf,
  from,
  introspectFrame,
  paths,
  refreshFrame,
  serviceHeaders,
  signedIn,
  signInFrame,
  verifyFrame,
} from '../requests.ts';
import type { Scenario } from '../scenario.ts';

const runs = 20;

export const statements: Scenario = {
  name: 'statements',
  title: 'SQL statements a flow',
  async run({ parts, database, contestants }) {
    await contestants.product();
    const peer = await contestants.peer();
    const devices = await createAccounts(database, {
      prefix: 'statements-',
      accounts: runs,
      devicesEach: 1,
      hash: 'plain',
      watched: true,
    });
    const proxy = await startStatementProxy(parts.databaseUrl, 'countersign');
    const server = await parts.start('server-process.ts', { databaseUrl: proxy.url });
    const [app, internal] = [connectGrpc(server.publicUrl, 1), connectGrpc(server.internalUrl, 1)];
    const challenges = new Map<string, ReturnType<typeof challengeOf>>();
    const introspect = ({ accessToken }: SignedInDevice) =>
      internal.call(paths.introspect, serviceHeaders, introspectFrame(accessToken));
    /** In this order: a sign-in on the trusted device ends the session that it had. */
    const flows: readonly (readonly [
      string,
      (device: SignedInDevice) => Promise<unknown>,
      keyof RunningPeer | undefined,
    ])[] = [
      ['IntrospectSession, token never seen', introspect, undefined],
      ['IntrospectSession, token seen before', introspect, 'sessionCheck'],
      ['ListLoginActivity', (device) => app.call(paths.activity, signedIn(device), activityFrame(20)), 'listSessions'],
      [
        'RefreshSession',
        ({ refreshToken, ipAddress }) => app.call(paths.refresh, from({ ipAddress }), refreshFrame(refreshToken)),
        undefined,
      ],
      [
        'SignIn on a new device, code in the app',
        async (device) => {
          const answer = await app.call(paths.signIn, from(device), signInFrame(device.email));
          challenges.set(device.accountId, challengeOf(answer));
        },
        undefined,
      ],
      [
        'VerifyCode',
        (device) => {
          const challenge = challenges.get(device.accountId);
          if (challenge === undefined) throw new Error('no challenge');
          return app.call(paths.verifyCode, from(device), verifyFrame(challenge.challengeToken, codeOf(challenge)));
        },
        'newDeviceSignIn',
      ],
      [
        'SignIn on a trusted device',
        (device) => app.call(paths.signIn, from(device), signInFrame(device.email, device.deviceToken)),
        'trustedSignIn',
      ],
    ];
    const rows: string[][] = [];
    for (const [what, flow, ofPeer] of flows) {
      const before = { ...proxy.count };
      for (const device of devices) await flow(device);
      const mean = (of: 'statements' | 'trips') => ((proxy.count[of] - before[of]) / runs).toFixed(1);
      rows.push([
        what,
        mean('statements'),
        mean('trips'),
        ofPeer === undefined ? '' : await statementsOf(peer, ofPeer),
      ]);
    }
    app.close();
    internal.close();
    await server.stop();
    proxy.close();
    return {
      tables: [
        { title: statements.title, rows: [['', 'statements', 'round trips', "better-auth's statements"], ...rows] },
      ],
      targets: [],
      notes: [
        `The mean of ${runs} runs, begin and commit counted, read off the wire. What a server does by itself every few seconds ` +
          "is in it, and makes it a tenth too much at most. Beside VerifyCode stands better-auth's whole sign-in on a new device.",
      ],
    };
  },
};

async function statementsOf(peer: RunningPeer | undefined, flow: keyof RunningPeer): Promise<string> {
  const run = peer?.[flow] as (() => Promise<unknown>) | undefined;
  if (peer === undefined || run === undefined) return '-';
  const before = await peer.statements();
  for (let count = 0; count < runs; count++) await run();
  return (((await peer.statements()) - before) / runs).toFixed(1);
}
