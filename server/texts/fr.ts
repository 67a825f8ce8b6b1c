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
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Connexion inhabituelle à votre compte ${brand}`,
      heading: 'Connexion inhabituelle à votre compte',
      intro: (brand) =>
        `Quelqu’un s’est connecté à votre compte ${brand} d’une manière inhabituelle. Si c’était vous, vous n’avez rien à faire.`,
      advice:
        'Changez votre mot de passe dès maintenant, ainsi que partout où vous l’utilisez. Retirez ensuite de vos appareils de confiance celui qui est indiqué ici et tous ceux que vous ne connaissez pas.',
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
    CODE_NOT_SENT: {
      subject: (brand) => `Quelqu’un a tenté de se connecter à ${brand} avec votre mot de passe`,
      heading: 'Une connexion avec votre mot de passe a été arrêtée',
      intro: (brand) =>
        `Quelqu’un a saisi votre mot de passe pour se connecter à ${brand} et n’a pas pu entrer\u00a0: aucun appareil de confiance ne pouvait afficher le code. Si c’était vous, ouvrez l’application sur l’un de vos appareils de confiance, puis réessayez. Si vous n’en avez plus, contactez l’assistance.`,
      advice: 'Quelqu’un connaît votre mot de passe. Changez-le dès maintenant, ainsi que partout où vous l’utilisez.',
      pushAdvice: 'Si ce n’était pas vous, changez votre mot de passe dès maintenant.',
    },
  },
  emailChanged: {
    subject: (brand) => `L’adresse e-mail de votre compte ${brand} a été modifiée`,
    heading: 'Votre adresse e-mail a été modifiée',
    intro: (brand, newEmail) =>
      `L’adresse e-mail de votre compte ${brand} est désormais ${newEmail}. Les codes et les notifications y seront envoyés. Ceci est le dernier message envoyé à cette adresse.`,
    advice: 'Contactez immédiatement l’assistance\u00a0: quelqu’un d’autre contrôle peut-être votre compte.',
  },
  passwordReset: {
    subject: (brand) => `Réinitialisation du mot de passe de votre compte ${brand}`,
    heading: 'Réinitialisation de votre mot de passe',
    intro: (brand) =>
      `Quelqu’un a demandé un nouveau mot de passe pour votre compte ${brand}. Si c’était vous, ouvrez le lien et choisissez-en un.`,
    button: 'Choisir un nouveau mot de passe',
    validity: (count) => `Ce lien est valable ${minutes(count)} et une seule fois. Ne le communiquez à personne.`,
    advice:
      'Vous n’avez rien à faire\u00a0: votre mot de passe reste inchangé. Si vous recevez souvent de tels messages, vérifiez que personne d’autre ne peut lire votre messagerie.',
    footer: (brand) =>
      `${brand} envoie ce message parce que quelqu’un a demandé un nouveau mot de passe. Son lien sert uniquement à en choisir un\u00a0: il ne permet pas de se connecter.`,
  },
  unusual: {
    NEW_DEVICE: 'Nouvel appareil',
    NEW_COUNTRY: (country) => `Nouveau pays\u00a0: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} en ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Réseau anonyme\u00a0: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('fr', { one: 'heure', other: 'heures' }),
    days: counted('fr', { one: 'jour', other: 'jours' }),
  },
  previousPlace: 'lieu précédent',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'centre de données',
    PUBLIC_PROXY: 'proxy public',
    RESIDENTIAL_PROXY: 'proxy résidentiel',
    TOR_EXIT: 'Tor',
    OTHER: 'type inconnu',
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
    unusual: 'Inhabituel',
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
      eventEffects: [
        'L’appareil est déconnecté et retiré de vos appareils de confiance.',
        'Il vous faudra un nouveau mot de passe.',
      ],
      otherwise: 'Si c’était bien vous, fermez simplement cette page. Rien n’a encore été fait.',
    },
    done: {
      heading: 'Merci. Votre compte est protégé.',
      intro: 'La tentative est close. Si un appareil s’était ainsi connecté, il a été déconnecté et retiré.',
      eventIntro: 'L’appareil a été déconnecté et retiré de vos appareils de confiance.',
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
  resetPage: {
    ask: {
      heading: 'Choisissez un nouveau mot de passe',
      intro: (brand) =>
        `Pour votre compte ${brand}. Tous les appareils seront ensuite déconnectés, et vous vous connecterez avec le nouveau mot de passe.`,
      newPassword: 'Nouveau mot de passe',
      hint: 'Au moins 8 caractères\u00a0: plusieurs mots sans rapport entre eux sont faciles à retenir et difficiles à deviner.',
      endTrustedDevices:
        'Retirer aussi tous les appareils de confiance\u00a0: chacun aura besoin d’un code à la prochaine connexion.',
      button: 'Enregistrer le mot de passe',
    },
    done: {
      heading: 'Votre mot de passe a été modifié',
      intro: 'Tous les appareils ont été déconnectés. Connectez-vous maintenant avec le nouveau mot de passe.',
    },
    invalid: {
      heading: 'Ce lien ne fonctionne pas',
      intro: 'Il a déjà été utilisé, est trop ancien ou incomplet. Demandez-en un nouveau là où vous vous connectez.',
    },
    unavailable: {
      heading: 'Cela ne fonctionne pas pour le moment',
      intro: 'Réessayez dans un instant\u00a0: ouvrez à nouveau le lien du message.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'Le mot de passe doit comporter au moins 8 caractères.',
    IS_EMAIL: 'Le mot de passe ne doit être ni votre adresse e-mail ni une partie de celle-ci.',
    ONE_CHARACTER: 'Le mot de passe ne doit pas être un seul caractère répété.',
    GUESSABLE: 'Ce mot de passe est trop facile à deviner.',
    BREACHED: 'Ce mot de passe est trop courant ou figure dans une fuite de données.',
    UNCHANGED: 'C’est votre mot de passe actuel.',
    TOO_LONG: 'Le mot de passe est trop long.',
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
    VERIFICATION_LOCKED: 'Trop de codes incorrects. Veuillez contacter l’assistance.',
    DEVICE_UNKNOWN: 'Cet appareil n’est pas dans la liste.',
    EVENT_UNKNOWN: 'Cette entrée n’est pas dans la liste.',
    RESET_TOKEN_INVALID: 'Ce lien a déjà été utilisé ou est trop ancien. Veuillez en demander un nouveau.',
    ACCOUNT_UNKNOWN: 'Ce compte n’existe pas.',
    ACCOUNT_EXISTS: 'Un compte existe déjà avec cette adresse e-mail.',
    ACCOUNTS_ELSEWHERE: 'Les comptes et les mots de passe sont gérés dans un autre système, pas ici.',
    PASSWORD_WEAK: 'Veuillez choisir un mot de passe plus sûr.',
    REQUEST_INVALID: 'Une information est manquante ou incorrecte.',
    DEPENDENCY_UNAVAILABLE: 'Cela ne fonctionne pas pour le moment. Veuillez réessayer dans un instant.',
  },
  twoStepRequired:
    'Votre compte est protégé par la validation en deux étapes, et cette version de l’application ne peut pas demander le code. Veuillez la mettre à jour.',
  advice: {
    CHANGE_PASSWORD: 'Choisissez un nouveau mot de passe.',
    CHANGE_PASSWORD_ELSEWHERE: 'Si vous utilisez ce mot de passe ailleurs, changez-le aussi là-bas.',
    REVIEW_TRUSTED_DEVICES: 'Passez en revue vos appareils de confiance et retirez ceux qui ne sont pas à vous.',
    CHECK_MAILBOX: 'Vérifiez que personne d’autre ne peut lire votre messagerie.',
  },
  devices: counted('fr', { one: 'appareil de confiance', other: 'appareils de confiance' }),
};
