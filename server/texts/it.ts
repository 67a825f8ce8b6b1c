// The Italian texts. This file knows no layout. They say «tu», as security mail in Italy does.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

const minutes = counted('it', { one: 'minuto', other: 'minuti' });

export const it: Texts = {
  locale: 'it',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Il tuo codice di accesso a ${brand}`,
      heading: 'Il tuo codice di accesso',
      intro: (brand) =>
        `Qualcuno che ha inserito la tua password sta accedendo a ${brand}. Se sei tu, inserisci questo codice dove stai effettuando l’accesso.`,
      validity: (count) => `Il codice è valido per ${minutes(count)} e solo per questo accesso.`,
      advice:
        'Non comunicare questo codice a nessuno. Qualcuno conosce la tua password: cambiala subito, e ovunque tu la usi.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Il tuo codice per disattivare la verifica in due passaggi di ${brand}`,
      heading: 'Il tuo codice per disattivare la verifica in due passaggi',
      intro: (brand) =>
        `Qualcuno che ha effettuato l’accesso al tuo account vuole disattivare la verifica in due passaggi di ${brand}. Se sei tu, inserisci questo codice dove l’hai richiesto. Da quel momento, per accedere basterà la password.`,
      validity: (count) => `Il codice è valido per ${minutes(count)} e solo per questa modifica.`,
      advice:
        'Non comunicare questo codice a nessuno. Qualcuno sta usando il tuo account e forse conosce la tua password: cambiala subito, poi rimuovi dai tuoi dispositivi attendibili quelli che non riconosci.',
    },
  },
  codePreview: (code, validity) => `Codice ${code}. ${validity}`,
  neverAsked: (brand) => `Nessuno di ${brand} ti chiederà mai questo codice, né al telefono né in un messaggio.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `Nuovo accesso al tuo account ${brand}`,
      heading: 'Nuovo accesso al tuo account',
      intro: (brand) =>
        `Un nuovo dispositivo ha effettuato l’accesso al tuo account ${brand}. Se eri tu, non devi fare nulla.`,
      advice:
        'Cambia subito la tua password, e ovunque tu la usi. Poi rimuovi dai tuoi dispositivi attendibili quelli che non riconosci.',
      pushAdvice: 'Se non eri tu, cambia subito la tua password.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Accesso insolito al tuo account ${brand}`,
      heading: 'Accesso insolito al tuo account',
      intro: (brand) =>
        `È stato effettuato un accesso insolito al tuo account ${brand}. Se eri tu, non devi fare nulla.`,
      advice:
        'Cambia subito la tua password, e ovunque tu la usi. Poi rimuovi dai tuoi dispositivi attendibili quello indicato qui e quelli che non riconosci.',
      pushAdvice: 'Se non eri tu, cambia subito la tua password.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Verifica in due passaggi disattivata per il tuo account ${brand}`,
      heading: 'La verifica in due passaggi è stata disattivata',
      intro: (brand) =>
        `La verifica in due passaggi del tuo account ${brand} è stata disattivata. D’ora in poi, per accedere basta la password.`,
      advice:
        'Cambia subito la tua password e riattiva la verifica in due passaggi. Poi rimuovi dai tuoi dispositivi attendibili quelli che non riconosci.',
      pushAdvice: 'Se non eri tu, cambia subito la tua password.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Verifica in due passaggi attivata per il tuo account ${brand}`,
      heading: 'La verifica in due passaggi è stata attivata',
      intro: (brand) =>
        `La verifica in due passaggi del tuo account ${brand} è stata attivata. D’ora in poi, per accedere da un nuovo dispositivo servono la password e un codice.`,
      advice:
        'È possibile che qualcun altro stia usando il tuo account. Cambia subito la tua password, poi rimuovi dai tuoi dispositivi attendibili quelli che non riconosci.',
      pushAdvice: 'Se non eri tu, cambia subito la tua password.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `Un dispositivo attendibile è stato rimosso dal tuo account ${brand}`,
      heading: 'Un dispositivo attendibile è stato rimosso',
      intro: (brand) =>
        `Un dispositivo è stato disconnesso e rimosso dai dispositivi attendibili del tuo account ${brand}. Per accedere di nuovo da lì, ti servirà un codice.`,
      advice:
        'È possibile che qualcun altro stia usando il tuo account. Cambia subito la tua password, poi rimuovi dai tuoi dispositivi attendibili quelli che non riconosci.',
      pushAdvice: 'Se non eri tu, cambia subito la tua password.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `La password del tuo account ${brand} è stata cambiata`,
      heading: 'La tua password è stata cambiata',
      intro: (brand) =>
        `La password del tuo account ${brand} è stata cambiata. Se eri tu, d’ora in poi accedi con la nuova password.`,
      advice:
        'Reimposta subito la tua password e assicurati che nessun altro possa leggere la tua posta. Se non riesci a entrare nel tuo account, contatta l’assistenza.',
      pushAdvice: 'Se non eri tu, reimposta subito la tua password.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `Un tentativo di accesso al tuo account ${brand} è stato bloccato`,
      heading: 'Un tentativo di accesso è stato bloccato',
      intro: (brand) =>
        `Qualcuno con la tua password ha cercato di entrare nel tuo account ${brand}. Su uno dei tuoi dispositivi attendibili, o dalla nostra e-mail, la risposta è stata «Non ero io», e il tentativo è stato bloccato.`,
      advice:
        'Chiunque fosse, conosce la tua password. Cambiala subito, e ovunque tu la usi. Poi controlla i tuoi dispositivi attendibili e rimuovi quelli che non sono tuoi.',
      pushAdvice: 'Qualcuno conosce la tua password: cambiala subito.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Qualcuno ha cercato di accedere a ${brand} con la tua password`,
      heading: 'Un accesso con la tua password è stato fermato',
      intro: (brand) =>
        `Qualcuno ha inserito la tua password per accedere a ${brand} e non è riuscito a entrare: nessun dispositivo attendibile poteva mostrare il codice. Se eri tu, apri l’app su uno dei tuoi dispositivi attendibili e riprova. Se non ne hai più, contatta l’assistenza.`,
      advice: 'Qualcuno conosce la tua password. Cambiala subito, e ovunque tu la usi.',
      pushAdvice: 'Se non eri tu, cambia subito la tua password.',
    },
  },
  emailChanged: {
    subject: (brand) => `L’indirizzo e-mail del tuo account ${brand} è stato cambiato`,
    heading: 'Il tuo indirizzo e-mail è stato cambiato',
    intro: (brand, newEmail) =>
      `L’indirizzo e-mail del tuo account ${brand} ora è ${newEmail}. D’ora in poi codici e avvisi arriveranno lì. Questo è l’ultimo messaggio a questo indirizzo.`,
    advice: 'Contatta subito l’assistenza: qualcun altro potrebbe avere il controllo del tuo account.',
  },
  passwordReset: {
    subject: (brand) => `Reimposta la password del tuo account ${brand}`,
    heading: 'Reimposta la tua password',
    intro: (brand) =>
      `Qualcuno ha richiesto una nuova password per il tuo account ${brand}. Se eri tu, apri il link e scegline una.`,
    button: 'Scegli una nuova password',
    validity: (count) => `Il link è valido per ${minutes(count)} e una volta sola. Non comunicarlo a nessuno.`,
    advice:
      'Non devi fare nulla: la tua password resta la stessa. Se ricevi spesso messaggi come questo, assicurati che nessun altro possa leggere la tua posta.',
    footer: (brand) =>
      `${brand} invia questo messaggio perché qualcuno ha richiesto una nuova password. Il link serve solo a sceglierla, non a effettuare l’accesso.`,
  },
  unusual: {
    NEW_DEVICE: 'Nuovo dispositivo',
    NEW_COUNTRY: (country) => `Nuovo Paese: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} in ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Rete anonima: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('it', { one: 'ora', other: 'ore' }),
    days: counted('it', { one: 'giorno', other: 'giorni' }),
  },
  previousPlace: 'luogo precedente',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'centro dati',
    PUBLIC_PROXY: 'proxy pubblico',
    RESIDENTIAL_PROXY: 'proxy residenziale',
    TOR_EXIT: 'Tor',
    OTHER: 'tipo sconosciuto',
  },
  notYou: 'Se non eri tu',
  whatNow: 'Che cosa fare ora',
  wasNotMe: 'Non ero io',
  pageAsksFirst: 'Si apre una pagina che ti chiede conferma prima di fare qualsiasi cosa. Non chiede mai la password.',
  contactSupport: 'Contatta l’assistenza',
  labels: {
    device: 'Dispositivo',
    removedDevice: 'Dispositivo rimosso',
    appVersion: 'Versione dell’app',
    time: 'Data e ora',
    place: 'Luogo',
    ipAddress: 'Indirizzo IP',
    newEmail: 'Nuovo indirizzo',
    unusual: 'Insolito',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'browser web' },
  unknown: 'sconosciuto',
  placeIsApproximate: 'approssimativo, in base all’indirizzo IP',
  footer: (brand) =>
    `${brand} invia questo messaggio per proteggere il tuo account. Non contiene link per effettuare l’accesso.`,
  push: {
    openTheApp: 'Apri l’app per vedere il codice.',
    deviceIn: (device, place) => `${device} (${place})`,
  },
  denyPage: {
    ask: {
      heading: 'Non eri tu?',
      intro: (brand) => `Di’ a ${brand} che non eri tu e proteggeremo il tuo account. Se premi il pulsante:`,
      effects: [
        'Il tentativo viene chiuso e il suo codice non è più valido.',
        'Se è già riuscito, quel dispositivo viene disconnesso e rimosso dai tuoi dispositivi attendibili, e ti servirà una nuova password.',
      ],
      eventEffects: [
        'Quel dispositivo viene disconnesso e rimosso dai tuoi dispositivi attendibili.',
        'Ti servirà una nuova password.',
      ],
      otherwise: 'Se eri tu, chiudi semplicemente questa pagina. Non è ancora successo nulla.',
    },
    done: {
      heading: 'Grazie. Il tuo account è protetto.',
      intro:
        'Il tentativo è chiuso. Se con esso un dispositivo aveva effettuato l’accesso, è stato disconnesso e rimosso.',
      eventIntro: 'Quel dispositivo è stato disconnesso e rimosso dai tuoi dispositivi attendibili.',
    },
    over: {
      heading: 'Qui non c’è altro da fare',
      intro:
        'Questo link è già stato usato, oppure ciò di cui si tratta è concluso. Se hai il dubbio che qualcosa non vada, cambia la tua password.',
    },
    invalid: {
      heading: 'Questo link non funziona',
      intro:
        'È incompleto o troppo vecchio. Aprilo di nuovo dal messaggio più recente. Se temi per il tuo account, cambia la tua password.',
    },
    unavailable: {
      heading: 'Al momento non funziona',
      intro: 'Riprova tra poco: apri di nuovo il link nel messaggio.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Scegli una nuova password',
      intro: (brand) =>
        `Per il tuo account ${brand}. Dopo, tutti i dispositivi verranno disconnessi e accederai con la nuova password.`,
      newPassword: 'Nuova password',
      hint: 'Almeno 8 caratteri: più parole senza legami tra loro sono facili da ricordare e difficili da indovinare.',
      endTrustedDevices:
        'Rimuovi anche tutti i dispositivi attendibili: per ciascuno servirà un codice al prossimo accesso.',
      button: 'Salva la password',
    },
    done: {
      heading: 'La tua password è stata cambiata',
      intro: 'Tutti i dispositivi sono stati disconnessi. Ora accedi con la nuova password.',
    },
    invalid: {
      heading: 'Questo link non funziona',
      intro: 'È già stato usato, è troppo vecchio o incompleto. Richiedine uno nuovo da dove effettui l’accesso.',
    },
    unavailable: {
      heading: 'Al momento non funziona',
      intro: 'Riprova tra poco: apri di nuovo il link nel messaggio.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'La password deve avere almeno 8 caratteri.',
    IS_EMAIL: 'La password non può essere il tuo indirizzo e-mail o una sua parte.',
    ONE_CHARACTER: 'La password non può essere un solo carattere ripetuto.',
    GUESSABLE: 'Questa password è troppo facile da indovinare.',
    BREACHED: 'Questa password è troppo comune o compare in una fuga di dati.',
    UNCHANGED: 'Questa è già la password attuale.',
    TOO_LONG: 'La password è troppo lunga.',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Questa versione dell’app è troppo vecchia. Aggiornala.',
    CLIENT_VERSION_MISSING: 'Questa app non indica la propria versione. Aggiornala.',
    CLIENT_VERSION_INVALID: 'Questa app non indica correttamente la propria versione. Aggiornala.',
    CREDENTIALS_INCORRECT: 'L’indirizzo e-mail o la password non sono corretti.',
    SESSION_INVALID: 'La sessione è terminata. Accedi di nuovo.',
    SERVICE_TOKEN_INVALID: 'Il token di servizio manca o è sconosciuto.',
    SCOPE_MISSING: 'Il token di servizio non consente questa chiamata.',
    DEVICE_NOT_TRUSTED: 'Si può fare solo da un dispositivo attendibile.',
    CODE_INCORRECT: 'Questo codice non è corretto.',
    CHALLENGE_UNKNOWN: 'Questo accesso non è più noto. Ricomincia da capo.',
    CHALLENGE_EXPIRED: 'Questo codice è scaduto. Ricomincia da capo.',
    CHALLENGE_CLOSED: 'Questo codice non è più utilizzabile. Ricomincia da capo.',
    SEND_TOO_SOON: 'Un codice è stato appena inviato. Attendi un momento prima di richiederlo di nuovo.',
    SENDS_EXHAUSTED: 'Il codice non può più essere inviato in questo modo.',
    CHANNEL_UNAVAILABLE: 'Il codice non può essere inviato in questo modo.',
    RATE_LIMITED: 'Troppi tentativi. Attendi.',
    VERIFICATION_LOCKED: 'Troppi codici errati. Contatta l’assistenza.',
    DEVICE_UNKNOWN: 'Questo dispositivo non è nell’elenco.',
    EVENT_UNKNOWN: 'Questa voce non è nell’elenco.',
    RESET_TOKEN_INVALID: 'Questo link è già stato usato o è troppo vecchio. Richiedine uno nuovo.',
    ACCOUNT_UNKNOWN: 'Questo account non esiste.',
    ACCOUNT_EXISTS: 'Esiste già un account con questo indirizzo e-mail.',
    ACCOUNTS_ELSEWHERE: 'Gli account e le password sono gestiti in un altro sistema, non qui.',
    PASSWORD_WEAK: 'Scegli una password più sicura.',
    REQUEST_INVALID: 'Tra i dati inseriti manca qualcosa o qualcosa non è corretto.',
    DEPENDENCY_UNAVAILABLE: 'Al momento non funziona. Riprova tra poco.',
  },
  twoStepRequired:
    'Il tuo account è protetto dalla verifica in due passaggi e questa versione dell’app non può chiedere il codice. Aggiornala.',
  advice: {
    CHANGE_PASSWORD: 'Scegli una nuova password.',
    CHANGE_PASSWORD_ELSEWHERE: 'Se usi questa password anche altrove, cambiala anche lì.',
    REVIEW_TRUSTED_DEVICES: 'Controlla i tuoi dispositivi attendibili e rimuovi quelli che non sono tuoi.',
    CHECK_MAILBOX: 'Assicurati che nessun altro possa leggere la tua posta.',
  },
  devices: counted('it', { one: 'dispositivo attendibile', other: 'dispositivi attendibili' }),
};
