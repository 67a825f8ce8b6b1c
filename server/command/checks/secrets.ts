// Keys and service tokens: whether they are random, and each what it is only once. Nothing of them is said.

import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from '../../config.ts';
import { type KeyEntry, keyInUse } from '../../platform/key-entries.ts';
import { parseServiceTokens, type ServiceGrant } from '../../platform/service-tokens.ts';
import { type Finding, fail, ok, skip, warn } from './finding.ts';

/** Of 32 random bytes, fewer than 20 differ once in some 10^15 keys. */
const fewestDifferent = 20;

export function checkKeys(lists: Readonly<Record<string, readonly KeyEntry[] | undefined>>, now: Date): Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<string, string>();
  for (const [setting, keys] of Object.entries(lists)) {
    if (keys === undefined) {
      findings.push(skip(`${setting} is not set: development makes one`));
      continue;
    }
    for (const { keyId, key } of keys) {
      const name = `${setting}, key ${keyId}`;
      if (new Set(key).size < fewestDifferent || key.every((byte) => byte >= 0x20 && byte < 0x7f)) {
        findings.push(fail(`${name}, is not random: it can be guessed`, '`countersign keys new` makes one'));
      }
      const found = hash('sha256', key);
      const twin = seen.get(found);
      if (twin !== undefined)
        findings.push(fail(`${name}, is the same as ${twin}`, 'every key is for one thing: `countersign keys new`'));
      seen.set(found, name);
    }
  }
  if (findings.length > 0) return findings;
  const states = Object.entries(lists).map(([setting, keys]) => stateOf(setting, keys ?? [], now));
  return [ok(`${seen.size} keys are random, and all differ`), ...states];
}

/** Which key is used, and which from when on. */
function stateOf(setting: string, keys: readonly KeyEntry[], now: Date): Finding {
  const inUse = keyInUse(keys, now);
  const waiting = keys.filter(({ useTime }) => useTime !== undefined && useTime > now);
  if (waiting.includes(inUse)) {
    return warn(
      `${setting}: the time of no key has come, and ${inUse.keyId} is used before its own`,
      'compare the clock with the times of the keys',
    );
  }
  const later = waiting.map(({ keyId, useTime }) => `, ${keyId} from ${useTime?.toISOString()} on`);
  return ok(`${setting}: ${inUse.keyId} is used${later.join('')}`);
}

/** What `sha256sum` says of an empty variable, also behind `echo`. */
const hashesOfNothing = ['', '\n'].map((text) => hash('sha256', text));

/** Of a file in the place of the setting; the settings have been refused where it is none. */
export async function checkServiceTokens({
  serviceTokens,
  serviceTokensFile,
  internalTls,
}: Pick<Config, 'serviceTokens' | 'serviceTokensFile' | 'internalTls'>): Promise<Finding[]> {
  const grants =
    serviceTokensFile === undefined ? serviceTokens : parseServiceTokens(await readFile(serviceTokensFile, 'utf8'));
  if (grants.length === 0) return [skip('COUNTERSIGN_SERVICE_TOKENS is not set')];
  const empty = grants.filter(
    ({ hash: bytes }) => bytes && hashesOfNothing.includes(Buffer.from(bytes).toString('hex')),
  );
  if (empty.length > 0) {
    const mend = '`countersign tokens new` makes one with its entry';
    return empty.map(({ name }) => fail(`the service token of ${name} is empty`, mend));
  }
  const byCertificate = namesOf(grants.filter(({ hash }) => hash === null));
  if (byCertificate.length > 0 && internalTls?.clientCa === undefined) {
    return [
      warn(
        `no certificate is asked for, and so nobody is let in as ${byCertificate.join(', ')}`,
        'COUNTERSIGN_INTERNAL_CLIENT_CA has the authorities of their certificates',
      ),
    ];
  }
  return [ok(`${grants.length} entries for ${namesOf(grants).length} callers`)];
}

const namesOf = (grants: readonly ServiceGrant[]) => [...new Set(grants.map(({ name }) => name))];
