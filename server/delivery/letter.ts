// Message → letter: what a mail says, in the reader's language, before it is text or HTML. Knows no layout.

import type { AlertKind } from '../domain/alert.ts';
import { attributionOf, dateAndTime, describeDevice, placeInWords } from '../texts/facts.ts';
import type { Brand } from '../texts/look.ts';
import { type Texts, textsFor } from '../texts/texts.ts';
import { oneLine, untrusted } from '../texts/untrusted.ts';
import { unusualInWords } from '../texts/unusual.ts';
import type { AlertMessage, CodeMessage, EmailChangedMessage, Message, PasswordResetMessage } from './message.ts';

export interface Letter {
  readonly texts: Texts;
  readonly brandName: string;
  readonly subject: string;
  /** The line beside the subject, at most 140 characters. */
  readonly preview: string;
  readonly heading: string;
  readonly intro: string;
  readonly code: { readonly digits: string; readonly validity: string } | undefined;
  /** What to open; holds a secret. */
  readonly link: { readonly label: string; readonly url: string; readonly validity: string } | undefined;
  readonly facts: readonly Fact[];
  /** What to do if it was somebody else. */
  readonly advice: {
    readonly title: string;
    readonly sentences: readonly string[];
    readonly deny: { readonly label: string; readonly url: string; readonly note: string } | undefined;
    readonly support: { readonly label: string; readonly text: string; readonly url: string } | undefined;
  };
  readonly footer: string;
  /** Whom the place data's licence has us name. */
  readonly attribution: { readonly text: string; readonly url: string } | undefined;
}

export interface Fact {
  readonly label: string;
  /** Several stand on a line each. */
  readonly value: string | readonly string[];
  readonly note?: string;
}

export function writeLetter(message: Message, locale: string, brand: Brand): Letter {
  const texts = textsFor(locale);
  const brandName = oneLine(brand.name, 60);
  switch (message.kind) {
    case 'code':
      return codeLetter(message, texts, locale, brand, brandName);
    case 'alert':
      return alertLetter(message, texts, locale, brand, brandName);
    case 'emailChanged':
      return emailChangedLetter(message, texts, locale, brand, brandName);
    case 'passwordReset':
      return passwordResetLetter(message, texts, locale, brand, brandName);
  }
}

function codeLetter(message: CodeMessage, texts: Texts, locale: string, brand: Brand, brandName: string): Letter {
  const purpose = texts.code[message.purpose];
  const validity = purpose.validity(message.minutesValid);
  return {
    texts,
    brandName,
    subject: purpose.subject(brandName),
    preview: oneLine(texts.codePreview(message.code, validity), 140),
    heading: purpose.heading,
    intro: purpose.intro(brandName),
    code: { digits: message.code, validity },
    link: undefined,
    facts: [
      ...deviceFacts(message.device, texts.labels.device, texts),
      timeFact(message.time, locale, texts),
      ...originFacts({ ...message, place: message.place ?? null }, texts),
    ],
    advice: {
      title: texts.notYou,
      sentences: [purpose.advice, texts.neverAsked(brandName)],
      ...waysOut(message.denyUrl, brand, texts),
    },
    footer: texts.footer(brandName),
    attribution: attributionOf(message.place),
  };
}

function alertLetter(message: AlertMessage, texts: Texts, locale: string, brand: Brand, brandName: string): Letter {
  const { subject, heading, intro, advice } = texts.alerts[message.alert];
  const label = message.alert === 'DEVICE_REMOVED' ? texts.labels.removedDevice : texts.labels.device;
  return {
    texts,
    brandName,
    subject: subject(brandName),
    preview: oneLine(intro(brandName), 140),
    heading,
    intro: intro(brandName),
    code: undefined,
    link: undefined,
    facts: [
      ...(message.device === null ? [] : deviceFacts(message.device, label, texts)),
      timeFact(message.time, locale, texts),
      ...originFacts(message, texts),
      ...unusualFacts(message, texts),
    ],
    advice: {
      title: adviceTitle(message.alert, texts),
      sentences: [advice],
      ...waysOut(message.denyUrl, brand, texts),
    },
    footer: texts.footer(brandName),
    attribution: attributionOf(message.place),
  };
}

function adviceTitle(alert: AlertKind, texts: Texts): string {
  return alert === 'CHALLENGE_DENIED' ? texts.whatNow : texts.notYou;
}

function emailChangedLetter(
  message: EmailChangedMessage,
  texts: Texts,
  locale: string,
  brand: Brand,
  brandName: string,
): Letter {
  const { subject, heading, intro, advice } = texts.emailChanged;
  const newEmail = oneLine(message.newEmailMasked, 320);
  return {
    texts,
    brandName,
    subject: subject(brandName),
    preview: oneLine(intro(brandName, newEmail), 140),
    heading,
    intro: intro(brandName, newEmail),
    code: undefined,
    link: undefined,
    facts: [{ label: texts.labels.newEmail, value: newEmail }, timeFact(message.time, locale, texts)],
    advice: { title: texts.notYou, sentences: [advice], ...waysOut(undefined, brand, texts) },
    footer: texts.footer(brandName),
    attribution: undefined,
  };
}

function passwordResetLetter(
  message: PasswordResetMessage,
  texts: Texts,
  locale: string,
  brand: Brand,
  brandName: string,
): Letter {
  const { subject, heading, intro, button, validity, advice, footer } = texts.passwordReset;
  return {
    texts,
    brandName,
    subject: subject(brandName),
    preview: oneLine(intro(brandName), 140),
    heading,
    intro: intro(brandName),
    code: undefined,
    link: { label: button, url: message.resetUrl, validity: validity(message.minutesValid) },
    facts: [timeFact(message.time, locale, texts)],
    advice: { title: texts.notYou, sentences: [advice], ...waysOut(undefined, brand, texts) },
    footer: footer(brandName),
    attribution: undefined,
  };
}

function deviceFacts(device: CodeMessage['device'], label: string, texts: Texts): readonly Fact[] {
  return [
    { label, value: describeDevice(device, texts) },
    { label: texts.labels.appVersion, value: untrusted(device.appVersion) || texts.unknown },
  ];
}

function timeFact(time: Date, locale: string, texts: Texts): Fact {
  return { label: texts.labels.time, value: dateAndTime(time, locale, texts) };
}

function originFacts({ place, ipAddress }: Pick<AlertMessage, 'place' | 'ipAddress'>, texts: Texts): readonly Fact[] {
  const words = placeInWords(place, texts);
  const facts: Fact[] = [];
  if (words !== '') facts.push({ label: texts.labels.place, value: words, note: texts.placeIsApproximate });
  else if (place !== undefined) facts.push({ label: texts.labels.place, value: texts.unknown });
  if (place !== undefined || ipAddress !== '') {
    facts.push({ label: texts.labels.ipAddress, value: ipAddress || texts.unknown });
  }
  return facts;
}

function unusualFacts({ findings }: AlertMessage, texts: Texts): readonly Fact[] {
  if (findings.length === 0) return [];
  return [{ label: texts.labels.unusual, value: findings.map((finding) => unusualInWords(finding, texts)) }];
}

function waysOut(
  denyUrl: string | undefined,
  { support }: Brand,
  texts: Texts,
): Pick<Letter['advice'], 'deny' | 'support'> {
  return {
    deny: denyUrl === undefined ? undefined : { label: texts.wasNotMe, url: denyUrl, note: texts.pageAsksFirst },
    support:
      support === undefined
        ? undefined
        : {
            label: texts.contactSupport,
            text: support,
            url: support.startsWith('https://') ? support : `mailto:${support}`,
          },
  };
}
