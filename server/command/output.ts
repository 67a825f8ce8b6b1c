// What the command writes: one JSON document, or text for people. What it shows was said by strangers: whatever would speak to a
// terminal is taken out here, for all commands.

import type { DescEnum, DescMessage, MessageShape } from '@bufbuild/protobuf';
import { toJson } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { oneLine } from '../texts/untrusted.ts';
import type { Failure } from './failure.ts';

/** What a command found or did. */
export interface Answer {
  /** What `--json` prints. The names in it are stable. */
  readonly json: unknown;
  readonly text: string;
  /** Where not all of it was done. */
  readonly failure?: Failure;
}

/** The answer of an RPC in protobuf's JSON, with what is empty or false too, so that scripts find every name. */
export function messageJson<D extends DescMessage>(desc: D, message: MessageShape<D>): unknown {
  return toJson(desc, message, { alwaysEmitImplicit: true });
}

const longestCell = 200;

/** Text of somebody else, fit to stand in a line of ours. */
export function plain(text: string, limit = longestCell): string {
  return oneLine(text, limit);
}

/** Aligned columns; nothing where there are no rows. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const cells = [header, ...rows].map((row) => row.map((cell) => plain(cell) || '-'));
  const widths = header.map((_, column) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? '')), 0),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) => padded(cell, widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `name  value` a line, aligned; what is empty is left out. */
export function fields(entries: Readonly<Record<string, string>>): string {
  const shown = Object.entries(entries).filter(([, value]) => value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`).join('\n');
}

/** Columns that a text takes on a terminal: those of Chinese, Japanese and Korean are two wide. */
function widthOf(text: string): number {
  const wide = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\uff01-\uff60]/gu);
  return [...text.replace(/\p{M}/gu, '')].length + (wide?.length ?? 0);
}

const padded = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** Paragraphs with an empty line between them. */
export function paragraphs(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}

/** `2026-07-28 10:00:00Z`; empty where it is unset. */
export function moment(time: Timestamp | Date | undefined): string {
  if (time === undefined) return '';
  const date = time instanceof Date ? time : timestampDate(time);
  return `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** A value of an enum in words: `by code`; empty where it is unspecified, its number where this release does not know it. */
export function words(desc: DescEnum, value: number): string {
  return value === 0 ? '' : (desc.value[value]?.localName.toLowerCase().replaceAll('_', ' ') ?? String(value));
}

export const yesOrNo = (value: boolean) => (value ? 'yes' : 'no');

/**
 * One JSON document. What a terminal would act on, and JSON lets pass as it is (C1 controls, directions of writing), is escaped:
 * it is the same document.
 */
export function jsonText(value: unknown): string {
  const escaped = (text: string) =>
    Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
  return `${JSON.stringify(value, null, 2).replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)}\n`;
}

/** A failure for standard error. */
export function failureText({ message, exitCode, details }: Failure, json: boolean): string {
  const { reason = '', help = '', requestId = '', done } = details;
  if (json)
    return jsonText({ error: { exitCode, reason, message, help, requestId, ...(done === undefined ? {} : { done }) } });
  const after = [help, requestId === '' ? '' : `request id ${plain(requestId)}`].filter((line) => line !== '');
  const first = `countersign: ${[plain(reason, 64), plain(message, 2_000)].filter((part) => part !== '').join(': ')}`;
  return `${[first, ...after.map((line) => `  ${line}`)].join('\n')}\n`;
}
