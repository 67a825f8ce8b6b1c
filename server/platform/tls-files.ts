// A certificate, its key and the authority of clients, in PEM files that are replaced while they are in use: only what fits
// together is taken up. It must not know sockets.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Logger } from './log.ts';
import { openWatchedFile, type WatchedFile, whyOf } from './watched-file.ts';

/** A file, and the setting that names it. */
export interface SettingFile {
  readonly setting: string;
  readonly file: string;
}

export interface TlsFiles {
  /** The certificate, with the chain up to its authority behind it. */
  readonly cert: SettingFile;
  readonly key: SettingFile;
  /** The authorities of which each client must show a certificate. */
  readonly clientCa?: SettingFile | undefined;
}

/** PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string | undefined;
}

export interface TlsSource {
  current(): TlsMaterial;
  /** Called after `current` has changed. */
  onChange(listener: (material: TlsMaterial) => void): void;
}

export interface OpenTls extends TlsSource {
  close(): void;
}

export interface TlsOptions {
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly now: () => Date;
}

/** ms in which files that are replaced together are seen one after the other. */
const togetherMs = 250;

/** @throws Error that names the setting and what is wrong. */
export async function openTls(files: TlsFiles, { log, now }: TlsOptions): Promise<OpenTls> {
  const open: WatchedFile<string>[] = [];
  let renewing: NodeJS.Timeout | undefined;
  const close = () => {
    clearTimeout(renewing);
    for (const file of open) file.close();
  };
  const watch = async ({ setting, file }: SettingFile, parse: (pem: string) => unknown) => {
    const checked = (content: Buffer) => {
      const pem = content.toString();
      parse(pem);
      return pem;
    };
    const watched = await openWatchedFile({ path: file, parse: checked, log, name: setting });
    open.push(watched);
    return watched;
  };
  try {
    const cert = await watch(files.cert, parseCertificates);
    const key = await watch(files.key, parsePrivateKey);
    const clientCa = files.clientCa && (await watch(files.clientCa, parseCertificates));
    const asTheyStand = (): TlsMaterial => ({
      cert: cert.current(),
      key: key.current(),
      clientCa: clientCa?.current(),
    });
    const pair = [files.cert.setting, files.key.setting];
    const settings = [files.cert, files.key, files.clientCa].flatMap((each) => each?.setting ?? []);

    let current = asTheyStand();
    try {
      checkFit(current);
    } catch (error) {
      throw new Error(`${pair.join(' and ')}: ${whyOf(error)}`, { cause: error });
    }
    const listeners: ((material: TlsMaterial) => void)[] = [];
    warnOfDates(files, current, { log, now });
    const renew = () => {
      const next = asTheyStand();
      try {
        checkFit(next);
        current = next;
      } catch (error) {
        log.warn(
          { settings: pair, why: whyOf(error) },
          'new TLS files do not fit together yet, those before stay in use',
        );
        if (next.clientCa === current.clientCa) return;
        // Whether an authority is in or out does not wait for them.
        current = { ...current, clientCa: next.clientCa };
      }
      const { validTo, fingerprint256 } = new X509Certificate(current.cert);
      log.info({ setting: files.cert.setting, validTo, fingerprint256 }, 'new TLS files are in use');
      warnOfDates(files, current, { log, now });
      for (const listener of listeners) {
        try {
          listener(current);
        } catch (error) {
          log.error({ settings, err: error }, 'new TLS files could not be taken up');
        }
      }
    };
    for (const file of open) {
      file.onChange(() => {
        clearTimeout(renewing);
        renewing = setTimeout(renew, togetherMs);
        renewing.unref();
      });
    }
    return {
      current: () => current,
      onChange: (listener) => {
        listeners.push(listener);
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** @throws Error where there is none, or one is broken. */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw new Error('it has no certificate in PEM');
  // One that was cut off is an authority or a link of a chain that would be missed.
  if (found.length < pem.split('-----BEGIN CERTIFICATE').length - 1)
    throw new Error('it has a certificate without an end');
  try {
    return found.map((each) => new X509Certificate(each));
  } catch {
    throw new Error('it has a certificate that is broken');
  }
}

/** @throws Error where there is none, or it has a passphrase. */
export function parsePrivateKey(pem: string): void {
  try {
    createPrivateKey(pem);
  } catch {
    throw new Error('it has no private key in PEM without a passphrase');
  }
}

/** @throws Error where TLS could not be spoken with these. Of the authorities nothing can be wrong that parsing has let by. */
export function checkFit({ cert, key }: Pick<TlsMaterial, 'cert' | 'key'>): void {
  const [own] = parseCertificates(cert);
  if (!own?.checkPrivateKey(createPrivateKey(key))) throw new Error('the key is not that of the certificate');
  // What else OpenSSL may not like, such as a key that is too small.
  createSecureContext({ cert, key });
}

function warnOfDates(files: TlsFiles, { cert, clientCa }: TlsMaterial, { log, now }: TlsOptions): void {
  const time = now();
  for (const [named, pem] of [
    [files.cert, cert],
    [files.clientCa, clientCa],
  ] as const) {
    if (named === undefined || pem === undefined) continue;
    for (const { validFromDate, validToDate, subject } of parseCertificates(pem)) {
      const dates = { setting: named.setting, subject, validFrom: validFromDate, validTo: validToDate };
      if (time >= validToDate) log.warn(dates, 'a certificate has expired: who checks it does not connect');
      else if (time < validFromDate) log.warn(dates, 'a certificate is not valid yet: who checks it does not connect');
    }
  }
}
