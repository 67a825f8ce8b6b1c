// What people read in answers, by language: the text of a refusal, of advice, of where a code goes.

import type { Advice } from '../domain/advice.ts';
import type { Reason } from '../domain/errors.ts';

export interface Texts {
  readonly locale: string;
  readonly reasons: Readonly<Record<Reason, string>>;
  readonly advice: Readonly<Record<Advice, string>>;
  readonly devices: (count: number) => string;
}

const en: Texts = {
  locale: 'en',
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'This version of the app is too old. Please update it.',
    CLIENT_VERSION_MISSING: 'This app does not say which version it is. Please update it.',
    CLIENT_VERSION_INVALID: 'This app does not say properly which version it is. Please update it.',
    CREDENTIALS_INCORRECT: 'The e-mail address or the password is not right.',
    SESSION_INVALID: 'You are signed out. Please sign in again.',
    SERVICE_TOKEN_INVALID: 'The service token is missing or unknown.',
    SCOPE_MISSING: 'The service token does not allow this call.',
    DEVICE_NOT_TRUSTED: 'Only a trusted device can do this.',
    CODE_INCORRECT: 'This code is not right.',
    CHALLENGE_UNKNOWN: 'This sign-in is not known any more. Please start again.',
    CHALLENGE_EXPIRED: 'The time for this code is over. Please start again.',
    CHALLENGE_CLOSED: 'This code can not be used any more. Please start again.',
    SEND_TOO_SOON: 'A code was sent just now. Please wait a moment before you ask for it again.',
    SENDS_EXHAUSTED: 'The code can not be sent again this way.',
    CHANNEL_UNAVAILABLE: 'The code can not be sent this way.',
    RATE_LIMITED: 'Too many tries. Please wait.',
    VERIFICATION_LOCKED: 'Too many wrong codes. Reset your password to go on.',
    DEVICE_UNKNOWN: 'This device is not in the list.',
    EVENT_UNKNOWN: 'This entry is not in the list.',
    ACCOUNT_UNKNOWN: 'There is no such account.',
    ACCOUNT_EXISTS: 'There is an account with this e-mail address already.',
    PASSWORD_WEAK: 'Please choose a stronger password.',
    REQUEST_INVALID: 'Something is missing or not right in what was entered.',
    DEPENDENCY_UNAVAILABLE: 'This does not work right now. Please try again in a moment.',
  },
  advice: {
    CHANGE_PASSWORD: 'Choose a new password.',
    CHANGE_PASSWORD_ELSEWHERE: 'If you use this password elsewhere, change it there too.',
    REVIEW_TRUSTED_DEVICES: 'Look through your trusted devices and remove what is not yours.',
    CHECK_MAILBOX: 'Make sure that nobody else can read your mailbox.',
  },
  devices: (count) => (count === 1 ? '1 trusted device' : `${count} trusted devices`),
};

const russianPlural = new Intl.PluralRules('ru');
const russianDevices: Readonly<Partial<Record<Intl.LDMLPluralRule, string>>> = {
  one: 'доверенное устройство',
  few: 'доверенных устройства',
};

const ru: Texts = {
  locale: 'ru',
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Эта версия приложения устарела. Обновите приложение.',
    CLIENT_VERSION_MISSING: 'Приложение не сообщает свою версию. Обновите приложение.',
    CLIENT_VERSION_INVALID: 'Приложение неверно сообщает свою версию. Обновите приложение.',
    CREDENTIALS_INCORRECT: 'Неверный адрес электронной почты или пароль.',
    SESSION_INVALID: 'Вы вышли из аккаунта. Войдите снова.',
    SERVICE_TOKEN_INVALID: 'Токен сервиса не указан или неизвестен.',
    SCOPE_MISSING: 'Токен сервиса не разрешает этот вызов.',
    DEVICE_NOT_TRUSTED: 'Это можно сделать только на доверенном устройстве.',
    CODE_INCORRECT: 'Неверный код.',
    CHALLENGE_UNKNOWN: 'Этот вход больше не действителен. Начните сначала.',
    CHALLENGE_EXPIRED: 'Срок действия кода истёк. Начните сначала.',
    CHALLENGE_CLOSED: 'Этот код больше нельзя использовать. Начните сначала.',
    SEND_TOO_SOON: 'Код только что отправлен. Подождите немного, прежде чем запросить его снова.',
    SENDS_EXHAUSTED: 'Этим способом код больше отправить нельзя.',
    CHANNEL_UNAVAILABLE: 'Этим способом код отправить нельзя.',
    RATE_LIMITED: 'Слишком много попыток. Подождите.',
    VERIFICATION_LOCKED: 'Слишком много неверных кодов. Чтобы продолжить, смените пароль.',
    DEVICE_UNKNOWN: 'Этого устройства нет в списке.',
    EVENT_UNKNOWN: 'Этой записи нет в списке.',
    ACCOUNT_UNKNOWN: 'Такого аккаунта нет.',
    ACCOUNT_EXISTS: 'Аккаунт с этим адресом электронной почты уже есть.',
    PASSWORD_WEAK: 'Выберите более надёжный пароль.',
    REQUEST_INVALID: 'Что-то не указано или указано неверно.',
    DEPENDENCY_UNAVAILABLE: 'Сейчас это не работает. Попробуйте чуть позже.',
  },
  advice: {
    CHANGE_PASSWORD: 'Смените пароль.',
    CHANGE_PASSWORD_ELSEWHERE: 'Если вы используете этот пароль где-то ещё, смените его и там.',
    REVIEW_TRUSTED_DEVICES: 'Проверьте доверенные устройства и удалите чужие.',
    CHECK_MAILBOX: 'Убедитесь, что никто другой не читает вашу почту.',
  },
  devices: (count) => `${count} ${russianDevices[russianPlural.select(count)] ?? 'доверенных устройств'}`,
};

const byLocale: ReadonlyMap<string, Texts> = new Map([en, ru].map((texts) => [texts.locale, texts]));

export const answerLocales: readonly string[] = [...byLocale.keys()];

/** The texts of a language; English where there are none. */
export function textsFor(locale: string): Texts {
  return byLocale.get(locale) ?? en;
}
