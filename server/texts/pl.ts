// The Polish texts. This file knows no layout. They avoid verb forms that would give the reader a gender.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

// The accusative: przez 1 minutę.
const minutes = counted('pl', { one: 'minutę', few: 'minuty', many: 'minut', other: 'minuty' });

export const pl: Texts = {
  locale: 'pl',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Twój kod logowania do ${brand}`,
      heading: 'Twój kod logowania',
      intro: (brand) =>
        `Ktoś wpisał Twoje hasło i loguje się do ${brand}. Jeśli to Ty, wpisz ten kod tam, gdzie się logujesz.`,
      validity: (count) => `Kod jest ważny przez ${minutes(count)} i tylko dla tego logowania.`,
      advice:
        'Nie podawaj tego kodu nikomu. Ktoś zna Twoje hasło: zmień je teraz i wszędzie indziej, gdzie go używasz.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Twój kod do wyłączenia weryfikacji dwuetapowej w ${brand}`,
      heading: 'Twój kod do wyłączenia weryfikacji dwuetapowej',
      intro: (brand) =>
        `Ktoś zalogowany na Twoim koncie chce wyłączyć weryfikację dwuetapową w ${brand}. Jeśli to Ty, wpisz ten kod tam, gdzie został zamówiony. Potem do zalogowania się wystarczy samo hasło.`,
      validity: (count) => `Kod jest ważny przez ${minutes(count)} i tylko dla tej zmiany.`,
      advice:
        'Nie podawaj tego kodu nikomu. Ktoś korzysta z Twojego konta i być może zna Twoje hasło: zmień je teraz, a potem usuń nieznane Ci urządzenia z listy zaufanych.',
    },
  },
  codePreview: (code, validity) => `Kod ${code}. ${validity}`,
  neverAsked: (brand) => `Nikt z ${brand} nigdy nie poprosi Cię o ten kod, ani przez telefon, ani w wiadomości.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `Nowe logowanie na Twoje konto ${brand}`,
      heading: 'Nowe logowanie na Twoje konto',
      intro: (brand) =>
        `Na Twoje konto ${brand} zalogowano się z nowego urządzenia. Jeśli to Ty, nie musisz nic robić.`,
      advice:
        'Zmień hasło teraz i wszędzie indziej, gdzie go używasz. Potem usuń nieznane Ci urządzenia z listy zaufanych.',
      pushAdvice: 'Jeśli to nie Ty, zmień teraz hasło.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Nietypowe logowanie na Twoje konto ${brand}`,
      heading: 'Nietypowe logowanie na Twoje konto',
      intro: (brand) => `Na Twoje konto ${brand} zalogowano się w nietypowy sposób. Jeśli to Ty, nie musisz nic robić.`,
      advice:
        'Zmień hasło teraz i wszędzie indziej, gdzie go używasz. Potem usuń z listy zaufanych wskazane tu urządzenie oraz wszystkie nieznane Ci urządzenia.',
      pushAdvice: 'Jeśli to nie Ty, zmień teraz hasło.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Weryfikacja dwuetapowa na Twoim koncie ${brand} jest wyłączona`,
      heading: 'Weryfikacja dwuetapowa została wyłączona',
      intro: (brand) =>
        `Na Twoim koncie ${brand} wyłączono weryfikację dwuetapową. Od teraz do zalogowania się wystarczy samo hasło.`,
      advice:
        'Zmień teraz hasło i ponownie włącz weryfikację dwuetapową. Potem usuń nieznane Ci urządzenia z listy zaufanych.',
      pushAdvice: 'Jeśli to nie Ty, zmień teraz hasło.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Weryfikacja dwuetapowa na Twoim koncie ${brand} jest włączona`,
      heading: 'Weryfikacja dwuetapowa została włączona',
      intro: (brand) =>
        `Na Twoim koncie ${brand} włączono weryfikację dwuetapową. Od teraz do zalogowania się na nowym urządzeniu potrzebne są hasło i kod.`,
      advice:
        'Być może ktoś inny korzysta z Twojego konta. Zmień teraz hasło, a potem usuń nieznane Ci urządzenia z listy zaufanych.',
      pushAdvice: 'Jeśli to nie Ty, zmień teraz hasło.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `Z Twojego konta ${brand} usunięto zaufane urządzenie`,
      heading: 'Zaufane urządzenie zostało usunięte',
      intro: (brand) =>
        `Urządzenie zostało wylogowane i usunięte z zaufanych urządzeń Twojego konta ${brand}. Aby zalogować się na nim ponownie, będziesz potrzebować kodu.`,
      advice:
        'Być może ktoś inny korzysta z Twojego konta. Zmień teraz hasło, a potem usuń nieznane Ci urządzenia z listy zaufanych.',
      pushAdvice: 'Jeśli to nie Ty, zmień teraz hasło.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `Hasło do Twojego konta ${brand} zostało zmienione`,
      heading: 'Twoje hasło zostało zmienione',
      intro: (brand) => `Hasło do Twojego konta ${brand} zostało zmienione. Jeśli to Ty, loguj się odtąd nowym hasłem.`,
      advice:
        'Natychmiast zresetuj hasło i upewnij się, że nikt inny nie może czytać Twojej poczty. Jeśli nie możesz wejść na swoje konto, skontaktuj się z pomocą techniczną.',
      pushAdvice: 'Jeśli to nie Ty, natychmiast zresetuj hasło.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `Próba wejścia na Twoje konto ${brand} została zablokowana`,
      heading: 'Próba logowania została zablokowana',
      intro: (brand) =>
        `Ktoś, kto zna Twoje hasło, próbował wejść na Twoje konto ${brand}. Na jednym z Twoich zaufanych urządzeń lub przez naszą wiadomość padła odpowiedź „To nie ja”, dlatego próba została zablokowana.`,
      advice:
        'Ten, kto próbował, zna Twoje hasło. Zmień je teraz i wszędzie indziej, gdzie go używasz. Potem przejrzyj swoje zaufane urządzenia i usuń te, które nie należą do Ciebie.',
      pushAdvice: 'Ktoś zna Twoje hasło: zmień je teraz.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Ktoś próbował zalogować się do ${brand} Twoim hasłem`,
      heading: 'Logowanie Twoim hasłem zostało zatrzymane',
      intro: (brand) =>
        `Ktoś, kto podał Twoje hasło, próbował zalogować się do ${brand} i nie został wpuszczony: żadne zaufane urządzenie nie mogło pokazać kodu. Jeśli to Ty, otwórz aplikację na jednym ze swoich zaufanych urządzeń i spróbuj ponownie. Jeśli nie masz już żadnego, skontaktuj się z pomocą techniczną.`,
      advice: 'Ktoś zna Twoje hasło. Zmień je teraz i wszędzie indziej, gdzie go używasz.',
      pushAdvice: 'Jeśli to nie Ty, zmień teraz hasło.',
    },
  },
  emailChanged: {
    subject: (brand) => `Adres e-mail Twojego konta ${brand} został zmieniony`,
    heading: 'Twój adres e-mail został zmieniony',
    intro: (brand, newEmail) =>
      `Adres e-mail Twojego konta ${brand} to teraz ${newEmail}. Odtąd kody i powiadomienia będą trafiać tam. To ostatnia wiadomość na ten adres.`,
    advice: 'Natychmiast skontaktuj się z pomocą techniczną: być może ktoś inny przejął kontrolę nad Twoim kontem.',
  },
  passwordReset: {
    subject: (brand) => `Resetowanie hasła do Twojego konta ${brand}`,
    heading: 'Resetowanie hasła',
    intro: (brand) => `Ktoś poprosił o nowe hasło do Twojego konta ${brand}. Jeśli to Ty, otwórz link i ustaw je.`,
    button: 'Ustaw nowe hasło',
    validity: (count) => `Link jest ważny przez ${minutes(count)} i działa tylko raz. Nie podawaj go nikomu.`,
    advice:
      'Nie musisz nic robić: Twoje hasło pozostaje bez zmian. Jeśli często dostajesz takie wiadomości, upewnij się, że nikt inny nie może czytać Twojej poczty.',
    footer: (brand) =>
      `${brand} wysyła tę wiadomość, ponieważ ktoś poprosił o nowe hasło. Zawarty w niej link służy tylko do ustawienia hasła, a nie do logowania.`,
  },
  unusual: {
    NEW_DEVICE: 'Nowe urządzenie',
    NEW_COUNTRY: (country) => `Nowy kraj: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} w ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Anonimowa sieć: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('pl', { one: 'godzinę', few: 'godziny', many: 'godzin', other: 'godziny' }),
    days: counted('pl', { one: 'dzień', few: 'dni', many: 'dni', other: 'dnia' }),
  },
  previousPlace: 'poprzednie miejsce',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'centrum danych',
    PUBLIC_PROXY: 'publiczne proxy',
    RESIDENTIAL_PROXY: 'proxy rezydencjalne',
    TOR_EXIT: 'Tor',
    OTHER: 'nieznany rodzaj',
  },
  notYou: 'Jeśli to nie Ty',
  whatNow: 'Co teraz zrobić',
  wasNotMe: 'To nie ja',
  pageAsksFirst: 'Otworzy się strona, która zapyta Cię, zanim cokolwiek zrobi. Nigdy nie pyta o hasło.',
  contactSupport: 'Pomoc techniczna',
  labels: {
    device: 'Urządzenie',
    removedDevice: 'Usunięte urządzenie',
    appVersion: 'Wersja aplikacji',
    time: 'Data i godzina',
    place: 'Miejsce',
    ipAddress: 'Adres IP',
    newEmail: 'Nowy adres',
    unusual: 'Co jest nietypowe',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'przeglądarka' },
  unknown: 'brak danych',
  placeIsApproximate: 'w przybliżeniu, na podstawie adresu IP',
  footer: (brand) =>
    `${brand} wysyła tę wiadomość, aby chronić Twoje konto. Nie zawiera ona linków służących do logowania.`,
  push: {
    openTheApp: 'Otwórz aplikację, aby zobaczyć kod.',
    deviceIn: (device, place) => `${device} (${place})`,
  },
  denyPage: {
    ask: {
      heading: 'To nie Ty?',
      intro: (brand) => `Powiedz ${brand}, że to nie Ty, a zabezpieczymy Twoje konto. Jeśli naciśniesz przycisk:`,
      effects: [
        'Próba zostanie zamknięta, a jej kod straci ważność.',
        'Jeśli już się powiodła, tamto urządzenie zostanie wylogowane i usunięte z zaufanych, a Ty będziesz potrzebować nowego hasła.',
      ],
      eventEffects: [
        'Tamto urządzenie zostanie wylogowane i usunięte z zaufanych.',
        'Będziesz potrzebować nowego hasła.',
      ],
      otherwise: 'Jeśli to jednak Ty, po prostu zamknij tę stronę. Nic się jeszcze nie stało.',
    },
    done: {
      heading: 'Dziękujemy. Twoje konto jest chronione.',
      intro: 'Próba jest zamknięta. Jeśli zalogowało się przez nią jakieś urządzenie, zostało wylogowane i usunięte.',
      eventIntro: 'Tamto urządzenie zostało wylogowane i usunięte z zaufanych.',
    },
    over: {
      heading: 'Nie trzeba już nic robić',
      intro:
        'Ten link został już użyty albo sprawa, której dotyczy, jest zakończona. Jeśli nie masz pewności, że wszystko jest w porządku, zmień hasło.',
    },
    invalid: {
      heading: 'Ten link nie działa',
      intro:
        'Jest niepełny lub zbyt stary. Otwórz go jeszcze raz z najnowszej wiadomości. Jeśli obawiasz się o swoje konto, zmień hasło.',
    },
    unavailable: {
      heading: 'To teraz nie działa',
      intro: 'Spróbuj ponownie za chwilę: otwórz link z wiadomości jeszcze raz.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Ustaw nowe hasło',
      intro: (brand) =>
        `Hasło do Twojego konta ${brand}. Potem wszystkie urządzenia zostaną wylogowane i zalogujesz się nowym hasłem.`,
      newPassword: 'Nowe hasło',
      hint: 'Co najmniej 8 znaków: kilka niezwiązanych ze sobą słów łatwo zapamiętać, a trudno odgadnąć.',
      endTrustedDevices: 'Usuń także wszystkie zaufane urządzenia: każde będzie wymagać kodu przy następnym logowaniu.',
      button: 'Zapisz hasło',
    },
    done: {
      heading: 'Twoje hasło zostało zmienione',
      intro: 'Wszystkie urządzenia zostały wylogowane. Zaloguj się teraz nowym hasłem.',
    },
    invalid: {
      heading: 'Ten link nie działa',
      intro: 'Został już użyty, jest zbyt stary lub niepełny. Poproś o nowy tam, gdzie się logujesz.',
    },
    unavailable: {
      heading: 'To teraz nie działa',
      intro: 'Spróbuj ponownie za chwilę: otwórz link z wiadomości jeszcze raz.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'Hasło musi mieć co najmniej 8 znaków.',
    IS_EMAIL: 'Hasłem nie może być Twój adres e-mail ani jego część.',
    ONE_CHARACTER: 'Hasło nie może być jednym powtarzanym znakiem.',
    GUESSABLE: 'To hasło jest zbyt łatwe do odgadnięcia.',
    BREACHED: 'To hasło jest zbyt popularne lub pojawiło się w wycieku danych.',
    UNCHANGED: 'To jest obecne hasło.',
    TOO_LONG: 'Hasło jest za długie.',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Ta wersja aplikacji jest zbyt stara. Zaktualizuj aplikację.',
    CLIENT_VERSION_MISSING: 'Ta aplikacja nie podaje swojej wersji. Zaktualizuj aplikację.',
    CLIENT_VERSION_INVALID: 'Ta aplikacja nieprawidłowo podaje swoją wersję. Zaktualizuj aplikację.',
    CREDENTIALS_INCORRECT: 'Adres e-mail lub hasło są nieprawidłowe.',
    SESSION_INVALID: 'Nastąpiło wylogowanie. Zaloguj się ponownie.',
    SERVICE_TOKEN_INVALID: 'Brakuje tokenu usługi lub jest on nieznany.',
    SCOPE_MISSING: 'Token usługi nie pozwala na to wywołanie.',
    DEVICE_NOT_TRUSTED: 'Można to zrobić tylko na zaufanym urządzeniu.',
    CODE_INCORRECT: 'Ten kod jest nieprawidłowy.',
    CHALLENGE_UNKNOWN: 'To logowanie nie jest już znane. Zacznij od nowa.',
    CHALLENGE_EXPIRED: 'Ten kod stracił ważność. Zacznij od nowa.',
    CHALLENGE_CLOSED: 'Tego kodu nie można już użyć. Zacznij od nowa.',
    SEND_TOO_SOON: 'Kod został właśnie wysłany. Poczekaj chwilę, zanim poprosisz o niego ponownie.',
    SENDS_EXHAUSTED: 'Tą drogą nie można już wysłać kodu ponownie.',
    CHANNEL_UNAVAILABLE: 'Tą drogą nie można wysłać kodu.',
    RATE_LIMITED: 'Zbyt wiele prób. Poczekaj.',
    VERIFICATION_LOCKED: 'Zbyt wiele błędnych kodów. Skontaktuj się z pomocą techniczną.',
    DEVICE_UNKNOWN: 'Tego urządzenia nie ma na liście.',
    EVENT_UNKNOWN: 'Tego wpisu nie ma na liście.',
    RESET_TOKEN_INVALID: 'Ten link został już użyty lub jest zbyt stary. Poproś o nowy.',
    ACCOUNT_UNKNOWN: 'Takie konto nie istnieje.',
    ACCOUNT_EXISTS: 'Konto z tym adresem e-mail już istnieje.',
    ACCOUNTS_ELSEWHERE: 'Kontami i hasłami zarządza się w innym systemie, nie tutaj.',
    PASSWORD_WEAK: 'Wybierz silniejsze hasło.',
    REQUEST_INVALID: 'Brakuje jakichś danych lub są nieprawidłowe.',
    DEPENDENCY_UNAVAILABLE: 'To teraz nie działa. Spróbuj ponownie za chwilę.',
  },
  twoStepRequired:
    'Twoje konto chroni weryfikacja dwuetapowa, a ta wersja aplikacji nie potrafi poprosić o kod. Zaktualizuj aplikację.',
  advice: {
    CHANGE_PASSWORD: 'Wybierz nowe hasło.',
    CHANGE_PASSWORD_ELSEWHERE: 'Jeśli używasz tego hasła gdzie indziej, zmień je również tam.',
    REVIEW_TRUSTED_DEVICES: 'Przejrzyj swoje zaufane urządzenia i usuń te, które nie należą do Ciebie.',
    CHECK_MAILBOX: 'Upewnij się, że nikt inny nie może czytać Twojej poczty.',
  },
  devices: counted('pl', {
    one: 'zaufane urządzenie',
    few: 'zaufane urządzenia',
    many: 'zaufanych urządzeń',
    other: 'zaufanego urządzenia',
  }),
};
