// The shape that every language's texts have, and how a language is chosen. This file knows no layout and no wire: texts
// are plain sentences without markup, and whoever shows them places and escapes them.

import type { Advice } from '../domain/advice.ts';
import type { AlertKind } from '../domain/alert.ts';
import type { Purpose } from '../domain/challenge.ts';
import type { Platform } from '../domain/device.ts';
import type { Reason } from '../domain/errors.ts';
import type { PasswordWeakness } from '../domain/password.ts';
import type { AnonymousKind } from '../domain/place.ts';
import { de } from './de.ts';
import { en } from './en.ts';
import { es } from './es.ts';
import { fr } from './fr.ts';
import { it } from './it.ts';
import { ja } from './ja.ts';
import { pl } from './pl.ts';
import { ptBR } from './pt-BR.ts';
import { ru } from './ru.ts';
import { tr } from './tr.ts';
import { uk } from './uk.ts';
import { zhHans } from './zh-Hans.ts';

/** The texts of one challenge purpose. */
export interface CodeTexts {
  /** Names the purpose, never the code: subjects show on locked screens and in logs. */
  subject(brand: string): string;
  /** Also the title of a push: at most 60 characters, without the brand. */
  readonly heading: string;
  /** Who asks for the code, and where to enter it. */
  intro(brand: string): string;
  /** How long the code is valid, in whole minutes, and what for. */
  validity(minutes: number): string;
  /** What to do if it was somebody else; follows `notYou`. */
  readonly advice: string;
}

/** The texts of something that an account's owner is told of without having asked. */
export interface AlertTexts {
  subject(brand: string): string;
  /** Also the title of a push: at most 60 characters, without the brand. */
  readonly heading: string;
  /** What happened, and what it means from now on. */
  intro(brand: string): string;
  /** Follows `notYou`; for CHALLENGE_DENIED `whatNow`, since somebody has said already that it was not them. */
  readonly advice: string;
  /** The advice in one sentence of at most 80 characters. */
  readonly pushAdvice: string;
}

/** A page's heading, and the paragraph under it. */
export interface PageTexts {
  readonly heading: string;
  readonly intro: string;
}

/** All texts of one language. */
export interface Texts {
  /** BCP 47; the language of the texts, of dates and of country names. */
  readonly locale: string;
  /** Between a label and what it labels, with the spaces that the language has there. */
  readonly colon: string;
  /** Something, and a note on it in brackets. */
  remark(subject: string, note: string): string;

  readonly code: Readonly<Record<Purpose, CodeTexts>>;
  /** The line that mail programs show beside the subject. */
  codePreview(code: string, validity: string): string;
  neverAsked(brand: string): string;
  readonly alerts: Readonly<Record<AlertKind, AlertTexts>>;
  /** To the address that was replaced. `newEmail` is masked. */
  readonly emailChanged: {
    subject(brand: string): string;
    readonly heading: string;
    intro(brand: string, newEmail: string): string;
    readonly advice: string;
  };
  /** The mail with a link that sets a new password. */
  readonly passwordReset: {
    subject(brand: string): string;
    readonly heading: string;
    /** Who asked for it, and what to do. */
    intro(brand: string): string;
    readonly button: string;
    /** How long the link works, and that it works once. */
    validity(minutes: number): string;
    /** What to do if it was somebody else; follows `notYou`. */
    readonly advice: string;
    /** In place of the other `footer`: says what its link is good for. */
    footer(brand: string): string;
  };
  /**
   * Why a sign-in is odd, a phrase each, without full stop. No preposition stands before a place: none is right before every
   * country's name.
   */
  readonly unusual: {
    readonly NEW_DEVICE: string;
    /** The name of the country, in this language. */
    NEW_COUNTRY(country: string): string;
    /** `2,400 km in 40 minutes`: the distance as this language writes it, and a time of `elapsed`. */
    IMPOSSIBLE_TRAVEL(distance: string, elapsed: string): string;
    /** Kinds as `anonymousKinds` names them, at least one. */
    ANONYMOUS_NETWORK(kinds: readonly string[]): string;
  };
  /**
   * In the grammatical case that IMPOSSIBLE_TRAVEL takes, which Intl's units do not know: `in 3 Tagen`, not `in 3 Tage`;
   * `за 21 минуту`, not `за 21 минута`.
   */
  readonly elapsed: {
    minutes(count: number): string;
    hours(count: number): string;
    days(count: number): string;
  };
  /** A label within a phrase: where the account was used before. */
  readonly previousPlace: string;
  readonly anonymousKinds: Readonly<Record<AnonymousKind, string>>;
  readonly notYou: string;
  readonly whatNow: string;
  /** On the button that says it, in mails and on the page behind it; no grammatical gender. */
  readonly wasNotMe: string;
  /** Says of that page that it asks before it does anything. */
  readonly pageAsksFirst: string;
  /** A label: how to reach support follows. */
  readonly contactSupport: string;
  readonly labels: {
    readonly device: string;
    readonly removedDevice: string;
    readonly appVersion: string;
    readonly time: string;
    readonly place: string;
    readonly ipAddress: string;
    readonly newEmail: string;
    /** Before what was odd. */
    readonly unusual: string;
  };
  readonly platforms: Readonly<Record<Platform, string>>;
  readonly unknown: string;
  /** Says that a place is approximate, and comes from the IP address. */
  readonly placeIsApproximate: string;
  /** Why the reader gets this, as the last line. It stays true where there is a `wasNotMe` button. */
  footer(brand: string): string;

  readonly push: {
    /** In place of the code. */
    readonly openTheApp: string;
    /** `place` is a town with a country code: `Berlin, DE`. */
    deviceIn(device: string, place: string): string;
  };

  /** The page behind `wasNotMe`. */
  readonly denyPage: {
    /** Asks. */
    readonly ask: {
      readonly heading: string;
      intro(brand: string): string;
      /** What the button does to an attempt that a code was asked for, a sentence each. */
      readonly effects: readonly string[];
      /** What it does to a sign-in that no code was asked for. */
      readonly eventEffects: readonly string[];
      /** What to do where it was the reader after all. */
      readonly otherwise: string;
    };
    /** `whatNow` and advice follow. */
    readonly done: PageTexts & {
      /** In place of `intro`, of a sign-in that no code was asked for. */
      readonly eventIntro: string;
    };
    readonly over: PageTexts;
    readonly invalid: PageTexts;
    readonly unavailable: PageTexts;
  };

  /** The page behind the link of `passwordReset`. */
  readonly resetPage: {
    /** Asks for the new password. */
    readonly ask: {
      readonly heading: string;
      intro(brand: string): string;
      readonly newPassword: string;
      /** What a good one is, in one sentence. */
      readonly hint: string;
      /** Beside a box: whether every trusted device is to lose its trust too. */
      readonly endTrustedDevices: string;
      readonly button: string;
    };
    readonly done: PageTexts;
    /** The link was used, is too old, or is none. */
    readonly invalid: PageTexts;
    readonly unavailable: PageTexts;
  };

  /** Why a new password was not taken, in one sentence each. */
  readonly weaknesses: Readonly<Record<PasswordWeakness, string>>;
  /** Why a call was refused, for people. */
  readonly reasons: Readonly<Record<Reason, string>>;
  /** Why an older generation of the app, which asks no code, does not let its user in, and what to do. */
  readonly twoStepRequired: string;
  readonly advice: Readonly<Record<Advice, string>>;
  /** Where a code goes: a number of trusted devices. */
  devices(count: number): string;
}

const languages: readonly Texts[] = [en, ru, de, fr, es, ptBR, it, pl, tr, uk, ja, zhHans];

const byLocale: ReadonlyMap<string, Texts> = new Map(languages.map((texts) => [texts.locale, texts]));

/** By language and script, so that regions find their texts: `pt-PT` those of `pt-BR`, `zh-SG` those of `zh-Hans`. */
const byScript: ReadonlyMap<string, Texts> = new Map(languages.map((texts) => [scriptOf(texts.locale), texts]));

/** The languages that there are texts in, as BCP 47 tags; the first is what others fall back to. */
export const supportedLocales: readonly string[] = languages.map(({ locale }) => locale);

/** The texts in the language of a BCP 47 tag, whatever its region (`ru-KZ` is Russian); English for any other. */
export function textsFor(locale: string): Texts {
  return textsIn(locale) ?? en;
}

/**
 * The texts in the language of a BCP 47 tag, if there are any. Traditional Chinese (`zh-Hant`, `zh-TW`, `zh-HK`) has
 * none: as in CLDR, whose zh-Hant has no parent, it does not inherit from Simplified.
 */
export function textsIn(locale: string): Texts | undefined {
  return byLocale.get(locale) ?? byScript.get(scriptOf(locale));
}

/** `zh-Hant` of `zh-TW`, by CLDR's likely subtags; '' for what is no tag. */
export function scriptOf(tag: string): string {
  try {
    const { language, script } = new Intl.Locale(tag).maximize();
    return `${language}-${script}`;
  } catch {
    return '';
  }
}
