// A file of accounts → its accounts, line by line: JSON Lines, or CSV (RFC 4180) with a header. It must not say what stands in a line,
// where hashes of passwords do, and holds one line in memory however large the file is.

import { createReadStream } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { createValidator, type Validator } from '@bufbuild/protovalidate';
import { ImportedAccountSchema } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { hashForms, parsePasswordHash } from '../domain/password-hash.ts';
import { exitCodes, Failure } from './failure.ts';

export interface GivenAccount {
  readonly accountId: string;
  readonly email: string;
  readonly locale: string;
  readonly passwordHash: string;
}

export type ImportLine =
  | { readonly line: number; readonly account: GivenAccount }
  | { readonly line: number; readonly fault: string };

/** As in the file, and as in a message. */
const names = {
  account_id: 'accountId',
  email: 'email',
  locale: 'locale',
  password_hash: 'passwordHash',
} as const;
const namesInWords = Object.keys(names).join(', ');
const isName = (name: string): name is keyof typeof names => Object.hasOwn(names, name);

/** All that an account takes are some 1,000 characters. */
const longestLine = 16 * 1024;

/**
 * @param path `-` for standard input.
 * @param signal ends the reading.
 * @throws Failure where it can't be read, or is of neither form.
 */
export async function* readImportFile(path: string, signal: AbortSignal): AsyncGenerator<ImportLine> {
  let read: ((text: string) => GivenAccount | string) | undefined;
  for await (const { line, text } of linesOf(path, signal)) {
    if (text !== undefined && text.trim() === '') continue;
    if (read === undefined) {
      if (text?.trimStart().startsWith('{')) {
        read = readJson;
      } else {
        read = csvReader(text ?? '');
        continue;
      }
    }
    const account = text === undefined ? 'the line is too long' : read(text);
    yield typeof account === 'string' ? { line, fault: account } : { line, account };
  }
  // Of an empty file nobody means that it is imported.
  if (read === undefined && !signal.aborted) csvReader('');
}

/** Lines, numbered from 1; one that is too long has no text. */
async function* linesOf(
  path: string,
  signal: AbortSignal,
): AsyncGenerator<{ readonly line: number; readonly text?: string }> {
  const stream = path === '-' ? process.stdin : createReadStream(path);
  signal.addEventListener('abort', () => stream.destroy());
  const decoder = new TextDecoder();
  let line = 1;
  let rest = '';
  let tooLong = false;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        yield tooLong || part.length > longestLine ? { line } : { line, text: part.replace(/\r$/, '') };
        tooLong = false;
        line += 1;
      }
      if (rest.length > longestLine) {
        tooLong = true;
        rest = '';
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Failure(exitCodes.failed, `${path} can't be read (${code})`, {}, error);
  }
  if (rest !== '' || tooLong) yield tooLong ? { line } : { line, text: rest };
}

function readJson(text: string): GivenAccount | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Its own words quote the line.
    return 'it is no JSON';
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'it is no JSON object';
  const account = { accountId: '', email: '', locale: '', passwordHash: '' };
  for (const [name, value] of Object.entries(parsed)) {
    if (!isName(name)) return `it has a field of another name than ${namesInWords}`;
    if (value === null) continue;
    if (typeof value !== 'string') return `${name}: it takes a string`;
    account[names[name]] = value;
  }
  return account;
}

/** @throws Failure where the header is none. */
function csvReader(header: string): (text: string) => GivenAccount | string {
  const columns = csvFields(header.replace(/^\ufeff/, ''))?.map((name) => name.trim().toLowerCase()) ?? [];
  const known = columns.filter(isName);
  if (
    known.length < columns.length ||
    new Set(known).size < known.length ||
    !known.includes('email') ||
    !known.includes('password_hash')
  ) {
    const takes = `JSON Lines, or CSV whose first line names its columns: email, password_hash and perhaps account_id and locale, separated by commas`;
    throw new Failure(exitCodes.failed, `the file takes ${takes}`);
  }
  return (text) => {
    const values = csvFields(text);
    if (values === undefined)
      return 'a quote is out of place: what has commas stands in quotes, and a quote is written twice there';
    if (values.length !== known.length) return `it has ${values.length} columns, and the header ${known.length}`;
    const account = { accountId: '', email: '', locale: '', passwordHash: '' };
    for (const [at, name] of known.entries()) account[names[name]] = values[at] ?? '';
    return account;
  };
}

/** None of what is imported has a line break, so a record is a line. Undefined where a quote is out of place. */
function csvFields(line: string): string[] | undefined {
  const found: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = field.exec(line);
    if (match === null) return undefined;
    found.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '') return found;
  }
}

const validator: Validator = createValidator();

/** What is wrong with an account, by the contract's own rules; undefined where it may be sent. */
export function checkAccount(account: GivenAccount): string | undefined {
  const result = validator.validate(ImportedAccountSchema, create(ImportedAccountSchema, account));
  if (result.kind === 'error') throw result.error;
  if (result.kind === 'invalid') {
    return result.violations
      .map(({ field, message }) => `${field.map((part) => ('name' in part ? part.name : '')).join('.')}: ${message}`)
      .join('; ');
  }
  return parsePasswordHash(account.passwordHash) === undefined ? `password_hash: ${hashForms}` : undefined;
}
