// The files that a server reads: location databases and the list of breached passwords.

import { basename } from 'node:path';
import type { Config } from '../../config.ts';
import { openBreachedPasswords } from '../../directory/breached-passwords.ts';
import { type DatabaseKind, openDatabase } from '../../location/database-file.ts';
import { bundledCityFiles } from '../../location/places.ts';
import { type Finding, fail, ok, skip, warn, wordsOf } from './finding.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {} };
const day = 86_400_000;

export async function checkPlaces(config: Config, now: Date): Promise<Finding[]> {
  const files: readonly (readonly [setting: string, kind: DatabaseKind, path: string | undefined])[] = [
    ...(config.geoipCity === undefined
      ? bundledCityFiles().map((path) => [`the bundled ${basename(path)}`, 'city', path] as const)
      : [['COUNTERSIGN_GEOIP_CITY', 'city', config.geoipCity] as const]),
    ['COUNTERSIGN_GEOIP_CONNECTION_TYPE', 'connection-type', config.geoipConnectionType],
    ['COUNTERSIGN_GEOIP_ASN', 'ASN', config.geoipAsn],
    ['COUNTERSIGN_GEOIP_ANONYMOUS_IP', 'anonymous-IP', config.geoipAnonymousIp],
  ];
  const found = await Promise.all(
    files.map(([setting, kind, path]) =>
      path === undefined
        ? skip(`${setting} is not set: nothing is known of it`)
        : checkPlaceFile(setting, kind, path, now),
    ),
  );
  return found;
}

async function checkPlaceFile(setting: string, kind: DatabaseKind, path: string, now: Date): Promise<Finding> {
  try {
    const file = await openDatabase({ path, kind, log: silent, checkEveryMs: day });
    file.close();
    const built = new Date(file.source.slice(-'2026-07-28'.length));
    const days = Math.floor((now.getTime() - built.getTime()) / day);
    const words = `${setting}: ${file.source}, ${days} days old`;
    const mend = setting.startsWith('COUNTERSIGN_')
      ? `rename a new file over ${path}: it is used within 10 s`
      : 'set COUNTERSIGN_GEOIP_CITY to a newer file';
    if (days > 90) return warn(words, `${mend}; networks have moved since, and people are told wrong places`);
    return days > 30 ? warn(words, mend) : ok(words);
  } catch (error) {
    return fail(`${setting}: ${wordsOf(error)}`, 'the server does not start with this');
  }
}

export async function checkBreachedPasswords(path: string | undefined): Promise<Finding[]> {
  if (path === undefined) {
    return [skip('COUNTERSIGN_BREACHED_PASSWORDS is not set: only the 10,000 commonest passwords are refused')];
  }
  try {
    const list = await openBreachedPasswords({ path, log: silent, checkEveryMs: day });
    // Every whole list has it; which one a look-up finds shows that the file can be searched.
    const known = await list.has('password');
    await list.close();
    return [
      known
        ? ok('COUNTERSIGN_BREACHED_PASSWORDS can be searched')
        : warn('COUNTERSIGN_BREACHED_PASSWORDS can be searched, and lacks "password"', 'is it the whole list?'),
    ];
  } catch (error) {
    return [fail(`COUNTERSIGN_BREACHED_PASSWORDS: ${wordsOf(error)}`, 'the server does not start with this')];
  }
}
