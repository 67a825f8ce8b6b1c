// How soon a code is at the push service: from the commit of the sign-in that decided it to its arrival there, beside a bare
// HTTP/2 request to the same service, in turns.

import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { importPKCS8, SignJWT } from 'jose';
import pg from 'pg';
import { type ApnsServer, startApnsServer } from '../../test/support/apns-server.ts';
import { createAccounts } from '../accounts.ts';
import { connectGrpc } from '../load.ts';
import { challengeOf, from, paths, signInFrame } from '../requests.ts';
import type { Scenario } from '../scenario.ts';
import { quantile } from '../support.ts';

const codes = 300;
const warmUp = 20;
/** What is noted of a push is not part of the next. */
const pauseMs = 25;
const mostTimes = 5;
const topic = 'com.example.bench';

export const push: Scenario = {
  name: 'push',
  title: 'From the commit to the push service',
  async run({ parts, database: common }) {
    // Of its own: the other servers would take the jobs, and have no push service.
    await common.query('create database push');
    const databaseUrl = Object.assign(new URL(parts.databaseUrl), { pathname: '/push' }).href;
    const database = new pg.Pool({ connectionString: databaseUrl, max: 2 });
    const apns = await startApnsServer();
    const { host, port, keyPem, keyId, teamId, caPem } = apns;
    const endpoint = { host, port };
    const server = await parts.start('server-process.ts', {
      databaseUrl,
      apns: { key: keyPem, keyId, teamId, ca: caPem, production: endpoint, sandbox: endpoint },
    });
    const client = connectGrpc(server.publicUrl);
    const bare = await connectBare(apns);
    const owners = await createAccounts(database, {
      prefix: 'push-',
      accounts: warmUp + codes,
      devicesEach: 1,
      hash: 'plain',
    });
    const tokenOf = (index: number) => index.toString(16).padStart(64, '0');
    await database.query(
      `insert into push_registration (account_id, device_id, service, token, token_hash, topic, environment, update_time)
       select account_id, device_id, 'APNS', token, sha256(token::bytea), $1, 'PRODUCTION', now()
       from unnest($2::text[], $3::uuid[], $4::text[]) as r (account_id, device_id, token)`,
      [
        topic,
        owners.map(({ accountId }) => accountId),
        owners.map(({ deviceId }) => deviceId),
        owners.map((_, index) => tokenOf(index)),
      ],
    );
    const toWallClock = Date.now() - performance.now();
    const fromCommit: number[] = [];
    const fromCall: number[] = [];
    const bareMs: number[] = [];
    for (const [index, owner] of owners.entries()) {
      const token = tokenOf(index);
      const called = performance.now();
      const [answer, [arrived]] = await Promise.all([
        client.call(paths.signIn, from(owner), signInFrame(owner.email)),
        apns.waitFor(token),
      ]);
      const { rows } = await database.query<{ committed: number }>(
        `select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as committed from delivery
          where account_id = $1 and challenge_id = $2 and push_service is null`,
        [owner.accountId, challengeOf(answer).challengeId],
      );
      const at = arrived?.at ?? Number.NaN;
      const direct = await bare.post(`b${token.slice(1)}`);
      if (index >= warmUp) {
        fromCommit.push(at + toWallClock - (rows[0]?.committed ?? Number.NaN));
        fromCall.push(at - called);
        bareMs.push(direct);
      }
      await sleep(pauseMs);
    }
    bare.close();
    client.close();
    await server.stop();
    await apns.stop();
    await database.end();
    const row = (what: string, values: readonly number[]) => [
      what,
      String(values.length),
      ...[0.5, 0.9, 0.99].map((share) => quantile(values, share).toFixed(2)),
    ];
    const times = quantile(fromCommit, 0.99) / quantile(bareMs, 0.99);
    return {
      tables: [
        {
          title: push.title,
          rows: [
            ['ms', 'codes', 'median', 'p90', 'p99'],
            row("from the sign-in's commit", fromCommit),
            row('from the call of SignIn', fromCall),
            row('bare HTTP/2 post', bareMs),
          ],
        },
      ],
      targets: [
        {
          what: 'p99 from the commit to the push service / of a bare HTTP/2 post',
          wanted: `≤ ${mostTimes}`,
          measured: times.toFixed(1),
          reached: times <= mostTimes,
        },
      ],
      notes: [
        'Both arrive when the push service has read all of it. One after the other, on connections that are open.',
      ],
    };
  },
};

/** The same request as the product's, by hand. */
async function connectBare(apns: ApnsServer) {
  const session = connect(`https://${apns.host}:${apns.port}`, { ca: apns.caPem });
  const key = await importPKCS8(apns.keyPem, 'ES256');
  const jwt = await new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: apns.keyId })
    .setIssuer(apns.teamId)
    .setIssuedAt()
    .sign(key);
  const body = JSON.stringify({ aps: { alert: { title: 'Your sign-in code', body: '123456 · Bench in Berlin, DE' } } });
  return {
    /** Milliseconds until it has arrived. */
    post: async (token: string) => {
      const began = performance.now();
      const stream = session.request({
        ':method': 'POST',
        ':path': `/3/device/${token}`,
        authorization: `bearer ${jwt}`,
        'apns-topic': topic,
        'apns-push-type': 'alert',
      });
      stream.end(body);
      stream.resume();
      const [arrived] = await apns.waitFor(token);
      return (arrived?.at ?? Number.NaN) - began;
    },
    close: () => session.close(),
  };
}
