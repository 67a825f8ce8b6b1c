// The French texts. This file knows no layout. Spaces before : and within « » do not break (\u00a0).

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

const minutes = counted('fr', { one: 'minute', other: 'minutes' });

export const fr: Texts = {
  locale: 'fr',
  colon: '\u00a0: ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Votre code de connexion à ${brand}`,
      heading: 'Votre code de connexion',
      intro: (brand) =>
        `Quelqu’un a saisi votre mot de passe et se connecte à ${brand}. Si c’est vous, saisissez ce code là où vous vous connectez.`,
      validity: (count) => `Ce code est valable ${minutes(count)}, pour cette connexion uniquement.`,
      advice:
        'Ne communiquez ce code à personne. Quelqu’un connaît votre mot de passe\u00a0: changez-le dès maintenant, ainsi que partout où vous l’utilisez.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Votre code pour désactiver la validation en deux étapes de ${brand}`,
      heading: 'Votre code pour désactiver la validation en deux étapes',
      intro: (brand) =>
        `Quelqu’un est connecté à votre compte et souhaite désactiver la validation en deux étapes de ${brand}. Si c’est vous, saisissez ce code là où vous l’avez demandé. Ensuite, votre mot de passe suffira pour se connecter.`,
      validity: (count) => `Ce code est valable ${minutes(count)}, pour cette modification uniquement.`,
      advice:
        'Ne communiquez ce code à personne. Quelqu’un utilise votre compte et connaît peut-être votre mot de passe\u00a0: changez-le dès maintenant, puis retirez de vos appareils de confiance ceux que vous ne connaissez pas.',
    },
  },
  codePreview: (code, validity) => `Code ${code}. ${validity}`,
  neverAsked: (brand) =>
    `Personne chez ${brand} ne vous demandera jamais ce code, ni par téléphone ni dans un message.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `Nouvelle connexion à votre compte ${brand}`,
      heading: 'Nouvelle connexion à votre compte',
      intro: (brand) =>
        `Un nouvel appareil s’est connecté à votre compte ${brand}. Si c’était vous, vous n’avez rien à faire.`,
      advice:
        'Changez votre mot de passe dès maintenant, ainsi que partout où vous l’utilisez. Retirez ensuite de vos appareils de confiance ceux que vous ne connaissez pas.',
      pushAdvice: 'Si ce n’était pas vous, changez votre mot de passe dès maintenant.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Validation en deux étapes désactivée pour votre compte ${brand}`,
      heading: 'La validation en deux étapes a été désactivée',
      intro: (brand) =>
        `La validation en deux étapes de votre compte ${brand} a été désactivée. Désormais, votre mot de passe suffit pour se connecter.`,
      advice:
        'Changez votre mot de passe dès maintenant et réactivez la validation en deux étapes. Retirez ensuite de vos appareils de confiance ceux que vous ne connaissez pas.',
      pushAdvice: 'Si ce n’était pas vous, changez votre mot de passe dès maintenant.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Validation en deux étapes activée pour votre compte ${brand}`,
      heading: 'La validation en deux étapes a été activée',
      intro: (brand) =>
        `La validation en deux étapes de votre compte ${brand} a été activée. Désormais, il faut votre mot de passe et un code pour se connecter sur un nouvel appareil.`,
      advice:
        'Il se peut que quelqu’un d’autre utilise votre compte. Changez votre mot de passe dès maintenant, puis retirez de vos appareils de confiance ceux que vous ne connaissez pas.',
      pushAdvice: 'Si ce n’était pas vous, changez votre mot de passe dès maintenant.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `Un appareil de confiance a été retiré de votre compte ${brand}`,
      heading: 'Un appareil de confiance a été retiré',
      intro: (brand) =>
        `Un appareil a été déconnecté et retiré des appareils de confiance de votre compte ${brand}. Pour vous y reconnecter, vous aurez besoin d’un code.`,
      advice:
        'Il se peut que quelqu’un d’autre utilise votre compte. Changez votre mot de passe dès maintenant, puis retirez de vos appareils de confiance ceux que vous ne connaissez pas.',
      pushAdvice: 'Si ce n’était pas vous, changez votre mot de passe dès maintenant.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `Le mot de passe de votre compte ${brand} a été modifié`,
      heading: 'Votre mot de passe a été modifié',
      intro: (brand) =>
        `Le mot de passe de votre compte ${brand} a été modifié. Si c’était vous, connectez-vous désormais avec le nouveau mot de passe.`,
      advice:
        'Réinitialisez immédiatement votre mot de passe et vérifiez que personne d’autre ne peut lire votre messagerie. Si vous n’arrivez pas à accéder à votre compte, contactez l’assistance.',
      pushAdvice: 'Si ce n’était pas vous, réinitialisez vite votre mot de passe.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `Tentative d’accès à votre compte ${brand} bloquée`,
      heading: 'Une tentative de connexion a été bloquée',
      intro: (brand) =>
        `Quelqu’un a tenté d’accéder à votre compte ${brand} avec votre mot de passe. Sur l’un de vos appareils de confiance ou depuis notre e-mail, la réponse a été «\u00a0Ce n’était pas moi\u00a0»\u00a0: la tentative a donc été bloquée.`,
      advice:
        'La personne à l’origine de cette tentative connaît votre mot de passe. Changez-le dès maintenant, ainsi que partout où vous l’utilisez. Passez ensuite en revue vos appareils de confiance et retirez ceux qui ne sont pas à vous.',
      pushAdvice: 'Quelqu’un connaît votre mot de passe\u00a0: changez-le dès maintenant.',
    },
  },
  emailChanged: {
    subject: (brand) => `L’adresse e-mail de votre compte ${brand} a été modifiée`,
    heading: 'Votre adresse e-mail a été modifiée',
    intro: (brand, newEmail) =>
      `L’adresse e-mail de votre compte ${brand} est désormais ${newEmail}. Les codes et les notifications y seront envoyés. Ceci est le dernier message envoyé à cette adresse.`,
    advice: 'Contactez immédiatement l’assistance\u00a0: quelqu’un d’autre contrôle peut-être votre compte.',
  },
  notYou: 'Si ce n’était pas vous',
  whatNow: 'Ce que vous devez faire maintenant',
  wasNotMe: 'Ce n’était pas moi',
  pageAsksFirst:
    'Une page s’ouvre et vous demande confirmation avant de faire quoi que ce soit. Elle ne demande jamais votre mot de passe.',
  contactSupport: 'Contacter l’assistance',
  labels: {
    device: 'Appareil',
    removedDevice: 'Appareil retiré',
    appVersion: 'Version de l’application',
    time: 'Date et heure',
    place: 'Lieu',
    ipAddress: 'Adresse IP',
    newEmail: 'Nouvelle adresse',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'navigateur web' },
  unknown: 'inconnu',
  placeIsApproximate: 'approximatif, d’après l’adresse IP',
  footer: (brand) =>
    `${brand} envoie ce message pour protéger votre compte. Il ne contient aucun lien permettant de se connecter.`,
  push: {
    openTheApp: 'Ouvrez l’application pour voir le code.',
    deviceIn: (device, place) => `${device} (${place})`,
  },
  denyPage: {
    ask: {
      heading: 'Ce n’était pas vous\u00a0?',
      intro: (brand) =>
        `Dites à ${brand} que ce n’était pas vous, et nous protégerons votre compte. Si vous appuyez sur le bouton\u00a0:`,
      effects: [
        'La tentative est close et son code n’est plus valable.',
        'Si elle a déjà abouti, l’appareil est déconnecté et retiré de vos appareils de confiance, et il vous faudra un nouveau mot de passe.',
      ],
      otherwise: 'Si c’était bien vous, fermez simplement cette page. Rien n’a encore été fait.',
    },
    done: {
      heading: 'Merci. Votre compte est protégé.',
      intro: 'La tentative est close. Si un appareil s’était ainsi connecté, il a été déconnecté et retiré.',
    },
    over: {
      heading: 'Il n’y a plus rien à faire ici',
      intro:
        'Ce lien a déjà été utilisé, ou ce qu’il concerne est terminé. En cas de doute, changez votre mot de passe.',
    },
    invalid: {
      heading: 'Ce lien ne fonctionne pas',
      intro:
        'Il est incomplet ou trop ancien. Ouvrez-le à nouveau depuis le message le plus récent. En cas de doute sur la sécurité de votre compte, changez votre mot de passe.',
    },
    unavailable: {
      heading: 'Cela ne fonctionne pas pour le moment',
      intro: 'Réessayez dans un instant\u00a0: ouvrez à nouveau le lien du message.',
    },
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Cette version de l’application est trop ancienne. Veuillez la mettre à jour.',
    CLIENT_VERSION_MISSING: 'Cette application n’indique pas sa version. Veuillez la mettre à jour.',
    CLIENT_VERSION_INVALID: 'Cette application n’indique pas correctement sa version. Veuillez la mettre à jour.',
    CREDENTIALS_INCORRECT: 'L’adresse e-mail ou le mot de passe est incorrect.',
    SESSION_INVALID: 'Votre session est terminée. Veuillez vous reconnecter.',
    SERVICE_TOKEN_INVALID: 'Le jeton de service est absent ou inconnu.',
    SCOPE_MISSING: 'Le jeton de service n’autorise pas cet appel.',
    DEVICE_NOT_TRUSTED: 'Seul un appareil de confiance peut faire cela.',
    CODE_INCORRECT: 'Ce code est incorrect.',
    CHALLENGE_UNKNOWN: 'Cette connexion n’est plus connue. Veuillez recommencer.',
    CHALLENGE_EXPIRED: 'Ce code a expiré. Veuillez recommencer.',
    CHALLENGE_CLOSED: 'Ce code ne peut plus être utilisé. Veuillez recommencer.',
    SEND_TOO_SOON: 'Un code vient d’être envoyé. Veuillez patienter un instant avant d’en redemander un.',
    SENDS_EXHAUSTED: 'Le code ne peut plus être envoyé par ce moyen.',
    CHANNEL_UNAVAILABLE: 'Le code ne peut pas être envoyé par ce moyen.',
    RATE_LIMITED: 'Trop de tentatives. Veuillez patienter.',
    VERIFICATION_LOCKED: 'Trop de codes incorrects. Réinitialisez votre mot de passe pour continuer.',
    DEVICE_UNKNOWN: 'Cet appareil n’est pas dans la liste.',
    EVENT_UNKNOWN: 'Cette entrée n’est pas dans la liste.',
    ACCOUNT_UNKNOWN: 'Ce compte n’existe pas.',
    ACCOUNT_EXISTS: 'Un compte existe déjà avec cette adresse e-mail.',
    PASSWORD_WEAK: 'Veuillez choisir un mot de passe plus sûr.',
    REQUEST_INVALID: 'Une information est manquante ou incorrecte.',
    DEPENDENCY_UNAVAILABLE: 'Cela ne fonctionne pas pour le moment. Veuillez réessayer dans un instant.',
  },
  advice: {
    CHANGE_PASSWORD: 'Choisissez un nouveau mot de passe.',
    CHANGE_PASSWORD_ELSEWHERE: 'Si vous utilisez ce mot de passe ailleurs, changez-le aussi là-bas.',
    REVIEW_TRUSTED_DEVICES: 'Passez en revue vos appareils de confiance et retirez ceux qui ne sont pas à vous.',
    CHECK_MAILBOX: 'Vérifiez que personne d’autre ne peut lire votre messagerie.',
  },
  devices: counted('fr', { one: 'appareil de confiance', other: 'appareils de confiance' }),
};
