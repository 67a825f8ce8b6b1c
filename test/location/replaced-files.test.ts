// Location files that are replaced while they are used: 50 times, by name and in place, with bad ones between.

import { writeFileSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openPlaces } from '../../server/location/places.ts';
import { eventually } from '../support/eventually.ts';
import { callsFrom, geoipEnv, geoipIsMissing } from '../support/geoip.ts';
import { iphone, startTestServer } from '../support/server.ts';

const swaps = 50;
const address = '81.2.69.142';
const cityFile = geoipEnv.COUNTERSIGN_GEOIP_CITY;

/** A city file of another edition, in which London has another name, centre and source. */
function otherEdition(bytes: Buffer): Buffer {
  const centre = (latitude: number): string => {
    const double = Buffer.alloc(8);
    double.writeDoubleBE(latitude);
    return double.toString('latin1');
  };
  const text = bytes.toString('latin1');
  const other = text
    .replaceAll('London', 'Nodnol')
    .replaceAll(centre(51.5142), centre(51.6142))
    .replaceAll('GeoIP2-City', 'GeoIP9-City');
  expect(other.length).toBe(text.length);
  return Buffer.from(other, 'latin1');
}

const london = { city: 'London', latitude: 51.5142, source: 'GeoIP2-City 2026-02-04' };
const nodnol = { city: 'Nodnol', latitude: 51.6142, source: 'GeoIP9-City 2026-02-04' };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replaced-files-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function replaceByName(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path}.next`, bytes);
  await rename(`${path}.next`, path);
}

describe.skipIf(geoipIsMissing)('files that are replaced (skipped where ../shared/geoip is absent)', () => {
  test('every look-up is answered by one of them, whole; a bad one is told once', { timeout: 120_000 }, async () => {
    const old = await readFile(cityFile);
    const editions = [old, otherEdition(old)] as const;
    const wrong = await readFile(geoipEnv.COUNTERSIGN_GEOIP_CONNECTION_TYPE);
    const path = join(folder, 'city.mmdb');
    await writeFile(path, old);
    const log = { info: vi.fn(), warn: vi.fn() };
    const { locate, close } = await openPlaces({ cityFiles: [path], log, checkEveryMs: 5 });

    const answers = new Map<string, number>();
    const ended = new AbortController();
    const asking = (async () => {
      while (!ended.signal.aborted) {
        for (let asked = 0; asked < 20; asked += 1) {
          const { place } = locate(address);
          const answer = JSON.stringify([place?.city, place?.latitude, place?.source]);
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
        }
        await turn();
      }
    })();

    const bad = [
      () => writeFileSync(path, old.subarray(0, 10_000)),
      () => replaceByName(path, wrong),
      () => writeFileSync(path, Buffer.alloc(20_000, 'no database')),
      () => replaceByName(path, new Uint8Array()),
      () => rm(path),
    ];
    for (let swap = 1; swap <= swaps; swap += 1) {
      const place = locate(address).place;
      await bad[swap % bad.length]?.();
      await eventually(10_000, () => expect(log.warn).toHaveBeenCalledTimes(swap));
      expect(locate(address).place).toEqual(place);
      const next = editions[swap % 2] ?? old;
      if (swap % 4 < 2) await replaceByName(path, next);
      else writeFileSync(path, next);
      await eventually(10_000, () => expect(log.info).toHaveBeenCalledTimes(swap));
      expect(locate(address).place).toMatchObject(swap % 2 === 1 ? nodnol : london);
    }
    writeFileSync(path, 'no database');
    await sleep(200);
    ended.abort();
    await asking;
    close();

    expect(log.warn).toHaveBeenCalledTimes(swaps + 1);
    expect(log.info).toHaveBeenCalledTimes(swaps);
    const whole = [london, nodnol].map(({ city, latitude, source }) => JSON.stringify([city, latitude, source]));
    expect([...answers.keys()].sort()).toEqual(whole.sort());
    for (const count of answers.values()) expect(count).toBeGreaterThan(1_000);
  });

  test('one that is still being written is neither taken up nor told', async () => {
    const old = await readFile(cityFile);
    const next = otherEdition(old);
    const path = join(folder, 'city.mmdb');
    await writeFile(path, old);
    const log = { info: vi.fn(), warn: vi.fn() };
    const { locate, close } = await openPlaces({ cityFiles: [path], log, checkEveryMs: 100 });
    for (let length = 0; length < next.length; length += 1_000) {
      writeFileSync(path, next.subarray(0, length));
      await sleep(30);
      expect(locate(address).place).toMatchObject(london);
    }
    expect(log.warn).not.toHaveBeenCalled();
    writeFileSync(path, next);
    await eventually(10_000, () => expect(locate(address).place).toMatchObject(nodnol));
    expect(log.warn).not.toHaveBeenCalled();
    close();
  });

  test('no call of a running server fails, and none says what no file said', { timeout: 120_000 }, async () => {
    const old = await readFile(cityFile);
    const editions = [old, otherEdition(old)] as const;
    const env = Object.fromEntries(
      Object.entries(geoipEnv).map(([name, path]) => [name, join(folder, basename(path))]),
    );
    for (const path of Object.values(geoipEnv)) await copyFile(path, join(folder, basename(path)));
    const city = env['COUNTERSIGN_GEOIP_CITY'] ?? '';
    const others = Object.values(env).filter((path) => path !== city);

    // The server looks at its files every five seconds; here, whenever it is told to.
    const timers = vi.spyOn(globalThis, 'setInterval');
    const server = await startTestServer(env);
    const looks = timers.mock.calls.flatMap(([look, ms]) => (ms === 5_000 ? [look] : []));
    timers.mockRestore();
    const logged = (message: string) => server.log.filter((line) => line.includes(message)).length;
    const reloads = () => logged('location database reloaded');
    const refusals = () => logged('new location database refused');
    const seen = (count: () => number, wanted: number) =>
      eventually(10_000, () => {
        for (const look of looks) look();
        expect(count()).toBe(wanted);
      });

    try {
      const account = await server.createAccount();
      const { client } = await server.signInNewDevice(account);
      const { deviceToken } = (await server.signInNewDevice(account)).session;
      const signingIn = server.appClient();
      const from = callsFrom(address);
      let calls = 0;
      let ended = false;
      const caller = async (call: () => Promise<unknown>) => {
        while (!ended) {
          await call();
          calls += 1;
        }
      };
      const callers = Promise.all([
        caller(async () => {
          const { result } = await signingIn.twoStepAuth.signIn({ ...account, device: iphone, deviceToken }, from);
          expect(result.case).toBe('session');
        }),
        caller(() => client.loginActivity.listLoginActivity({ pageSize: 100 }, from)),
        caller(() => client.twoStepAuth.getSettings({}, from)),
      ]);
      // A failed call is told after the swaps, not as a rejection that nobody waits for.
      callers.catch(() => {});

      for (let swap = 1; swap <= swaps; swap += 1) {
        if (swap % 5 === 0) {
          await replaceByName(city, old.subarray(0, 10_000));
          await seen(refusals, swap / 5);
        }
        await replaceByName(city, editions[swap % 2] ?? old);
        for (const path of others) await replaceByName(path, await readFile(path));
        await seen(reloads, swap * 4);
      }
      ended = true;
      await callers;

      const rows = await server.query(
        `select distinct origin->'place'->>'city' as city, (origin->'place'->>'latitude')::float8 as latitude,
                origin->'place'->>'source' as source
         from login_event where account_id = $1 and origin->>'ipAddress' = $2 order by city`,
        [account.accountId, address],
      );
      expect(rows).toEqual([london, nodnol]);
      expect(calls).toBeGreaterThan(swaps);
      const { events } = await client.loginActivity.listLoginActivity({ pageSize: 100 });
      for (const { location, ipAddress } of events) {
        if (ipAddress !== address) continue;
        const { city, latitude, source } = location ?? {};
        expect([london, nodnol]).toContainEqual({ city, latitude, source });
      }
      expect(reloads()).toBe(swaps * 4);
      expect(server.log.filter((line) => /"level":(50|"error")/.test(line))).toEqual([]);
    } finally {
      await server.stop();
    }
  });
});
