// Message → mail or push, in the reader's language. This file knows no transport and no account.

import { deviceAndPlace } from '../texts/facts.ts';
import type { Brand } from '../texts/look.ts';
import { textsFor } from '../texts/texts.ts';
import { cut } from '../texts/untrusted.ts';
import { unusualInWords } from '../texts/unusual.ts';
import { writeLetter } from './letter.ts';
import type { AlertMessage, CodeMessage, Message } from './message.ts';
import { renderText } from './plain-text.ts';

export type { Brand } from '../texts/look.ts';
export type { AlertMessage, CodeMessage, EmailChangedMessage, Message, PasswordResetMessage } from './message.ts';

export interface ComposeOptions {
  /** BCP 47; a language without texts is written to in English. */
  readonly locale: string;
  readonly brand: Brand;
}

export interface ComposedMessage {
  /** One line, without the code or any link. */
  readonly subject: string;
  /** Complete alone; lines of at most 72 columns where words allow. */
  readonly text: string;
  /** A whole document, without scripts, remote content or tracking. */
  readonly html: string;
}

/** Loads what writes HTML, so that the first mail does not wait for it: React takes longer to load than a server to listen. */
export async function prepare(): Promise<void> {
  await import('./html.ts');
}

/** Writes a mail. The same message, locale and brand give the same bytes. */
export async function compose(message: Message, { locale, brand }: ComposeOptions): Promise<ComposedMessage> {
  const letter = writeLetter(message, locale, brand);
  const { renderHtml } = await import('./html.ts');
  return { subject: letter.subject, text: renderText(letter), html: renderHtml(letter, brand) };
}

export interface ComposePushOptions extends ComposeOptions {
  /** Whether the push has the code; if not, it says that the app has it. Alerts have none. */
  readonly showCode: boolean;
}

export interface ComposedPush {
  /** At most 60 characters, without the code and without the brand, which the device shows beside it. */
  readonly title: string;
  /** At most 180 characters, in one or two lines. */
  readonly body: string;
}

const longestBody = 180;

/** Writes a push: what it is about, who it was, what was odd where there is room, and what to do. */
export function composePush(
  message: CodeMessage | AlertMessage,
  { locale, showCode }: ComposePushOptions,
): ComposedPush {
  const texts = textsFor(locale);
  // What we say stays whole; names take what is left.
  const whoBeside = (ours: string): string =>
    cut(deviceAndPlace(message.device, message.place, texts), longestBody - ours.length - ' · …'.length);
  const joined = (parts: readonly string[], between: string): string =>
    parts.filter((part) => part !== '').join(between);
  if (message.kind === 'alert') {
    const { heading, pushAdvice } = texts.alerts[message.alert];
    const who = whoBeside(pushAdvice);
    const body = joined([who, pushAdvice], '\n');
    const [finding] = message.alert === 'UNUSUAL_SIGN_IN' ? message.findings : [];
    if (finding === undefined) return { title: heading, body };
    const odd = joined([joined([who, unusualInWords(finding, texts)], ' · '), pushAdvice], '\n');
    return { title: heading, body: [...odd].length <= longestBody ? odd : body };
  }
  const { heading } = texts.code[message.purpose];
  const { openTheApp } = texts.push;
  return showCode
    ? { title: heading, body: joined([message.code, whoBeside(message.code)], ' · ') }
    : { title: heading, body: joined([openTheApp, whoBeside(openTheApp)], '\n') };
}
