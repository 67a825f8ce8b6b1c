// What anything at all gets, on the running server, to every RPC.

import type { DescMessage } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { goodRequest, goodValue, isStream, nobody, type Rpc, rpcs } from '../support/contract.ts';
import { call, challengeOfNewAccount, expectNothingInside, expectTyped, useServer } from '../support/plain-calls.ts';

useServer();

test('random bytes and random JSON get an answer in time, never an internal error, and the server serves on', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 50 }),
    fc.string({ unit: 'grapheme', maxLength: 50 }),
    fc.constantFrom('\0', ' ', '\u202e', 'a'.repeat(5_000), '1'.repeat(400), nobody, '{}', '%00', "'--", '٣'),
  );
  const anything = fc.oneof(text, fc.jsonValue({ stringUnit: 'binary' }), fc.integer(), fc.double(), fc.boolean());
  const shaped = (message: DescMessage, depth = 0): fc.Arbitrary<object> =>
    fc.record(
      Object.fromEntries(
        message.fields.map((field) => [
          field.jsonName,
          fc.oneof(
            { weight: 3, arbitrary: fc.constant(goodValue(field) ?? '') },
            field.fieldKind === 'message' && depth < 3 ? shaped(field.message, depth + 1) : anything,
            field.fieldKind === 'enum' ? fc.integer({ min: -2, max: 9 }) : text,
          ),
        ]),
      ),
      { requiredKeys: [] },
    );
  const bytes = fc.uint8Array({ maxLength: 300 });
  /** A good message, cut or with some bytes replaced. */
  const damaged = ({ method }: Rpc) =>
    fc.tuple(fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 })).map(([cut, changes]) => {
      const good = Buffer.from(JSON.stringify(goodRequest(method.input)));
      for (const [at, byte] of changes) good[at % good.length] = byte;
      return Uint8Array.from(good.subarray(0, good.length - (cut % 5)));
    });
  const attempt = fc.constantFrom(...rpcs).chain((rpc) =>
    fc.record({
      rpc: fc.constant(rpc),
      body: fc.oneof(
        { weight: 4, arbitrary: shaped(rpc.method.input).map((json) => Buffer.from(JSON.stringify(json))) },
        damaged(rpc),
        fc.json({ stringUnit: 'binary' }).map((json) => Buffer.from(json)),
        bytes,
      ),
      contentType: fc.oneof(
        { weight: 3, arbitrary: fc.constant('application/json') },
        fc.constantFrom('application/proto', 'application/json; charset=utf-16', 'application/grpc-web+proto'),
      ),
    }),
  );
  await fc.assert(
    fc.asyncProperty(attempt, async ({ rpc, body, contentType }) => {
      // Without a session, or the first good one would sign this device out for those that follow.
      // So is a stream: with one, it would stay open.
      const withoutSession = rpc.method.name === 'SignOut' || isStream(rpc);
      const headers: Record<string, string> = withoutSession ? { authorization: '' } : {};
      const framing = isStream(rpc) && contentType === 'application/proto' ? {} : { contentType };
      const answer = await call(rpc, Uint8Array.from(body), { ...framing, headers });
      if (contentType.startsWith('application/grpc-web')) {
        expect(answer.status).toBe(200);
        expect(answer.text).not.toMatch(/grpc-status: (2|13)\b/);
        expectNothingInside(answer.text);
      } else if (answer.status !== 200) {
        expectTyped(answer);
        expect(answer.status).toBeLessThan(500);
      }
    }),
    { numRuns: 300 },
  );
  expect((await challengeOfNewAccount()).challengeToken).toBeTruthy();
});
