// What checking an access token costs a service: by the SDK, a token seen before and a new one, beside the same question asked
// of the server over gRPC, and beside the floors, a bare SHA-256 and a bare verification of a signature. `npm run bench:check`.

import { createPublicKey, hash, verify } from 'node:crypto';
import pg from 'pg';
import { createServiceClient } from '../clients/service/client.ts';
import { createSessionChecker } from '../clients/service/index.ts';
import { createAccessTokens } from '../server/platform/keys.ts';
import { accessTokens, createAccounts } from './accounts.ts';
import { benchConfig, measure, printTable, quantile, serviceToken } from './support.ts';

const rounds = 15;
const seenTokens = 1_000;
const seenCalls = 100_000;
const newCalls = 960;
const questions = 500;

interface Contestant {
  readonly name: string;
  readonly calls: number;
  /** Takes its turn: nanoseconds a call. */
  readonly turn: () => Promise<number>;
  readonly times: number[];
}

await measure(230_000, async (parts) => {
  const server = await parts.start('server-process.ts');
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 1 });
  const devices = await createAccounts(database, { prefix: 'check', accounts: 100, devicesEach: 1, hash: 'plain' });
  await database.end();
  const { signingKeys, tokenIssuer: issuer, tokenAudience: audience } = benchConfig(parts);
  const common = { baseUrl: server.internalUrl, serviceToken };
  await using checker = createSessionChecker({ ...common, issuer, audience, rememberedTokens: 4 * seenTokens });
  await checker.ready(30_000);
  const { sessions } = createServiceClient(common);

  const signer = accessTokens();
  let made = 0;
  const newTokens = async (count: number) => {
    const tokens: string[] = [];
    while (tokens.length < count) {
      const device = devices[made % devices.length];
      made += 1;
      // Good for as many seconds longer as there were before, and so another token.
      if (device !== undefined) tokens.push(await signer.sign(device, made));
    }
    return tokens;
  };
  const seen = await newTokens(seenTokens);
  const take = (tokens: readonly string[], index: number) => tokens[index % tokens.length] ?? '';

  const [publicKey] = createAccessTokens(signingKeys, issuer, audience).publicKeys();
  const x = Buffer.from(publicKey?.publicKey ?? []).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const signed = seen.map((token) => {
    const end = token.lastIndexOf('.');
    return [Buffer.from(token.slice(0, end)), Buffer.from(token.slice(end + 1), 'base64url')] as const;
  });
  const [first = [Buffer.alloc(0), Buffer.alloc(0)] as const] = signed;

  const contestants: readonly Contestant[] = [
    contestant('bare SHA-256 of the token', seenCalls, async () =>
      nsOf(seenCalls, (index) => hash('sha256', take(seen, index), 'binary')),
    ),
    contestant('check, token seen before', seenCalls, async () => {
      for (const token of seen) await checker.check(token);
      return nsOfAwaited(seenCalls, (index) => checker.check(take(seen, index)));
    }),
    contestant('bare Ed25519 verification', newCalls, async () =>
      nsOf(newCalls, (index) => {
        const [text, signature] = signed[index % signed.length] ?? first;
        if (!verify(null, text, key, signature)) throw new Error('not genuine');
      }),
    ),
    contestant('check, new token', newCalls, async () => {
      const tokens = await newTokens(newCalls);
      return nsOfAwaited(newCalls, (index) => checker.check(take(tokens, index)));
    }),
    contestant('check, new tokens, 32 at once', newCalls, async () => {
      const tokens = await newTokens(newCalls);
      return nsOfAwaited(newCalls / 32, (index) =>
        Promise.all(tokens.slice(index * 32, (index + 1) * 32).map((token) => checker.check(token))),
      ).then((ns) => ns / 32);
    }),
    contestant('IntrospectSession over gRPC on loopback', questions, () =>
      nsOfAwaited(questions, async (index) => {
        const accessToken = devices[index % devices.length]?.accessToken ?? '';
        if (!(await sessions.introspectSession({ accessToken })).active) throw new Error('not active');
      }),
    ),
  ];
  // In turns, and each of them first in another round; what the first round measures is how the machine warms up.
  for (let round = 0; round <= rounds; round++) {
    for (let place = 0; place < contestants.length; place++) {
      const one = contestants[(place + round) % contestants.length];
      const ns = await one?.turn();
      if (round > 0 && ns !== undefined) one?.times.push(ns);
    }
  }
  await server.stop();

  const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
  printTable([
    [`ns a call, of ${rounds} rounds`, 'calls a round', 'median', 'from', 'to'],
    ...contestants.map(({ name, calls, times }) => [
      name,
      numbers.format(calls),
      ...[quantile(times, 0.5), Math.min(...times), Math.max(...times)].map((ns) => numbers.format(ns)),
    ]),
  ]);
  return true;
});

function contestant(name: string, calls: number, turn: () => Promise<number>): Contestant {
  return { name, calls, turn, times: [] };
}

function nsOf(calls: number, call: (index: number) => unknown): number {
  const begin = process.hrtime.bigint();
  for (let index = 0; index < calls; index++) call(index);
  return Number(process.hrtime.bigint() - begin) / calls;
}

async function nsOfAwaited(calls: number, call: (index: number) => Promise<unknown>): Promise<number> {
  const begin = process.hrtime.bigint();
  for (let index = 0; index < calls; index++) await call(index);
  return Number(process.hrtime.bigint() - begin) / calls;
}
