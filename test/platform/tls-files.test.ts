// TLS files that are replaced while they are in use: only what fits together is taken up, and nothing of them is told.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../server/platform/log.ts';
import { openTls, parseCertificates, type TlsMaterial } from '../../server/platform/tls-files.ts';
import { type Certificate, createAuthority, thisMachine } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';

const authority = createAuthority();

async function open(first: Certificate, clientCa?: string, now = () => new Date()) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-tls-files-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const replace = async (name: string, text: string) => {
    await writeFile(join(folder, `${name}.new`), text);
    await rename(join(folder, `${name}.new`), join(folder, name));
  };
  const named = (name: string) => ({ setting: `THE_${name.toUpperCase()}`, file: join(folder, name) });
  await replace('cert', first.cert);
  await replace('key', first.key);
  if (clientCa !== undefined) await replace('ca', clientCa);
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => lines.push(line) });
  const files = { cert: named('cert'), key: named('key'), ...(clientCa !== undefined && { clientCa: named('ca') }) };
  const tls = await openTls(files, { log, now });
  onTestFinished(() => tls.close());
  const told: TlsMaterial[] = [];
  tls.onChange((material) => told.push(material));
  const logged = (words: string) => lines.filter((line) => line.includes(words));
  return { tls, replace, told, lines, logged };
}

test('a pair that is replaced one after the other is taken once it fits, and not before', async () => {
  const [first, second] = [authority.issue(thisMachine), authority.issue(thisMachine)];
  const { tls, replace, told, lines, logged } = await open(first);
  for (const [halfFirst, next] of [
    ['cert', second],
    ['key', first],
  ] as const) {
    const before = tls.current();
    const waits = logged('do not fit together').length;
    await replace(halfFirst, next[halfFirst]);
    await eventually(10_000, () => expect(logged('do not fit together')).toHaveLength(waits + 1));
    expect(tls.current()).toBe(before);
    const other = halfFirst === 'cert' ? 'key' : 'cert';
    await replace(other, next[other]);
    await eventually(10_000, () => expect(tls.current()).toMatchObject({ ...next }));
    expect(told.at(-1)).toBe(tls.current());
  }
  expect(told).toHaveLength(2);
  expect(logged('new TLS files are in use')).toHaveLength(2);
  for (const { key } of [first, second]) {
    for (const part of key.split('\n').slice(1, -2)) expect(lines.join('')).not.toContain(part);
  }
});

test('files that are none are refused, told once, and those before stay', async () => {
  const first = authority.issue(thisMachine);
  const { tls, replace, told, logged } = await open(first, authority.cert);
  const before = tls.current();
  await replace('cert', '-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n');
  await replace('key', 'the secret key');
  await replace('ca', 'nothing');
  await eventually(10_000, () => expect(logged('is refused')).toHaveLength(3));
  expect(logged('it has a certificate that is broken')).toHaveLength(1);
  expect(logged('it has no private key in PEM without a passphrase')).toHaveLength(1);
  expect(logged('it has no certificate in PEM')).toHaveLength(1);
  expect(logged('secret')).toEqual([]);
  expect([tls.current(), told]).toEqual([before, []]);
  const next = authority.issue(thisMachine);
  await replace('ca', createAuthority().cert);
  await replace('key', next.key);
  await replace('cert', next.cert);
  await eventually(10_000, () => expect(tls.current()).toMatchObject({ ...next }));
});

test('a list that was cut off is refused as a whole', async () => {
  const [first, second] = [createAuthority().cert, createAuthority().cert];
  const { tls, replace, logged } = await open(authority.issue(thisMachine), first + second);
  await replace('ca', first + second.slice(0, second.length / 2));
  await eventually(10_000, () => expect(logged('it has a certificate without an end')).toHaveLength(1));
  expect(tls.current().clientCa).toBe(first + second);
  expect(() => parseCertificates(first.slice(0, -30) + second)).toThrow('without an end');
});

test('an authority that is taken out does not wait for a certificate and a key that do not fit', async () => {
  const [first, second] = [authority.issue(thisMachine), authority.issue(thisMachine)];
  const [leaves, stays] = [createAuthority().cert, createAuthority().cert];
  const { tls, replace, told, logged } = await open(first, leaves + stays);
  await replace('cert', second.cert);
  await eventually(10_000, () => expect(logged('do not fit together')).toHaveLength(1));
  expect(told).toEqual([]);
  await replace('ca', stays);
  await eventually(10_000, () => expect(tls.current()).toEqual({ ...first, clientCa: stays }));
  expect(told).toEqual([tls.current()]);
  await replace('key', second.key);
  await eventually(10_000, () => expect(tls.current()).toEqual({ ...second, clientCa: stays }));
});

test('what is wrong at the start is told with its setting', async () => {
  const [one, other] = [authority.issue(thisMachine), authority.issue(thisMachine)];
  await expect(open({ cert: one.cert, key: other.key })).rejects.toThrow(
    'THE_CERT and THE_KEY: the key is not that of the certificate',
  );
  await expect(open({ cert: '', key: one.key })).rejects.toThrow('THE_CERT: it has no certificate in PEM');
  await expect(open(one, 'none')).rejects.toThrow('THE_CA: it has no certificate in PEM');
});

test('a certificate that has expired, or is not valid yet, is served and warned of, at the start and when it is taken up', async () => {
  const day = 86_400_000;
  const now = new Date();
  const later = new Date(now.getTime() + day);
  const expired = authority.issue({ ...thisMachine, from: new Date(now.getTime() - 2 * day), to: now });
  const { tls, replace, logged } = await open(expired, authority.cert);
  expect(logged('has expired')).toHaveLength(1);
  expect(logged('THE_CERT')).toHaveLength(1);
  const early = authority.issue({ ...thisMachine, from: later, to: new Date(later.getTime() + day) });
  await replace('key', early.key);
  await replace('cert', early.cert);
  await eventually(10_000, () => expect(tls.current()).toMatchObject({ ...early }));
  expect(logged('is not valid yet')).toHaveLength(1);
  const good = authority.issue(thisMachine);
  await replace('key', good.key);
  await replace('cert', good.cert);
  await eventually(10_000, () => expect(tls.current()).toMatchObject({ ...good }));
  expect(logged('connect')).toHaveLength(2);
});
