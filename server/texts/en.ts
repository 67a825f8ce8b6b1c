// The English texts. This file knows no layout.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

const minutes = counted('en', { one: 'minute', other: 'minutes' });

export const en: Texts = {
  locale: 'en',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Your sign-in code for ${brand}`,
      heading: 'Your sign-in code',
      intro: (brand) =>
        `Somebody who entered your password is signing in to ${brand}. If it is you, enter this code where you are signing in.`,
      validity: (count) => `The code is valid for ${minutes(count)} and for this sign-in only.`,
      advice:
        'Don’t share this code with anyone. Somebody knows your password: change it now, and wherever else you use it.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Your code to turn off two-step verification for ${brand}`,
      heading: 'Your code to turn off two-step verification',
      intro: (brand) =>
        `Somebody signed in to your account wants to turn off two-step verification for ${brand}. If it is you, enter this code where you asked for it. After that, your password alone is enough to sign in.`,
      validity: (count) => `The code is valid for ${minutes(count)} and for this change only.`,
      advice:
        'Don’t share this code with anyone. Somebody is using your account and may know your password: change it now, then remove the devices you don’t know from your trusted devices.',
    },
  },
  codePreview: (code, validity) => `Code ${code}. ${validity}`,
  neverAsked: (brand) => `Nobody from ${brand} will ever ask you for this code, on the phone or in a message.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `New sign-in to your ${brand} account`,
      heading: 'New sign-in to your account',
      intro: (brand) =>
        `A new device signed in to your ${brand} account. If it was you, there is nothing you need to do.`,
      advice:
        'Change your password now, and wherever else you use it. Then remove the devices you don’t know from your trusted devices.',
      pushAdvice: 'If this wasn’t you, change your password now.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Unusual sign-in to your ${brand} account`,
      heading: 'Unusual sign-in to your account',
      intro: (brand) =>
        `Somebody signed in to your ${brand} account, and something about it is unusual. If it was you, there is nothing you need to do.`,
      advice:
        'Change your password now, and wherever else you use it. Then remove the device named here from your trusted devices, and any others that you don’t know.',
      pushAdvice: 'If this wasn’t you, change your password now.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Two-step verification is off for your ${brand} account`,
      heading: 'Two-step verification was turned off',
      intro: (brand) =>
        `Two-step verification was turned off for your ${brand} account. From now on, your password alone is enough to sign in.`,
      advice:
        'Change your password now and turn two-step verification on again. Then remove the devices you don’t know from your trusted devices.',
      pushAdvice: 'If this wasn’t you, change your password now.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Two-step verification is on for your ${brand} account`,
      heading: 'Two-step verification was turned on',
      intro: (brand) =>
        `Two-step verification was turned on for your ${brand} account. From now on, signing in on a new device takes your password and a code.`,
      advice:
        'Somebody else may be using your account. Change your password now, then remove the devices you don’t know from your trusted devices.',
      pushAdvice: 'If this wasn’t you, change your password now.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `A trusted device was removed from your ${brand} account`,
      heading: 'A trusted device was removed',
      intro: (brand) =>
        `A device was signed out and removed from the trusted devices of your ${brand} account. To sign in on it again, you will need a code.`,
      advice:
        'Somebody else may be using your account. Change your password now, then remove the devices you don’t know from your trusted devices.',
      pushAdvice: 'If this wasn’t you, change your password now.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `The password of your ${brand} account was changed`,
      heading: 'Your password was changed',
      intro: (brand) =>
        `The password of your ${brand} account was changed. If it was you, sign in with the new password from now on.`,
      advice:
        'Reset your password right away, and make sure that nobody else can read your mailbox. If you can’t get into your account, contact support.',
      pushAdvice: 'If this wasn’t you, reset your password right away.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `An attempt to get into your ${brand} account was blocked`,
      heading: 'An attempt to sign in was blocked',
      intro: (brand) =>
        `Somebody with your password tried to get into your ${brand} account. On one of your trusted devices, or through our e-mail, the answer was “It wasn’t me”, so the attempt was blocked.`,
      advice:
        'Whoever it was knows your password. Change it now, and wherever else you use it. Then look through your trusted devices and remove what is not yours.',
      pushAdvice: 'Somebody knows your password: change it now.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Somebody with your password tried to sign in to ${brand}`,
      heading: 'A sign-in with your password was stopped',
      intro: (brand) =>
        `Somebody who entered your password tried to sign in to ${brand} and was not let in: there was no trusted device that could show the code. If it was you, open the app on one of your trusted devices and try again. If you have none any more, contact support.`,
      advice: 'Somebody knows your password. Change it now, and wherever else you use it.',
      pushAdvice: 'If this wasn’t you, change your password now.',
    },
  },
  emailChanged: {
    subject: (brand) => `The e-mail address of your ${brand} account was changed`,
    heading: 'Your e-mail address was changed',
    intro: (brand, newEmail) =>
      `The e-mail address of your ${brand} account is now ${newEmail}. Codes and notices go there from now on. This is the last message to this address.`,
    advice: 'Contact support right away: somebody else may be in control of your account.',
  },
  passwordReset: {
    subject: (brand) => `Reset the password of your ${brand} account`,
    heading: 'Reset your password',
    intro: (brand) =>
      `Somebody asked for a new password for your ${brand} account. If it was you, open the link and choose one.`,
    button: 'Choose a new password',
    validity: (count) => `The link is valid for ${minutes(count)} and works only once. Don’t share it with anyone.`,
    advice:
      'There is nothing you need to do: your password stays as it is. If such messages keep coming, make sure that nobody else can read your mailbox.',
    footer: (brand) =>
      `${brand} sends this message because somebody asked for a new password. Its link only sets a new password; it doesn’t sign anybody in.`,
  },
  unusual: {
    NEW_DEVICE: 'New device',
    NEW_COUNTRY: (country) => `New country: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} in ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Anonymous network: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('en', { one: 'hour', other: 'hours' }),
    days: counted('en', { one: 'day', other: 'days' }),
  },
  previousPlace: 'previous place',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'data center',
    PUBLIC_PROXY: 'public proxy',
    RESIDENTIAL_PROXY: 'residential proxy',
    TOR_EXIT: 'Tor',
    OTHER: 'unknown kind',
  },
  notYou: 'If this wasn’t you',
  whatNow: 'What to do now',
  wasNotMe: 'It wasn’t me',
  pageAsksFirst: 'This opens a page that asks you before it does anything. It never asks for your password.',
  contactSupport: 'Contact support',
  labels: {
    device: 'Device',
    removedDevice: 'Removed device',
    appVersion: 'App version',
    time: 'Time',
    place: 'Place',
    ipAddress: 'IP address',
    newEmail: 'New address',
    unusual: 'Unusual',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'web browser' },
  unknown: 'unknown',
  placeIsApproximate: 'approximate, from the IP address',
  footer: (brand) => `${brand} sends this message to protect your account. It has no links to sign in with.`,
  push: {
    openTheApp: 'Open the app to see the code.',
    deviceIn: (device, place) => `${device} in ${place}`,
  },
  denyPage: {
    ask: {
      heading: 'Was it not you?',
      intro: (brand) =>
        `Tell ${brand} that this wasn’t you, and we will protect your account. If you press the button:`,
      effects: [
        'The attempt is closed, and its code can’t be used any more.',
        'If it has succeeded already, that device is signed out and removed from your trusted devices, and you will need a new password.',
      ],
      eventEffects: [
        'That device is signed out and removed from your trusted devices.',
        'You will need a new password.',
      ],
      otherwise: 'If it was you, just close this page. Nothing has happened yet.',
    },
    done: {
      heading: 'Thank you. Your account is protected.',
      intro: 'The attempt is closed. If a device had signed in with it, that device is signed out and removed.',
      eventIntro: 'That device is signed out and removed from your trusted devices.',
    },
    over: {
      heading: 'Nothing more to do here',
      intro:
        'This link was used already, or what it is about is over. If you are not sure that everything is all right, change your password.',
    },
    invalid: {
      heading: 'This link doesn’t work',
      intro:
        'It is incomplete or too old. Please open it once more from the newest message. If you are worried about your account, change your password.',
    },
    unavailable: {
      heading: 'This doesn’t work right now',
      intro: 'Please try again in a moment: open the link in the message once more.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Choose a new password',
      intro: (brand) =>
        `For your ${brand} account. After that, every device is signed out, and you sign in with the new password.`,
      newPassword: 'New password',
      hint: 'At least 8 characters: several words that have nothing to do with each other are easy to remember and hard to guess.',
      endTrustedDevices: 'Also remove all trusted devices: each will need a code at its next sign-in.',
      button: 'Save password',
    },
    done: {
      heading: 'Your password was changed',
      intro: 'Every device is signed out. Now sign in with the new password.',
    },
    invalid: {
      heading: 'This link doesn’t work',
      intro: 'It was used already, is too old or is incomplete. Please ask for a new one where you sign in.',
    },
    unavailable: {
      heading: 'This doesn’t work right now',
      intro: 'Please try again in a moment: open the link in the message once more.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'The password needs at least 8 characters.',
    IS_EMAIL: 'The password must not be your e-mail address or a part of it.',
    ONE_CHARACTER: 'The password must not be one character repeated.',
    GUESSABLE: 'This password is too easy to guess.',
    BREACHED: 'This password is too common, or was in a data leak.',
    UNCHANGED: 'This is the password that you have now.',
    TOO_LONG: 'The password is too long.',
  },
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
    VERIFICATION_LOCKED: 'Too many wrong codes. Please contact support.',
    DEVICE_UNKNOWN: 'This device is not in the list.',
    EVENT_UNKNOWN: 'This entry is not in the list.',
    RESET_TOKEN_INVALID: 'This link was used already or is too old. Please ask for a new one.',
    ACCOUNT_UNKNOWN: 'There is no such account.',
    ACCOUNT_EXISTS: 'There is an account with this e-mail address already.',
    ACCOUNTS_ELSEWHERE: 'Accounts and passwords are managed in another system, not here.',
    PASSWORD_WEAK: 'Please choose a stronger password.',
    REQUEST_INVALID: 'Something is missing or not right in what was entered.',
    DEPENDENCY_UNAVAILABLE: 'This does not work right now. Please try again in a moment.',
  },
  twoStepRequired:
    'Your account is protected by two-step verification, and this version of the app can not ask for the code. Please update it.',
  advice: {
    CHANGE_PASSWORD: 'Choose a new password.',
    CHANGE_PASSWORD_ELSEWHERE: 'If you use this password elsewhere, change it there too.',
    REVIEW_TRUSTED_DEVICES: 'Look through your trusted devices and remove what is not yours.',
    CHECK_MAILBOX: 'Make sure that nobody else can read your mailbox.',
  },
  devices: counted('en', { one: 'trusted device', other: 'trusted devices' }),
};
