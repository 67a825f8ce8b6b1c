// The German texts. This file knows no layout.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

const minutes = counted('de', { one: 'Minute', other: 'Minuten' });

export const de: Texts = {
  locale: 'de',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Ihr Anmeldecode für ${brand}`,
      heading: 'Ihr Anmeldecode',
      intro: (brand) =>
        `Jemand hat Ihr Passwort eingegeben und meldet sich gerade bei ${brand} an. Wenn Sie das sind, geben Sie diesen Code dort ein, wo Sie sich anmelden.`,
      validity: (count) => `Der Code gilt ${minutes(count)} lang und nur für diese Anmeldung.`,
      advice:
        'Geben Sie diesen Code an niemanden weiter. Jemand kennt Ihr Passwort: Ändern Sie es jetzt, und überall, wo Sie es sonst noch verwenden.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Ihr Code zum Ausschalten der Zwei-Schritt-Prüfung bei ${brand}`,
      heading: 'Ihr Code zum Ausschalten der Zwei-Schritt-Prüfung',
      intro: (brand) =>
        `Jemand ist in Ihrem Konto angemeldet und möchte die Zwei-Schritt-Prüfung bei ${brand} ausschalten. Wenn Sie das sind, geben Sie diesen Code dort ein, wo Sie ihn angefordert haben. Danach genügt zum Anmelden allein Ihr Passwort.`,
      validity: (count) => `Der Code gilt ${minutes(count)} lang und nur für diese Änderung.`,
      advice:
        'Geben Sie diesen Code an niemanden weiter. Jemand benutzt Ihr Konto und kennt womöglich Ihr Passwort: Ändern Sie es jetzt und entfernen Sie dann die Geräte, die Sie nicht kennen, aus Ihren vertrauenswürdigen Geräten.',
    },
  },
  codePreview: (code, validity) => `Code ${code}. ${validity}`,
  neverAsked: (brand) =>
    `Niemand von ${brand} wird Sie je nach diesem Code fragen, weder am Telefon noch per Nachricht.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `Neue Anmeldung in Ihrem Konto bei ${brand}`,
      heading: 'Neue Anmeldung in Ihrem Konto',
      intro: (brand) =>
        `In Ihrem Konto bei ${brand} hat sich ein neues Gerät angemeldet. Wenn Sie das waren, brauchen Sie nichts zu tun.`,
      advice:
        'Ändern Sie jetzt Ihr Passwort, und überall, wo Sie es sonst noch verwenden. Entfernen Sie dann die Geräte, die Sie nicht kennen, aus Ihren vertrauenswürdigen Geräten.',
      pushAdvice: 'Wenn Sie das nicht waren, ändern Sie jetzt Ihr Passwort.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Ungewöhnliche Anmeldung in Ihrem Konto bei ${brand}`,
      heading: 'Ungewöhnliche Anmeldung in Ihrem Konto',
      intro: (brand) =>
        `In Ihrem Konto bei ${brand} gab es eine Anmeldung, an der etwas ungewöhnlich ist. Wenn Sie das waren, brauchen Sie nichts zu tun.`,
      advice:
        'Ändern Sie jetzt Ihr Passwort, und überall, wo Sie es sonst noch verwenden. Entfernen Sie dann das hier genannte Gerät aus Ihren vertrauenswürdigen Geräten, und alle anderen, die Sie nicht kennen.',
      pushAdvice: 'Wenn Sie das nicht waren, ändern Sie jetzt Ihr Passwort.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Zwei-Schritt-Prüfung für Ihr Konto bei ${brand} ausgeschaltet`,
      heading: 'Die Zwei-Schritt-Prüfung wurde ausgeschaltet',
      intro: (brand) =>
        `Für Ihr Konto bei ${brand} wurde die Zwei-Schritt-Prüfung ausgeschaltet. Ab jetzt genügt zum Anmelden allein Ihr Passwort.`,
      advice:
        'Ändern Sie jetzt Ihr Passwort und schalten Sie die Zwei-Schritt-Prüfung wieder ein. Entfernen Sie dann die Geräte, die Sie nicht kennen, aus Ihren vertrauenswürdigen Geräten.',
      pushAdvice: 'Wenn Sie das nicht waren, ändern Sie jetzt Ihr Passwort.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Zwei-Schritt-Prüfung für Ihr Konto bei ${brand} eingeschaltet`,
      heading: 'Die Zwei-Schritt-Prüfung wurde eingeschaltet',
      intro: (brand) =>
        `Für Ihr Konto bei ${brand} wurde die Zwei-Schritt-Prüfung eingeschaltet. Ab jetzt brauchen Sie für die Anmeldung auf einem neuen Gerät Ihr Passwort und einen Code.`,
      advice:
        'Womöglich benutzt jemand anderes Ihr Konto. Ändern Sie jetzt Ihr Passwort und entfernen Sie dann die Geräte, die Sie nicht kennen, aus Ihren vertrauenswürdigen Geräten.',
      pushAdvice: 'Wenn Sie das nicht waren, ändern Sie jetzt Ihr Passwort.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `Vertrauenswürdiges Gerät aus Ihrem Konto bei ${brand} entfernt`,
      heading: 'Ein vertrauenswürdiges Gerät wurde entfernt',
      intro: (brand) =>
        `Ein Gerät wurde abgemeldet und aus den vertrauenswürdigen Geräten Ihres Kontos bei ${brand} entfernt. Um sich dort wieder anzumelden, brauchen Sie einen Code.`,
      advice:
        'Womöglich benutzt jemand anderes Ihr Konto. Ändern Sie jetzt Ihr Passwort und entfernen Sie dann die Geräte, die Sie nicht kennen, aus Ihren vertrauenswürdigen Geräten.',
      pushAdvice: 'Wenn Sie das nicht waren, ändern Sie jetzt Ihr Passwort.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `Das Passwort Ihres Kontos bei ${brand} wurde geändert`,
      heading: 'Ihr Passwort wurde geändert',
      intro: (brand) =>
        `Das Passwort Ihres Kontos bei ${brand} wurde geändert. Wenn Sie das waren, melden Sie sich ab jetzt mit dem neuen Passwort an.`,
      advice:
        'Setzen Sie Ihr Passwort umgehend zurück und stellen Sie sicher, dass niemand sonst Ihr Postfach lesen kann. Wenn Sie nicht in Ihr Konto kommen, wenden Sie sich an den Support.',
      pushAdvice: 'Wenn Sie das nicht waren, setzen Sie Ihr Passwort umgehend zurück.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `Zugriffsversuch auf Ihr Konto bei ${brand} abgewehrt`,
      heading: 'Ein Anmeldeversuch wurde abgewehrt',
      intro: (brand) =>
        `Jemand hat mit Ihrem Passwort versucht, in Ihr Konto bei ${brand} zu gelangen. Auf einem Ihrer vertrauenswürdigen Geräte oder über unsere E-Mail wurde „Das war ich nicht“ geantwortet. Deshalb wurde der Versuch abgewehrt.`,
      advice:
        'Wer immer das war, kennt Ihr Passwort. Ändern Sie es jetzt, und überall, wo Sie es sonst noch verwenden. Sehen Sie dann Ihre vertrauenswürdigen Geräte durch und entfernen Sie, was Ihnen nicht gehört.',
      pushAdvice: 'Jemand kennt Ihr Passwort: Ändern Sie es jetzt.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Jemand wollte sich mit Ihrem Passwort bei ${brand} anmelden`,
      heading: 'Eine Anmeldung mit Ihrem Passwort wurde gestoppt',
      intro: (brand) =>
        `Jemand hat Ihr Passwort eingegeben, um sich bei ${brand} anzumelden, und kam nicht hinein: Es gab kein vertrauenswürdiges Gerät, das den Code hätte anzeigen können. Wenn Sie das waren, öffnen Sie die App auf einem Ihrer vertrauenswürdigen Geräte und versuchen Sie es noch einmal. Wenn Sie keines mehr haben, wenden Sie sich an den Support.`,
      advice: 'Jemand kennt Ihr Passwort. Ändern Sie es jetzt, und überall, wo Sie es sonst noch verwenden.',
      pushAdvice: 'Wenn Sie das nicht waren, ändern Sie jetzt Ihr Passwort.',
    },
  },
  emailChanged: {
    subject: (brand) => `Die E-Mail-Adresse Ihres Kontos bei ${brand} wurde geändert`,
    heading: 'Ihre E-Mail-Adresse wurde geändert',
    intro: (brand, newEmail) =>
      `Die E-Mail-Adresse Ihres Kontos bei ${brand} ist jetzt ${newEmail}. Codes und Hinweise gehen von nun an dorthin. Dies ist die letzte Nachricht an diese Adresse.`,
    advice: 'Wenden Sie sich sofort an den Support: Womöglich hat jemand anderes die Kontrolle über Ihr Konto.',
  },
  passwordReset: {
    subject: (brand) => `Passwort Ihres Kontos bei ${brand} zurücksetzen`,
    heading: 'Passwort zurücksetzen',
    intro: (brand) =>
      `Jemand hat ein neues Passwort für Ihr Konto bei ${brand} angefordert. Wenn Sie das waren, öffnen Sie den Link und wählen Sie eines.`,
    button: 'Neues Passwort wählen',
    validity: (count) => `Der Link gilt ${minutes(count)} lang und nur einmal. Geben Sie ihn an niemanden weiter.`,
    advice:
      'Sie brauchen nichts zu tun: Ihr Passwort bleibt, wie es ist. Wenn Sie öfter solche Nachrichten bekommen, stellen Sie sicher, dass niemand sonst Ihr Postfach lesen kann.',
    footer: (brand) =>
      `${brand} sendet diese Nachricht, weil jemand ein neues Passwort angefordert hat. Mit dem Link darin setzt man nur ein neues Passwort; man meldet sich damit nicht an.`,
  },
  unusual: {
    NEW_DEVICE: 'Neues Gerät',
    NEW_COUNTRY: (country) => `Neues Land: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} in ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Anonymes Netz: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('de', { one: 'Stunde', other: 'Stunden' }),
    days: counted('de', { one: 'Tag', other: 'Tagen' }),
  },
  previousPlace: 'vorheriger Ort',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'Rechenzentrum',
    PUBLIC_PROXY: 'öffentlicher Proxy',
    RESIDENTIAL_PROXY: 'Proxy über Privatanschlüsse',
    TOR_EXIT: 'Tor',
    OTHER: 'Art unbekannt',
  },
  notYou: 'Wenn Sie das nicht waren',
  whatNow: 'Was Sie jetzt tun sollten',
  wasNotMe: 'Das war ich nicht',
  pageAsksFirst: 'Es öffnet sich eine Seite, die Sie fragt, bevor sie etwas tut. Nach Ihrem Passwort fragt sie nie.',
  contactSupport: 'Support kontaktieren',
  labels: {
    device: 'Gerät',
    removedDevice: 'Entferntes Gerät',
    appVersion: 'App-Version',
    time: 'Zeitpunkt',
    place: 'Ort',
    ipAddress: 'IP-Adresse',
    newEmail: 'Neue Adresse',
    unusual: 'Ungewöhnlich',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'Webbrowser' },
  unknown: 'unbekannt',
  placeIsApproximate: 'ungefähr, anhand der IP-Adresse',
  footer: (brand) =>
    `${brand} sendet diese Nachricht zum Schutz Ihres Kontos. Sie enthält keine Links, mit denen man sich anmeldet.`,
  push: {
    openTheApp: 'Öffnen Sie die App, um den Code zu sehen.',
    deviceIn: (device, place) => `${device} in ${place}`,
  },
  denyPage: {
    ask: {
      heading: 'Waren Sie das nicht?',
      intro: (brand) =>
        `Sagen Sie ${brand}, dass Sie das nicht waren, und wir schützen Ihr Konto. Wenn Sie auf die Schaltfläche drücken:`,
      effects: [
        'Der Versuch wird beendet, und sein Code ist nicht mehr gültig.',
        'Falls er schon gelungen ist, wird das Gerät abgemeldet und aus Ihren vertrauenswürdigen Geräten entfernt, und Sie brauchen ein neues Passwort.',
      ],
      eventEffects: [
        'Das Gerät wird abgemeldet und aus Ihren vertrauenswürdigen Geräten entfernt.',
        'Sie brauchen danach ein neues Passwort.',
      ],
      otherwise: 'Wenn Sie es doch waren, schließen Sie einfach diese Seite. Noch ist nichts geschehen.',
    },
    done: {
      heading: 'Danke. Ihr Konto ist geschützt.',
      intro: 'Der Versuch ist beendet. Falls sich damit ein Gerät angemeldet hatte, ist es abgemeldet und entfernt.',
      eventIntro: 'Das Gerät ist abgemeldet und aus Ihren vertrauenswürdigen Geräten entfernt.',
    },
    over: {
      heading: 'Hier ist nichts mehr zu tun',
      intro:
        'Dieser Link wurde schon benutzt, oder worum es darin ging, ist erledigt. Wenn Sie nicht sicher sind, dass alles in Ordnung ist, ändern Sie Ihr Passwort.',
    },
    invalid: {
      heading: 'Dieser Link funktioniert nicht',
      intro:
        'Er ist unvollständig oder zu alt. Bitte öffnen Sie ihn noch einmal aus der neuesten Nachricht. Wenn Sie sich um Ihr Konto sorgen, ändern Sie Ihr Passwort.',
    },
    unavailable: {
      heading: 'Das geht gerade nicht',
      intro: 'Bitte versuchen Sie es gleich noch einmal: Öffnen Sie den Link in der Nachricht erneut.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Neues Passwort wählen',
      intro: (brand) =>
        `Für Ihr Konto bei ${brand}. Danach werden alle Geräte abgemeldet, und Sie melden sich mit dem neuen Passwort an.`,
      newPassword: 'Neues Passwort',
      hint: 'Mindestens 8 Zeichen: Mehrere Wörter, die nichts miteinander zu tun haben, sind leicht zu merken und schwer zu erraten.',
      endTrustedDevices:
        'Auch alle vertrauenswürdigen Geräte entfernen: Jedes braucht dann bei der nächsten Anmeldung einen Code.',
      button: 'Passwort speichern',
    },
    done: {
      heading: 'Ihr Passwort wurde geändert',
      intro: 'Alle Geräte sind abgemeldet. Melden Sie sich jetzt mit dem neuen Passwort an.',
    },
    invalid: {
      heading: 'Dieser Link funktioniert nicht',
      intro:
        'Er wurde schon benutzt, ist zu alt oder unvollständig. Bitte fordern Sie dort, wo Sie sich anmelden, einen neuen an.',
    },
    unavailable: {
      heading: 'Das geht gerade nicht',
      intro: 'Bitte versuchen Sie es gleich noch einmal: Öffnen Sie den Link in der Nachricht erneut.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'Das Passwort muss mindestens 8 Zeichen haben.',
    IS_EMAIL: 'Das Passwort darf weder Ihre E-Mail-Adresse noch ein Teil davon sein.',
    ONE_CHARACTER: 'Das Passwort darf nicht aus einem einzigen, wiederholten Zeichen bestehen.',
    GUESSABLE: 'Dieses Passwort ist zu leicht zu erraten.',
    BREACHED: 'Dieses Passwort ist zu verbreitet oder durch ein Datenleck bekannt geworden.',
    UNCHANGED: 'Das ist Ihr jetziges Passwort.',
    TOO_LONG: 'Das Passwort ist zu lang.',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Diese Version der App ist zu alt. Bitte aktualisieren Sie die App.',
    CLIENT_VERSION_MISSING: 'Diese App gibt ihre Version nicht an. Bitte aktualisieren Sie die App.',
    CLIENT_VERSION_INVALID: 'Diese App gibt ihre Version nicht richtig an. Bitte aktualisieren Sie die App.',
    CREDENTIALS_INCORRECT: 'Die E-Mail-Adresse oder das Passwort stimmt nicht.',
    SESSION_INVALID: 'Sie sind abgemeldet. Bitte melden Sie sich wieder an.',
    SERVICE_TOKEN_INVALID: 'Das Dienst-Token fehlt oder ist unbekannt.',
    SCOPE_MISSING: 'Das Dienst-Token erlaubt diesen Aufruf nicht.',
    DEVICE_NOT_TRUSTED: 'Das geht nur auf einem vertrauenswürdigen Gerät.',
    CODE_INCORRECT: 'Dieser Code stimmt nicht.',
    CHALLENGE_UNKNOWN: 'Diese Anmeldung ist nicht mehr bekannt. Bitte beginnen Sie von vorn.',
    CHALLENGE_EXPIRED: 'Die Zeit für diesen Code ist abgelaufen. Bitte beginnen Sie von vorn.',
    CHALLENGE_CLOSED: 'Dieser Code kann nicht mehr verwendet werden. Bitte beginnen Sie von vorn.',
    SEND_TOO_SOON:
      'Gerade wurde ein Code gesendet. Bitte warten Sie einen Moment, bevor Sie ihn noch einmal anfordern.',
    SENDS_EXHAUSTED: 'Der Code kann auf diesem Weg nicht noch einmal gesendet werden.',
    CHANNEL_UNAVAILABLE: 'Der Code kann auf diesem Weg nicht gesendet werden.',
    RATE_LIMITED: 'Zu viele Versuche. Bitte warten Sie.',
    VERIFICATION_LOCKED: 'Zu viele falsche Codes. Bitte wenden Sie sich an den Support.',
    DEVICE_UNKNOWN: 'Dieses Gerät steht nicht in der Liste.',
    EVENT_UNKNOWN: 'Dieser Eintrag steht nicht in der Liste.',
    RESET_TOKEN_INVALID: 'Dieser Link wurde schon benutzt oder ist zu alt. Bitte fordern Sie einen neuen an.',
    ACCOUNT_UNKNOWN: 'Dieses Konto gibt es nicht.',
    ACCOUNT_EXISTS: 'Mit dieser E-Mail-Adresse gibt es schon ein Konto.',
    ACCOUNTS_ELSEWHERE: 'Konten und Passwörter werden in einem anderen System verwaltet, nicht hier.',
    PASSWORD_WEAK: 'Bitte wählen Sie ein stärkeres Passwort.',
    REQUEST_INVALID: 'In den Angaben fehlt etwas, oder etwas stimmt nicht.',
    DEPENDENCY_UNAVAILABLE: 'Das geht gerade nicht. Bitte versuchen Sie es gleich noch einmal.',
  },
  twoStepRequired:
    'Ihr Konto ist durch die Zwei-Schritt-Prüfung geschützt, und diese Version der App kann nicht nach dem Code fragen. Bitte aktualisieren Sie die App.',
  advice: {
    CHANGE_PASSWORD: 'Wählen Sie ein neues Passwort.',
    CHANGE_PASSWORD_ELSEWHERE: 'Wenn Sie dieses Passwort auch anderswo verwenden, ändern Sie es auch dort.',
    REVIEW_TRUSTED_DEVICES: 'Sehen Sie Ihre vertrauenswürdigen Geräte durch und entfernen Sie, was Ihnen nicht gehört.',
    CHECK_MAILBOX: 'Stellen Sie sicher, dass niemand sonst Ihr Postfach lesen kann.',
  },
  devices: counted('de', { one: 'vertrauenswürdiges Gerät', other: 'vertrauenswürdige Geräte' }),
};
