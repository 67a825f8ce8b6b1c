// The English texts. This file knows no layout.

import type { Messages } from './messages.ts';

export const en: Messages = {
  locale: 'en',
  codeForSignIn: {
    subject: (brand) => `Your sign-in code for ${brand}`,
    heading: 'Your sign-in code',
    intro: (brand) =>
      `Somebody who entered your password is signing in to ${brand}. If it is you, enter this code where you are signing in.`,
    validity: (minutes) => `The code is valid for ${inMinutes(minutes)} and for this sign-in only.`,
    advice:
      'Don’t share this code with anyone. Somebody knows your password: change it now, and wherever else you use it.',
  },
  codeForSwitchOff: {
    subject: (brand) => `Your code to turn off two-step verification for ${brand}`,
    heading: 'Your code to turn off two-step verification',
    intro: (brand) =>
      `Somebody signed in to your account wants to turn off two-step verification for ${brand}. If it is you, enter this code where you asked for it. After that, your password alone is enough to sign in.`,
    validity: (minutes) => `The code is valid for ${inMinutes(minutes)} and for this change only.`,
    advice:
      'Don’t share this code with anyone. Somebody is using your account and may know your password: change it now, then remove the devices you don’t know from your trusted devices.',
  },
  codePreview: (code, validity) => `Code ${code}. ${validity}`,
  emailChanged: {
    subject: (brand) => `The e-mail address of your ${brand} account was changed`,
    heading: 'Your e-mail address was changed',
    intro: (brand, newEmail) =>
      `The e-mail address of your ${brand} account is now ${newEmail}. Codes and notices go there from now on. This is the last message to this address.`,
    advice: 'Contact support right away: somebody else may be in control of your account.',
  },
  notYou: 'If this wasn’t you',
  neverAsked: (brand) => `Nobody from ${brand} will ever ask you for this code, on the phone or in a message.`,
  labels: {
    device: 'Device',
    appVersion: 'App version',
    time: 'Time',
    place: 'Place',
    ipAddress: 'IP address',
    newEmail: 'New address',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'web browser' },
  unknown: 'unknown',
  placeIsApproximate: 'approximate, from the IP address',
  footer: (brand) => `${brand} sends this message to protect your account. It has no links to sign in with.`,
};

function inMinutes(count: number): string {
  return count === 1 ? '1 minute' : `${count} minutes`;
}
