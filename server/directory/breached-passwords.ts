// A list of breached passwords in the form of Have I Been Pwned's download: a line a password, the SHA-1 of its UTF-8 in hex, sorted,
// mostly with `:` and how often it was seen. The whole list has more than 40 GB, so it stays on the disk and is searched there.
// Nothing leaves this machine. This file knows no rule: what a listed password means is for the policy.

import { createHash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import pLimit from 'p-limit';
import { DomainError } from '../domain/errors.ts';

/** The part of a logger that this room needs; pino has it. */
export interface DirectoryLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface BreachedPasswords {
  /**
   * Whether a password is listed, as it is or in NFKC. Refuses with DEPENDENCY_UNAVAILABLE where the file can't be read: in doubt
   * a password is not taken. That locks nobody out, for it only puts off new passwords.
   */
  has(password: string): Promise<boolean>;
  /** Waits for the look-ups that are under way. */
  close(): Promise<void>;
}

export interface BreachedPasswordsOptions {
  readonly path: string;
  readonly log: DirectoryLog;
  /** Milliseconds between two looks whether the file was replaced. */
  readonly checkEveryMs?: number;
}

/** Reads of the file at once: they run on the threads that compute hashes too. */
const readsAtOnce = 2;
const retryAfterMs = 10_000;

/** @throws Error that names the path, what is wrong with it, and what it takes. */
export async function openBreachedPasswords(options: BreachedPasswordsOptions): Promise<BreachedPasswords> {
  const { path, log, checkEveryMs = 10_000 } = options;
  const limit = pLimit(readsAtOnce);
  let current = await load(path);
  // What was last looked at, taken up or refused: a bad file is complained about once.
  let seen = current.version;
  let checking: Promise<void> | undefined;
  let closed = false;

  const check = async (): Promise<void> => {
    const version = await versionOf(path).catch(() => 'missing');
    if (version === seen) return;
    seen = version;
    try {
      const next = await load(path);
      const before = current;
      current = next;
      seen = next.version;
      await before.close();
      log.info({ path, bytes: next.size }, 'list of breached passwords reloaded');
    } catch (error) {
      log.warn({ path, err: error }, 'new list of breached passwords refused, the one before stays');
    }
  };
  const timer = setInterval(() => {
    checking ??= check().finally(() => {
      checking = undefined;
    });
  }, checkEveryMs);
  timer.unref();

  const lookUp = async (key: string): Promise<boolean> => {
    const file = current;
    try {
      return await file.use(() => contains(file, key));
    } catch (error) {
      // The next look opens it anew, though it may be the same.
      seen = 'unreadable';
      log.error({ path, err: error }, 'list of breached passwords can not be read: new passwords are refused');
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs }, { cause: error });
    }
  };

  return {
    has: async (password) => {
      const forms = new Set([password, password.normalize('NFKC')]);
      const found = await Promise.all([...forms].map((form) => limit(() => lookUp(sha1(form)))));
      return found.includes(true);
    },
    close: async () => {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      await checking;
      await current.close();
    },
  };
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex').toUpperCase();
}

interface Readable {
  readonly handle: FileHandle;
  /** In bytes. */
  readonly size: number;
}

/** A file that was checked. */
interface ListFile extends Readable {
  /** Changes whenever the file does. */
  readonly version: string;
  /** Runs `work`; the file stays open until it is done. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when the last user is done. */
  close(): Promise<void>;
}

const takes =
  'it takes a list as Have I Been Pwned gives it: SHA-1 in hex and perhaps a colon and a count on each line, sorted by hash, unpacked';

async function load(path: string): Promise<ListFile> {
  let handle: FileHandle | undefined;
  try {
    const version = await versionOf(path);
    handle = await open(path);
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error('it is no file');
    await checkList({ handle, size: stats.size });
    // Not the same before and after: somebody is writing it. The next look finds it finished.
    if ((await versionOf(path)) !== version) throw new Error('it changed while it was read');
    return listFile(handle, stats.size, version);
  } catch (cause) {
    await handle?.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${path} can't be used as list of breached passwords: ${why}; ${takes}`, { cause });
  }
}

function listFile(handle: FileHandle, size: number, version: string): ListFile {
  const inUse = new Set<Promise<unknown>>();
  return {
    handle,
    size,
    version,
    use: async (work) => {
      const done = work();
      inUse.add(done);
      try {
        return await done;
      } finally {
        inUse.delete(done);
      }
    },
    close: async () => {
      await Promise.allSettled(inUse);
      await handle.close();
    },
  };
}

async function versionOf(path: string): Promise<string> {
  const { ino, size, mtimeMs, ctimeMs } = await stat(path);
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** A page of the disk's cache, some 90 lines. */
const pageBytes = 4_096;
/** 40 digits, a colon, a count of up to 12 digits, CR and LF. */
const longestLine = 55;
const lineForm = /^([0-9A-F]{40})(?::\d{1,12})?\r?$/i;
/** Pages that are read before a file is believed; one of up to 256 KiB is read whole. */
const samples = 64;

/** A file that is of another kind, in another order, or cut off does not get past this. */
async function checkList(list: Readable): Promise<void> {
  const { size } = list;
  if (size === 0) throw new Error('it is empty');
  const pages = Math.ceil(size / pageBytes);
  const beginOf = (page: number) =>
    pages <= samples ? page * pageBytes : Math.floor((page * (size - pageBytes)) / (samples - 1));
  let previous = '';
  for (let page = 0; page < Math.min(pages, samples); page++) {
    const begin = beginOf(page);
    for (const { hash } of await linesIn(list, begin, begin + pageBytes)) {
      if (hash < previous) throw new Error('it is not sorted by hash');
      previous = hash;
    }
  }
}

/** A binary search over bytes, for lines differ in length: 24 reads in 40 GB. */
async function contains(list: Readable, key: string): Promise<boolean> {
  // Where a line with the key begins, if there is one: at `low` or after it, and before `high`.
  let low = 0;
  let high = list.size;
  while (high - low > pageBytes) {
    const middle = Math.floor((low + high) / 2);
    const [line] = await linesIn(list, middle, middle + longestLine);
    if (line === undefined || key < line.hash) high = middle;
    else low = line.begin;
    if (line?.hash === key) return true;
  }
  const lines = await linesIn(list, low, high);
  return lines.some(({ hash }) => hash === key);
}

interface Line {
  readonly begin: number;
  /** In upper case. */
  readonly hash: string;
}

/** The lines that begin at `from` or after it, and before `to`. @throws Error where one is none. */
async function linesIn(list: Readable, from: number, to: number): Promise<readonly Line[]> {
  // With the byte before, which tells whether a line begins here.
  const first = Math.max(0, from - 1);
  const text = await readText(list, first, Math.min(list.size, to + longestLine));
  const lines: Line[] = [];
  let begin = from === 0 ? 0 : text.indexOf('\n') + 1;
  if (from > 0 && begin === 0 && first + text.length < list.size)
    throw new Error(`it has no line's end from byte ${from} on`);
  if (from > 0 && begin === 0) return [];
  while (first + begin < Math.min(to, list.size)) {
    const end = text.indexOf('\n', begin);
    const hash = lineForm.exec(text.slice(begin, end < 0 ? undefined : end))?.[1];
    if (hash === undefined) throw new Error(`it has no SHA-1 at byte ${first + begin}`);
    lines.push({ begin: first + begin, hash: hash.toUpperCase() });
    if (end < 0) break;
    begin = end + 1;
  }
  return lines;
}

async function readText({ handle }: Readable, from: number, to: number): Promise<string> {
  const bytes = Buffer.allocUnsafe(to - from);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, from + length);
    if (bytesRead === 0) throw new Error('it is shorter than it was');
    length += bytesRead;
  }
  return bytes.toString('latin1');
}
