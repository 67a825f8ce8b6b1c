// Keys, certificates and tokens, in settings or in files that are replaced while the server runs. A file is read here too,
// so that a wrong one is told at the start; whoever watches it reads it again.

import { ConfigError, type Environment, fileOf, refuse, together } from '../environment.ts';
import { parseKeyEntries } from '../platform/key-entries.ts';
import type { KeySource } from '../platform/key-ring.ts';
import { isBearerToken, parseServiceTokens, type ServiceGrant, serviceTokensForm } from '../platform/service-tokens.ts';
import { checkFit, parseCertificates, parsePrivateKey, type TlsFiles } from '../platform/tls-files.ts';

/** In the setting, or in the file that the other one names. */
export function keys(env: Environment, name: string, fileName: string): KeySource | undefined {
  const text = env[name] || undefined;
  const takes = 'the path of a file with keys';
  const inFile = fileOf(env, fileName, takes)?.toString();
  const entries = (given: string, setting: string, form: string) =>
    orRefuse(setting, form, () => parseKeyEntries(given));
  if (inFile !== undefined) entries(inFile, fileName, takes);
  if (text !== undefined && inFile !== undefined)
    throw new ConfigError(`${name} and ${fileName}: one of them, not both`, [name, fileName]);
  if (inFile !== undefined) return { setting: fileName, file: env[fileName] ?? '' };
  return text === undefined ? undefined : { entries: entries(text, name, 'keys separated by commas') };
}

/** What `read` returns; what it throws is told behind what the setting takes, and must be no secret. */
function orRefuse<T>(name: string, takes: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return refuse(name, `${takes}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export const certificateFile = 'the path of a PEM file with certificates';

export function pemOf(
  env: Environment,
  name: string,
  takes: string,
  check: (text: string) => unknown,
): string | undefined {
  const text = fileOf(env, name, takes)?.toString();
  if (text !== undefined) orRefuse(name, takes, () => check(text));
  return text;
}

/** Read here too, so that a wrong one is told at once. */
export function tls(
  env: Environment,
  names: { readonly cert: string; readonly key: string; readonly clientCa?: string },
): TlsFiles | undefined {
  const pem = (name: string, takes: string, check: (text: string) => unknown) => pemOf(env, name, takes, check);
  const cert = pem(names.cert, 'the path of a PEM file with a certificate and its chain', parseCertificates);
  const key = pem(names.key, 'the path of a PEM file with the private key of the certificate', parsePrivateKey);
  const clientCa =
    names.clientCa && pem(names.clientCa, 'the path of a PEM file with the authorities of clients', parseCertificates);
  together({ [names.cert]: cert, [names.key]: key });
  if (cert === undefined || key === undefined) {
    if (clientCa === undefined) return undefined;
    throw new ConfigError(`${names.cert} is missing: ${names.clientCa} needs it`, [names.cert, names.clientCa ?? '']);
  }
  orRefuse(names.cert, `a certificate that fits ${names.key}`, () => checkFit({ cert, key }));
  const fileAt = (setting: string) => ({ setting, file: env[setting] ?? '' });
  return {
    cert: fileAt(names.cert),
    key: fileAt(names.key),
    ...(clientCa !== undefined && names.clientCa !== undefined && { clientCa: fileAt(names.clientCa) }),
  };
}

export function bearerToken(env: Environment, name: string): string | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const fits = text.length >= 16 && text.length <= 256 && isBearerToken(text);
  return fits ? text : refuse(name, '16 to 256 letters, digits and characters of -._~+/, = at the end');
}

export function serviceTokens(env: Environment, name: string, fileName: string): readonly ServiceGrant[] {
  const text = env[name];
  if (text === undefined || text === '') return [];
  if (env[fileName]) throw new ConfigError(`${name} and ${fileName}: one of them, not both`, [name, fileName]);
  try {
    return parseServiceTokens(text);
  } catch {
    return refuse(name, serviceTokensForm);
  }
}

/** Its path: whoever watches the file reads it again. Read here too, so that a wrong one is told at once. */
export function serviceTokensFile(env: Environment, name: string): string | undefined {
  const takes = 'the path of a file with service tokens';
  const text = fileOf(env, name, takes)?.toString();
  if (text === undefined) return undefined;
  orRefuse(name, takes, () => parseServiceTokens(text));
  return env[name];
}
