// The Russian texts. This file knows no layout.

import type { Messages } from './messages.ts';

export const ru: Messages = {
  locale: 'ru',
  codeForSignIn: {
    subject: (brand) => `Код для входа в ${brand}`,
    heading: 'Код для входа',
    intro: (brand) =>
      `Кто-то ввёл ваш пароль и входит в ${brand}. Если это вы, введите этот код там, где выполняете вход.`,
    validity: (minutes) => `Код действует ${inMinutes(minutes)} и подходит только для этого входа.`,
    advice:
      'Никому не сообщайте этот код. Кто-то знает ваш пароль: смените его сейчас же — и везде, где вы его используете.',
  },
  codeForSwitchOff: {
    subject: (brand) => `Код для отключения двухэтапной проверки в ${brand}`,
    heading: 'Код для отключения двухэтапной проверки',
    intro: (brand) =>
      `Кто-то вошёл в ваш аккаунт и хочет отключить двухэтапную проверку в ${brand}. Если это вы, введите этот код там, где вы его запросили. После этого для входа будет достаточно одного пароля.`,
    validity: (minutes) => `Код действует ${inMinutes(minutes)} и подходит только для этого изменения.`,
    advice:
      'Никому не сообщайте этот код. Кто-то пользуется вашим аккаунтом и, возможно, знает ваш пароль: смените его сейчас же, а затем удалите незнакомые устройства из списка доверенных.',
  },
  codePreview: (code, validity) => `Код ${code}. ${validity}`,
  emailChanged: {
    subject: (brand) => `Адрес электронной почты вашего аккаунта ${brand} изменён`,
    heading: 'Ваш адрес электронной почты изменён',
    intro: (brand, newEmail) =>
      `Адрес электронной почты вашего аккаунта ${brand} теперь ${newEmail}. Коды и уведомления будут приходить туда. На этот адрес мы больше писать не будем.`,
    advice: 'Немедленно обратитесь в службу поддержки: возможно, вашим аккаунтом управляет кто-то другой.',
  },
  notYou: 'Если это были не вы',
  neverAsked: (brand) =>
    `Сотрудники ${brand} никогда не попросят вас назвать этот код — ни по телефону, ни в сообщении.`,
  labels: {
    device: 'Устройство',
    appVersion: 'Версия приложения',
    time: 'Время',
    place: 'Место',
    ipAddress: 'IP-адрес',
    newEmail: 'Новый адрес',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'браузер' },
  unknown: 'неизвестно',
  placeIsApproximate: 'приблизительно, по IP-адресу',
  footer: (brand) => `${brand} отправляет это письмо для защиты вашего аккаунта. В нём нет ссылок для входа.`,
};

const plural = new Intl.PluralRules('ru');

// The accusative: 1 минуту, 2 минуты, 5 минут.
function inMinutes(count: number): string {
  const form = plural.select(count);
  return `${count} ${form === 'one' ? 'минуту' : form === 'many' ? 'минут' : 'минуты'}`;
}
