// What every target has to stand, while honest people go on using it: nothing dies, nothing grows without bound, no honest call
// fails. Whether they wait longer is measured (bench/hostile.ts), not asserted.

import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createSecureContext } from 'node:tls';
import pLimit from 'p-limit';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectRaw, dataFrame, type Frame, headersFrame } from '../support/raw-http2.ts';
import { openRaw, type Peer } from '../support/raw-socket.ts';
import { malformed, smuggledAnswer, smuggling, spellings } from './disguises.ts';
import { floods } from './floods.ts';
import { type Honest, startHonest } from './honest.ts';
import { idleConnections, openIdle } from './idle.ts';
import { beginSlowOnes, type Slow } from './slow.ts';
import type { Target } from './target.ts';

/** More than any attack here takes, by far less than what they took where a bound was missing. */
const mostGrowth = 500 * 1024 * 1024;
const floodsAtOnce = 4;
const patienceMs = 60_000;

export function standsAttacks(start: () => Promise<Target>, { slowOnes }: { readonly slowOnes: boolean }): void {
  let target: Target;
  let honest: Honest;
  let strangers = 0;
  /** From an address of its own: the edge lets one make but so many calls. */
  const stranger = (): Peer & { readonly from: string } => ({ ...target.peer, from: `127.0.2.${++strangers}` });
  let before: ReturnType<Target['memory']>;
  let slow: readonly Slow[] = [];

  beforeAll(async () => {
    target = await start();
    honest = await startHonest(target);
    await honest.oneMoreOfEach();
    before = target.memory();
    // Judged last.
    if (slowOnes) slow = beginSlowOnes(stranger());
  });
  afterAll(async () => {
    for (const each of slow) each.close();
    await honest?.stop();
    await target?.stop();
  });
  afterEach(async () => {
    await honest.oneMoreOfEach();
    expect(target.failures()).toEqual([]);
    expect(honest.failures()).toEqual([]);
    for (const [process, bytes] of Object.entries(target.memory())) {
      expect([process, bytes - (before[process] ?? 0)]).toEqual([
        process,
        expect.toSatisfy((grown) => grown < mostGrowth),
      ]);
    }
  });

  test('floods of every kind', { timeout: 150_000 }, async () => {
    const fates = await pLimit(floodsAtOnce).map(floods, async (flood) => ({
      ...flood,
      fate: await flood.run(stranger(), target.isEdge ? 0 : patienceMs),
    }));
    // What the edge takes it takes alone: it opens a connection to a replica for each of its clients.
    if (target.isEdge) return;
    expect(fates.flatMap(({ name, ends, fate }) => (fate === 'sent' && ends !== 'any' ? [name] : []))).toEqual([]);
  });

  test(`${idleConnections} connections that do nothing`, async () => {
    const idle = openIdle(target.peer);
    await idle.opened;
    await honest.oneMoreOfEach();
    expect(idle.stillOpen()).toBeGreaterThan(idleConnections / 2);
    idle.close();
  });

  describe('requests that want to be read in two ways', () => {
    test('in HTTP/1.1 are read in one, or refused', async () => {
      const peer = stranger();
      const answers = Object.entries(smuggling).map(async ([name, text]) => {
        const raw = openRaw({ ...peer, alpn: 'http/1.1' });
        await raw.send(text);
        raw.end();
        await raw.closed;
        return { name, answer: raw.received().toString() };
      });
      for (const { name, answer } of await Promise.all(answers)) {
        expect([name, answer]).toEqual([name, expect.not.stringContaining(smuggledAnswer)]);
        expect([name, answer.match(/^HTTP\/1\.[01] /gm)?.length ?? 0]).toEqual([name, expect.toBeOneOf([0, 1])]);
        expect([name, answer]).toEqual([name, expect.not.stringMatching(/^HTTP\/1\.1 (101|5)/)]);
      }
    });

    test('in HTTP/2 are refused', async () => {
      const peer = stranger();
      const statuses = Object.entries(malformed).map(async ([name, headers]) => {
        const raw = connectRaw(peer);
        await raw.send(headers, dataFrame(1, Buffer.alloc(5), true));
        await vi.waitFor(() => expect([name, isOver(raw.frames()) || raw.isClosed()]).toEqual([name, true]), {
          timeout: 15_000,
        });
        raw.close();
        return [name, statusOf(raw.frames())];
      });
      expect((await Promise.all(statuses)).filter(([, status]) => status === 200)).toEqual([]);
    });

    test('an Upgrade to HTTP/2 in cleartext reaches nothing', async () => {
      const raw = openRaw({ ...stranger(), alpn: 'http/1.1' });
      const upgrade = 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n';
      const head = 'host: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n';
      await raw.send(
        `POST /grpc.health.v1.Health/Check HTTP/1.1\r\n${upgrade}${head}\r\n{}`,
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        Buffer.from('000000040000000000', 'hex'),
        headersFrame(3, internalPath, { authorization: 'Bearer x' }, { last: true }),
      );
      await raw.closed;
      const answer = raw.received().toString('latin1');
      // What comes behind the call is no request of HTTP/1.1.
      const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
      expect(statuses).toEqual(expect.toBeOneOf([['200'], ['200', '400']]));
      expect(answer).not.toContain('\0');
    });
  });

  describe('an internal path is found by no spelling', () => {
    test('over HTTP/1.1', async () => {
      const peer = stranger();
      const { internalUrl } = target.server;
      const paths = spellings(internalPath).flatMap((path) => [path, `${internalUrl}${path}`, path.slice(1)]);
      for (const path of paths) {
        for (const host of ['localhost', new URL(internalUrl).host]) {
          const raw = openRaw({ ...peer, alpn: 'http/1.1' });
          await raw.send(
            `POST ${path} HTTP/1.1\r\nhost: ${host}\r\nx-original-url: ${internalPath}\r\nx-rewrite-url: ${internalPath}\r\n` +
              `x-forwarded-host: ${host}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
          );
          await raw.closed;
          expect([path, raw.received().toString()]).toEqual([path, expect.stringMatching(/^HTTP\/1\.1 40[04] /)]);
        }
      }
    });

    test('over HTTP/2', async () => {
      const peer = stranger();
      const { internalUrl } = target.server;
      const authority = new URL(internalUrl).host;
      const paths = spellings(internalPath).flatMap((path) => [path, `${internalUrl}${path}`, path.slice(1), '*']);
      for (const more of [{}, { ':authority': authority }, { host: authority }, { ':scheme': 'https' }]) {
        const raw = connectRaw(peer);
        const json = { 'content-type': 'application/json', ...more };
        const asked = paths.map((path, index) => ({ path, stream: 2 * index + 1 }));
        for (const { path, stream } of asked) {
          await raw.send(headersFrame(stream, path, json), dataFrame(stream, Buffer.from('{}'), true));
        }
        const framesOf = (id: number) => raw.frames().filter(({ stream }) => stream === id);
        await vi.waitFor(
          () => expect(raw.isClosed() || asked.every(({ stream }) => isOver(framesOf(stream)))).toBe(true),
          { timeout: 15_000 },
        );
        const statuses = asked.map(({ path, stream }) => [path, more, statusOf(framesOf(stream))]);
        expect(statuses.filter(([, , status]) => ![0, 400, 404].includes(Number(status)))).toEqual([]);
        raw.close();
      }
    });
  });

  test('what a client says of its way, and of us, is not believed', async () => {
    const liar = stranger().from;
    const lie = '203.0.113.77';
    const email = 'honest@example.com';
    const lies = {
      'x-forwarded-for': `${lie}, 127.0.0.1`,
      forwarded: `for=${lie}`,
      'x-real-ip': lie,
      'true-client-ip': lie,
      'x-client-ip': lie,
      'countersign-client-address': lie,
      'countersign-account-id': 'somebody',
      'countersign-internal': 'yes',
      x_forwarded_for: lie,
    };
    const url = new URL('/countersign.v1.TwoStepAuth/SignIn', target.url);
    const request = (target.ca === undefined ? httpRequest : httpsRequest)(url, {
      method: 'POST',
      localAddress: liar,
      agent: false,
      ...(target.ca !== undefined && { secureContext: createSecureContext({ ca: target.ca }) }),
      headers: {
        'content-type': 'application/json',
        'countersign-client-version': '2.3',
        'countersign-client-platform': 'ios',
        connection: 'x-forwarded-for, close',
        ...lies,
      },
    });
    request.end(
      JSON.stringify({
        email,
        password: 'a wrong one',
        device: { displayName: 'x', model: 'x', platform: 'PLATFORM_IOS' },
      }),
    );
    const [answer] = await once(request, 'response');
    expect(answer.statusCode).toBe(401);
    answer.resume();
    const { events } = await honest.client.loginActivity.listLoginActivity({});
    expect(events.map(({ ipAddress }) => ipAddress)).toContain(liar);
    expect(JSON.stringify(events, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
      lie,
    );
    expect(target.server.stdout()).not.toContain(lie);
  });

  test.runIf(slowOnes)('what is begun and not ended is cut or answered', { timeout: 90_000 }, async () => {
    await vi.waitFor(() => expect(slow.flatMap(({ name, isOver }) => (isOver() ? [] : [name]))).toEqual([]), {
      timeout: 80_000,
      interval: 200,
    });
  });
}

const internalPath = '/countersign.internal.v1.Accounts/GetAccount';

const endStream = 1;

/** Whether a call was answered to its end, or broken off. */
function isOver(frames: readonly Frame[]): boolean {
  return frames.some(
    ({ type, flags }) =>
      type === 'reset' ||
      type === 'goaway' ||
      ((type === 'headers' || type === 'data') && (flags & endStream) === endStream),
  );
}

/** Of the first answer, as HPACK writes those that are frequent (RFC 7541, appendix A); of another -1, and of none 0. */
function statusOf(frames: readonly Frame[]): number {
  const block = frames.find(({ type }) => type === 'headers')?.payload;
  if (block === undefined) return 0;
  // The table may be given a size before.
  const first = block.find((byte, index) => (byte & 0xe0) !== 0x20 && (index === 0 || byte >= 0x88)) ?? 0;
  return [200, 204, 206, 304, 400, 404, 500][first - 0x88] ?? -1;
}
