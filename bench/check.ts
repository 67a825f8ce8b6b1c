// What checking an access token costs a service: by the SDK, a token seen before and a new one, beside the same question asked
// of the server over gRPC, and beside the floors, a bare SHA-256 and a bare verification of a signature. `npm run bench:check`.

import { createPublicKey, hash, verify } from 'node:crypto';
import pg from 'pg';
import { createServiceClient } from '../clients/service/client.ts';
import { createSessionChecker } from '../clients/service/index.ts';
import { accessTokens, createAccounts } from './accounts.ts';
import { benchConfig, measure, printTable, quantile, serviceToken } from './support.ts';

const rounds = 15;
const seenTokens = 1_000;
const seenCalls = 100_000;
const newCalls = 960;
const questions = 500;
const sha256 = 'bare SHA-256 of the token';
const ed25519 = 'bare Ed25519 verification';

interface Contestant {
  readonly name: string;
  /** The contestant that it is compared with in each round. */
  readonly floor?: string;
  readonly calls: number;
  /** Takes its turn. */
  readonly turn: () => Promise<Taken>;
  readonly taken: Taken[];
}

/** Nanoseconds a call: by the clock, and of this process's CPU, which a machine that does more besides moves less. */
interface Taken {
  readonly wall: number;
  readonly cpu: number;
}

const contestant = (about: Pick<Contestant, 'name' | 'calls' | 'floor'>, turn: Contestant['turn']): Contestant => ({
  ...about,
  turn,
  taken: [],
});

await measure(230_000, async (parts) => {
  const server = await parts.start('server-process.ts');
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 1 });
  const devices = await createAccounts(database, { prefix: 'check', accounts: 100, devicesEach: 1, hash: 'plain' });
  await database.end();
  const { tokenIssuer: issuer, tokenAudience: audience } = benchConfig(parts);
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

  const [signingKey] = (await sessions.getSigningKeys({})).signingKeys;
  const x = Buffer.from(signingKey?.publicKey ?? []).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const signed = seen.map((token) => {
    const end = token.lastIndexOf('.');
    return [Buffer.from(token.slice(0, end)), Buffer.from(token.slice(end + 1), 'base64url')] as const;
  });
  const [first = [Buffer.alloc(0), Buffer.alloc(0)] as const] = signed;

  const contestants: readonly Contestant[] = [
    contestant({ name: sha256, calls: seenCalls }, async () =>
      taken(seenCalls, (index) => hash('sha256', take(seen, index), 'binary')),
    ),
    contestant({ name: 'check, token seen before', calls: seenCalls, floor: sha256 }, async () => {
      for (const token of seen) await checker.check(token);
      return takenAwaited(seenCalls, (index) => checker.check(take(seen, index)));
    }),
    contestant({ name: ed25519, calls: newCalls }, async () =>
      taken(newCalls, (index) => {
        const [text, signature] = signed[index % signed.length] ?? first;
        if (!verify(null, text, key, signature)) throw new Error('not genuine');
      }),
    ),
    contestant({ name: 'check, new token', calls: newCalls, floor: ed25519 }, async () => {
      const tokens = await newTokens(newCalls);
      return takenAwaited(newCalls, (index) => checker.check(take(tokens, index)));
    }),
    contestant({ name: 'check, new tokens, 32 at once', calls: newCalls, floor: ed25519 }, async () => {
      const tokens = await newTokens(newCalls);
      return takenAwaited(
        newCalls,
        (index) => Promise.all(tokens.slice(index * 32, (index + 1) * 32).map((token) => checker.check(token))),
        32,
      );
    }),
    contestant({ name: 'IntrospectSession over gRPC on loopback', calls: questions }, () =>
      takenAwaited(questions, async (index) => {
        const accessToken = devices[index % devices.length]?.accessToken ?? '';
        if (!(await sessions.introspectSession({ accessToken })).active) throw new Error('not active');
      }),
    ),
  ];
  // In turns, and each of them first in another round; what the first round measures is how the machine warms up.
  for (let round = 0; round <= rounds; round++) {
    for (let place = 0; place < contestants.length; place++) {
      const one = contestants[(place + round) % contestants.length];
      const taken = await one?.turn();
      if (round > 0 && taken !== undefined) one?.taken.push(taken);
    }
  }
  await server.stop();

  const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
  const timesTheFloor = ({ taken, floor }: Contestant) => {
    const below = contestants.find(({ name }) => name === floor)?.taken;
    if (below === undefined) return '';
    const ratios = taken.map(({ cpu }, round) => cpu / (below[round]?.cpu ?? cpu));
    return quantile(ratios, 0.5).toFixed(1);
  };
  printTable([
    [`ns a call, of ${rounds} rounds`, 'calls a round', 'median', 'from', 'to', 'CPU, median', 'times the floor'],
    ...contestants.map((one) => {
      const walls = one.taken.map(({ wall }) => wall);
      const cpus = one.taken.map(({ cpu }) => cpu);
      const values = [quantile(walls, 0.5), Math.min(...walls), Math.max(...walls), quantile(cpus, 0.5)];
      return [one.name, ...[one.calls, ...values].map((value) => numbers.format(value)), timesTheFloor(one)];
    }),
  ]);
  process.stdout.write('CPU is of the process that asks alone; times the floor is by CPU, the median of the rounds.\n');
  return true;
});

function begin(): (calls: number) => Taken {
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  return (calls) => {
    const { user, system } = process.cpuUsage(cpu);
    return { wall: Number(process.hrtime.bigint() - wall) / calls, cpu: ((user + system) * 1_000) / calls };
  };
}

function taken(calls: number, call: (index: number) => unknown): Taken {
  const end = begin();
  for (let index = 0; index < calls; index++) call(index);
  return end(calls);
}

/** @param atOnce how many calls one `call` makes. */
async function takenAwaited(calls: number, call: (index: number) => Promise<unknown>, atOnce = 1): Promise<Taken> {
  const end = begin();
  for (let index = 0; index < calls / atOnce; index++) await call(index);
  return end(calls);
}
