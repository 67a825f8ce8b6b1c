// What the floors answer, and from which rows: the same in each of them, whatever speaks gRPC there.

import { create, type MessageShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import pg from 'pg';
import { IntrospectSessionResponseSchema } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { VerifyCodeResponseSchema } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { benchConfig } from '../support.ts';
import { floorPrefix } from './tables.ts';

type Introspection = MessageShape<typeof IntrospectSessionResponseSchema>;

interface SessionRow {
  readonly account_id: string;
  readonly session_id: string;
  readonly device_id: string;
  readonly amr: readonly string[];
}

export interface Answers {
  readonly fixed: Introspection;
  /** By one look-up of a session by its key. */
  selected(): Promise<Introspection>;
  /** In one transaction of three statements: look up and lock, update, insert. */
  verified(): Promise<MessageShape<typeof VerifyCodeResponseSchema>>;
}

export async function openAnswers(): Promise<Answers> {
  const config = benchConfig(JSON.parse(process.argv[2] ?? ''));
  const size = { max: config.databasePoolSize, min: config.databasePoolSize, idleTimeoutMillis: 0 };
  const pool = new pg.Pool({ connectionString: config.databaseUrl, ...size });
  pool.on('error', () => {});
  const { rows } = await pool.query<SessionRow>(
    `select account_id, session_id, device_id, amr from session where account_id like '${floorPrefix}%'`,
  );
  const { rows: challenges } = await pool.query<{ account_id: string; challenge_id: string }>(
    'select account_id, challenge_id from floor_challenge',
  );
  let turn = 0;
  const inTurn = <T>(of: readonly T[]): T => {
    turn += 1;
    const one = of[turn % of.length];
    if (one === undefined) throw new Error('no rows');
    return one;
  };
  const expireTime = timestampFromDate(new Date());
  const introspectionOf = (row: SessionRow) =>
    create(IntrospectSessionResponseSchema, {
      active: true,
      accountId: row.account_id,
      deviceId: row.device_id,
      sessionId: row.session_id,
      amr: [...row.amr],
      expireTime,
    });
  // As long as the product's own.
  const [accessToken, refreshToken, deviceToken] = ['a'.repeat(430), 'r'.repeat(78), 'd'.repeat(58)];
  return {
    fixed: introspectionOf(inTurn(rows)),
    async selected() {
      const { account_id, session_id } = inTurn(rows);
      const found = await pool.query<SessionRow>({
        name: 'session',
        text: 'select * from session where account_id = $1 and session_id = $2',
        values: [account_id, session_id],
      });
      const [row] = found.rows;
      if (row === undefined) throw new Error('no row');
      return introspectionOf(row);
    },
    async verified() {
      const { account_id, challenge_id } = inTurn(challenges);
      const [sessionId, deviceId] = [crypto.randomUUID(), crypto.randomUUID()];
      const client = await pool.connect();
      try {
        await client.query('begin');
        await client.query({
          name: 'lock',
          text: 'select * from floor_challenge where account_id = $1 and challenge_id = $2 for update',
          values: [account_id, challenge_id],
        });
        await client.query({
          name: 'settle',
          text: `update floor_challenge set state = 'VERIFIED', settle_time = now(), session_id = $3
            where account_id = $1 and challenge_id = $2`,
          values: [account_id, challenge_id, sessionId],
        });
        await client.query({
          name: 'insert',
          text: `insert into floor_session (account_id, session_id, device_id, amr, create_time, last_use_time,
              generation, oldest_generation, family_hash, refresh_hash)
            values ($1, $2, $3, '["pwd", "otp"]', now(), now(), 1, 1, sha256($2::uuid::text::bytea),
              sha256($3::uuid::text::bytea))`,
          values: [account_id, sessionId, deviceId],
        });
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw error;
      } finally {
        client.release();
      }
      return create(VerifyCodeResponseSchema, {
        session: {
          accessToken,
          accessTokenExpireTime: expireTime,
          refreshToken,
          accountId: account_id,
          sessionId,
          deviceId,
          deviceToken,
        },
      });
    },
  };
}
