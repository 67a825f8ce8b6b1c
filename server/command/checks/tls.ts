// The certificates that the listeners show, and the authorities that they ask of clients: how long they are good, and for which names.

import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Config } from '../../config.ts';
import { parseCertificates, type SettingFile } from '../../platform/tls-files.ts';
import { expiryFinding, type Finding, ok, skip, warn } from './finding.ts';

/** What does not fit together at all, the settings are refused for. */
export async function checkTls(
  { publicTls, internalTls, publicUrl }: Pick<Config, 'publicTls' | 'internalTls' | 'publicUrl'>,
  now: Date,
): Promise<Finding[]> {
  const files = [publicTls?.cert, internalTls?.cert, internalTls?.clientCa].filter((file) => file !== undefined);
  if (files.length === 0) return [skip('no listener speaks TLS by itself')];
  const findings = await Promise.all(files.map((file) => expiryOf(file, now)));
  const names = publicTls === undefined ? [] : [await namesFinding(publicTls.cert, publicUrl)];
  return [...findings, ...names];
}

async function certificatesIn({ file }: SettingFile): Promise<readonly X509Certificate[]> {
  return parseCertificates(await readFile(file, 'utf8'));
}

/** Of a chain, or of several authorities, that which ends first. */
async function expiryOf(file: SettingFile, now: Date): Promise<Finding> {
  const ends = (await certificatesIn(file)).map(({ validTo }) => Date.parse(validTo));
  return expiryFinding(`${file.setting}, ${file.file},`, new Date(Math.min(...ends)), now);
}

async function namesFinding(file: SettingFile, publicUrl: string): Promise<Finding> {
  const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '');
  const [own] = await certificatesIn(file);
  const fits = isIP(host) === 0 ? own?.checkHost(host) : own?.checkIP(host);
  return fits === undefined
    ? warn(
        `${file.setting} is not for ${host}`,
        'COUNTERSIGN_PUBLIC_URL names that host, unless a proxy in front shows another certificate',
      )
    : ok(`${file.setting} is for ${host}`);
}
