// The shape that every language's texts have, and how a language is chosen. This file knows no layout: texts are plain
// sentences, without markup, and compose.ts places and escapes them.

import { en } from './en.ts';
import { ru } from './ru.ts';

/** The texts of one challenge purpose. */
export interface CodeTexts {
  /** Names the purpose, never the code: subjects show on locked screens and in logs. */
  subject(brand: string): string;
  heading: string;
  /** Who asks for the code, and where to enter it. */
  intro(brand: string): string;
  /** How long the code is valid, in whole minutes, and what for. */
  validity(minutes: number): string;
  /** What to do if it was somebody else; follows `notYou`. */
  advice: string;
}

/** All texts of one language. */
export interface Messages {
  /** BCP 47; the language of the texts, of dates and of country names. */
  readonly locale: string;
  readonly codeForSignIn: CodeTexts;
  readonly codeForSwitchOff: CodeTexts;
  /** The line that mail programs show beside the subject. */
  codePreview(code: string, validity: string): string;
  /** To the address that was replaced. `newEmail` is masked. */
  readonly emailChanged: {
    subject(brand: string): string;
    heading: string;
    intro(brand: string, newEmail: string): string;
    advice: string;
  };
  readonly notYou: string;
  neverAsked(brand: string): string;
  readonly labels: {
    readonly device: string;
    readonly appVersion: string;
    readonly time: string;
    readonly place: string;
    readonly ipAddress: string;
    readonly newEmail: string;
  };
  readonly platforms: { readonly IOS: string; readonly ANDROID: string; readonly WEB: string };
  readonly unknown: string;
  /** Says that a place is approximate, and comes from the IP address. */
  readonly placeIsApproximate: string;
  /** Why the reader gets this, as the last line. */
  footer(brand: string): string;
}

const languages: readonly Messages[] = [en, ru];

/** The languages that there are texts in, as BCP 47 tags; the first is what others fall back to. */
export const supportedLocales: readonly string[] = languages.map(({ locale }) => locale);

/** The texts in the language of a BCP 47 tag, whatever its region (`ru-KZ` is Russian); English for any other. */
export function messagesFor(locale: string): Messages {
  const language = languageOf(locale);
  return languages.find((messages) => languageOf(messages.locale) === language) ?? en;
}

function languageOf(tag: string): string {
  try {
    return new Intl.Locale(tag).language;
  } catch {
    return '';
  }
}
