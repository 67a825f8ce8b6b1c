// A small file that a setting names, parsed: taken up again when it changes, and the last good one kept where it can't be used. It
// must not know what stands in it, and never tells it: files like these hold secrets.

import { hash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Logger } from './log.ts';

export interface WatchedFile<T> {
  /** What the file says, as far as it was good. */
  current(): T;
  /** Called after `current` has changed. */
  onChange(listener: (current: T) => void): void;
  /** Stops looking at the file. */
  close(): void;
}

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** Throws an Error that says what is wrong without quoting the content: its message is logged. */
  readonly parse: (content: Buffer) => T;
  readonly log: Pick<Logger, 'info' | 'error'>;
  /** The setting. */
  readonly name: string;
  /** Milliseconds between two looks. A new content counts when two looks in a row saw it. */
  readonly everyMs?: number;
}

/** As large as Kubernetes lets a Secret be. */
export const largestBytes = 1024 * 1024;

/** @throws Error that names the setting and what is wrong. */
export async function openWatchedFile<T>(options: WatchedFileOptions<T>): Promise<WatchedFile<T>> {
  const { path, parse, log, name, everyMs = 500 } = options;
  const first = await lookAt(path);
  let current: T;
  try {
    current = parse(contentOf(first));
  } catch (error) {
    throw new Error(`${name}: ${whyOf(error)}`, { cause: error });
  }
  // In use; taken up or refused last, so that a bad file is complained about once; seen last.
  let used = first.version;
  let decided = used;
  let seen = used;
  let checking = false;
  let closed = false;
  const listeners: ((current: T) => void)[] = [];

  const check = async (): Promise<void> => {
    const look = await lookAt(path);
    // What has just changed may be half written, and half a list is a list too.
    const settled = look.version === seen;
    seen = look.version;
    if (!settled || closed || look.version === decided) return;
    decided = look.version;
    if (look.version === used) {
      log.info({ setting: name, file: path }, 'a watched file is again what is in use');
      return;
    }
    try {
      current = parse(contentOf(look));
    } catch (error) {
      log.error({ setting: name, file: path, why: whyOf(error) }, 'a watched file is refused, the one before stays');
      return;
    }
    used = look.version;
    log.info({ setting: name, file: path }, 'a watched file has changed and counts');
    for (const listener of listeners) {
      try {
        listener(current);
      } catch (error) {
        log.error({ setting: name, err: error }, 'who waited for a watched file failed');
      }
    }
  };
  // By looking, not by events: those do not come on every mount, nor through Kubernetes' links.
  const timer = setInterval(() => {
    if (checking) return;
    checking = true;
    void check().finally(() => {
      checking = false;
    });
  }, everyMs);
  timer.unref();

  return {
    current: () => current,
    onChange: (listener) => {
      listeners.push(listener);
    },
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
}

interface Look {
  /** Changes whenever the content, or what is wrong with the file, does. */
  readonly version: string;
  readonly content?: Buffer;
}

async function lookAt(path: string): Promise<Look> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) return { version: 'it is no file' };
    if (stats.size > largestBytes) return { version: 'it is larger than 1 MiB' };
    const content = await readFile(path);
    return { version: hash('sha256', content), content };
  } catch (error) {
    return { version: `it can't be read (${error instanceof Error && 'code' in error ? error.code : error})` };
  }
}

function contentOf({ version, content }: Look): Buffer {
  if (content === undefined) throw new Error(version);
  return content;
}

export function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
