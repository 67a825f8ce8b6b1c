// The peer that is measured: better-auth with its two-factor plugin, in a process that `Parts.start` began.
// Set up for speed as its documentation allows, but without the cookie cache: each check reads the session's row.
// Passwords are compared as they are: a password hash would cost more than all the rest.

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { twoFactor } from 'better-auth/plugins';
import pg from 'pg';
import { answerParent, benchConfig } from '../support.ts';

const sessionsPerListing = 20;
const secret = 'a secret of the bench, 0123456789abcdef';
const password = 'correct horse';

let statements = 0;
const { query } = pg.Client.prototype;
pg.Client.prototype.query = function (...args) {
  statements += 1;
  return query.apply(this, args);
};

const pool = await ownDatabase(benchConfig(JSON.parse(process.argv[2] ?? '')));
// Longer than any pause between two measurements, so that no request meets a connection that is being closed.
const server = createServer({ keepAliveTimeout: 600_000 }).listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${server.address().port}`;

const auth = betterAuth({
  baseURL: url,
  secret,
  database: pool,
  emailAndPassword: {
    enabled: true,
    password: { hash: async (plain) => plain, verify: async ({ hash, password }) => hash === password },
  },
  plugins: [
    twoFactor({
      // Into the answer's head: the driver reads the code without another request.
      otpOptions: { sendOTP: ({ otp }, context) => context.setHeader('bench-otp', otp) },
    }),
  ],
  session: { cookieCache: { enabled: false } },
  rateLimit: { enabled: false },
  logger: { disabled: true },
  telemetry: { enabled: false },
  experimental: { instrumentation: { enabled: false } },
  advanced: { database: { joins: true } },
});
await (await getMigrations(auth.options)).runMigrations();
const { authCookies, createAuthCookie } = await auth.$context;

const answer = toNodeHandler(auth);
const benchRoutes = {
  '/bench/accounts': createAccounts,
  '/bench/sessions': fillSessions,
  '/bench/statements': counted,
};
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/bench/')) return answer(request, response);
  const { pathname, searchParams } = new URL(request.url, url);
  try {
    response.end(JSON.stringify(await benchRoutes[pathname](Number(searchParams.get('count')))));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

answerParent({ publicUrl: url, internalUrl: url }, async () => {
  server.close();
  server.closeAllConnections();
  await pool.end();
});

/** Beside the database of the server that it is compared with, on the same PostgreSQL, with a pool of the same size. */
async function ownDatabase({ databaseUrl, databasePoolSize }) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('drop database if exists better_auth with (force)');
  await client.query('create database better_auth');
  await client.end();
  const own = new URL(databaseUrl);
  own.pathname = '/better_auth';
  const pool = new pg.Pool({ connectionString: own.href, max: databasePoolSize, idleTimeoutMillis: 0 });
  pool.on('error', () => {});
  return pool;
}

/** `count` accounts that sign in, each on a trusted device, and as many that list their sessions. */
async function createAccounts(count) {
  await createUsers('signer', count);
  await createUsers('lister', count);
  await pool.query(
    `insert into account (id, "accountId", "providerId", "userId", password, "createdAt", "updatedAt")
      select md5('account' || id), id, 'credential', id, $1, now(), now() from "user"`,
    [password],
  );
  await createSessions('signer', 1);
  await createSessions('lister', sessionsPerListing);
  const { rows: trusted } = await pool.query(
    `insert into verification (id, identifier, value, "expiresAt", "createdAt", "updatedAt")
      select md5('trust' || id), 'trust-device-' || md5('device' || id), id, now() + '30 days', now(), now()
      from "user" where name = 'signer' returning identifier, value`,
  );
  const trusts = new Map(
    trusted.map(({ identifier, value }) => [
      value,
      signedCookie(
        createAuthCookie('trust_device').name,
        `${hmac(`${value}!${identifier}`, 'base64url')}!${identifier}`,
      ),
    ]),
  );
  const { rows } = await pool.query(
    `select distinct on (u.id) u.id, u.name, u.email, s.token from "user" u join session s on s."userId" = u.id`,
  );
  const accounts = rows.map(({ id, name, email, token }) => ({
    name,
    email,
    password,
    session: signedCookie(authCookies.sessionToken.name, token),
    trust: trusts.get(id),
  }));
  return {
    signers: accounts.filter(({ name }) => name === 'signer'),
    listers: accounts.filter(({ name }) => name === 'lister'),
    sessionsPerListing,
  };
}

/** Sessions of others, until the table holds `count`. */
async function fillSessions(count) {
  const { rows } = await pool.query('select count(*)::int as n from session');
  const missing = Math.max(0, count - rows[0].n);
  await createUsers('filler', Math.ceil(missing / sessionsPerListing));
  await createSessions('filler', sessionsPerListing);
  await pool.query('vacuum analyze');
  return (await pool.query('select count(*)::int as n from session')).rows[0].n;
}

function counted() {
  return statements;
}

async function createUsers(name, count) {
  await pool.query(
    `insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt", "twoFactorEnabled")
      select md5($1 || n), $1, $1 || '-' || n || '@example.com', true, now(), now(), true
      from generate_series(1, $2::int) n`,
    [name, count],
  );
}

/** The sessions of a user do not lie beside each other, as they would not where they came over months. */
async function createSessions(name, perUser) {
  await pool.query(
    `insert into session (id, token, "userId", "expiresAt", "createdAt", "updatedAt", "ipAddress", "userAgent")
      select md5('session' || id || n), md5('token' || id || n), id, now() + '7 days', now(), now(), '192.0.2.7',
        'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148'
      from generate_series(1, $2::int) n, "user" where name = $1 order by n, id`,
    [name, perUser],
  );
}

function signedCookie(name, value) {
  return `${name}=${encodeURIComponent(`${value}.${hmac(value, 'base64')}`)}`;
}

function hmac(value, encoding) {
  return createHmac('sha256', secret).update(value).digest(encoding);
}
