// The Turkish texts. This file knows no layout. No suffix is put on the brand: it would have to follow its last vowel.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

// Nouns stay in the singular after a number.
const minutes = counted('tr', { other: 'dakika' });

export const tr: Texts = {
  locale: 'tr',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `${brand} oturum açma kodunuz`,
      heading: 'Oturum açma kodunuz',
      intro: (brand) =>
        `Parolanızı giren biri ${brand} hesabınızda oturum açıyor. Bu kişi sizseniz, bu kodu oturum açtığınız yere girin.`,
      validity: (count) => `Kod ${minutes(count)} boyunca ve yalnızca bu oturum açma işlemi için geçerlidir.`,
      advice:
        'Bu kodu kimseyle paylaşmayın. Parolanızı bilen biri var: Parolanızı hemen değiştirin; başka yerlerde de kullanıyorsanız oralarda da değiştirin.',
    },
    SWITCH_OFF: {
      subject: (brand) => `${brand} iki adımlı doğrulamasını kapatma kodunuz`,
      heading: 'İki adımlı doğrulamayı kapatma kodunuz',
      intro: (brand) =>
        `Hesabınızda oturum açmış biri, ${brand} için iki adımlı doğrulamayı kapatmak istiyor. Bu kişi sizseniz, bu kodu istediğiniz yere girin. Bundan sonra oturum açmak için yalnızca parolanız yeterli olacaktır.`,
      validity: (count) => `Kod ${minutes(count)} boyunca ve yalnızca bu değişiklik için geçerlidir.`,
      advice:
        'Bu kodu kimseyle paylaşmayın. Biri hesabınızı kullanıyor ve parolanızı biliyor olabilir: Parolanızı hemen değiştirin, ardından tanımadığınız cihazları güvenilir cihazlarınızdan kaldırın.',
    },
  },
  codePreview: (code, validity) => `Kod: ${code}. ${validity}`,
  neverAsked: (brand) => `${brand} adına hiç kimse, telefonda veya bir mesajda sizden bu kodu asla istemez.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `${brand} hesabınızda yeni oturum açıldı`,
      heading: 'Hesabınızda yeni oturum açıldı',
      intro: (brand) =>
        `${brand} hesabınızda yeni bir cihazdan oturum açıldı. Bunu siz yaptıysanız bir şey yapmanız gerekmez.`,
      advice:
        'Parolanızı hemen değiştirin; başka yerlerde de kullanıyorsanız oralarda da değiştirin. Ardından tanımadığınız cihazları güvenilir cihazlarınızdan kaldırın.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen değiştirin.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `${brand} hesabınızda olağan dışı bir oturum açıldı`,
      heading: 'Hesabınızda olağan dışı bir oturum açıldı',
      intro: (brand) =>
        `${brand} hesabınızda olağan dışı bir şekilde oturum açıldı. Bunu siz yaptıysanız bir şey yapmanız gerekmez.`,
      advice:
        'Parolanızı hemen değiştirin; başka yerlerde de kullanıyorsanız oralarda da değiştirin. Ardından burada belirtilen cihazı ve tanımadığınız cihazları güvenilir cihazlarınızdan kaldırın.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen değiştirin.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `${brand} hesabınızda iki adımlı doğrulama kapatıldı`,
      heading: 'İki adımlı doğrulama kapatıldı',
      intro: (brand) =>
        `${brand} hesabınızda iki adımlı doğrulama kapatıldı. Artık oturum açmak için yalnızca parolanız yeterli.`,
      advice:
        'Parolanızı hemen değiştirin ve iki adımlı doğrulamayı yeniden açın. Ardından tanımadığınız cihazları güvenilir cihazlarınızdan kaldırın.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen değiştirin.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `${brand} hesabınızda iki adımlı doğrulama açıldı`,
      heading: 'İki adımlı doğrulama açıldı',
      intro: (brand) =>
        `${brand} hesabınızda iki adımlı doğrulama açıldı. Artık yeni bir cihazda oturum açmak için parolanız ve bir kod gerekiyor.`,
      advice:
        'Hesabınızı başka biri kullanıyor olabilir. Parolanızı hemen değiştirin, ardından tanımadığınız cihazları güvenilir cihazlarınızdan kaldırın.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen değiştirin.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `${brand} hesabınızdan güvenilir bir cihaz kaldırıldı`,
      heading: 'Güvenilir bir cihaz kaldırıldı',
      intro: (brand) =>
        `Bir cihazın oturumu kapatıldı ve cihaz ${brand} hesabınızın güvenilir cihazlarından kaldırıldı. O cihazda yeniden oturum açmak için bir koda ihtiyacınız olacak.`,
      advice:
        'Hesabınızı başka biri kullanıyor olabilir. Parolanızı hemen değiştirin, ardından tanımadığınız cihazları güvenilir cihazlarınızdan kaldırın.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen değiştirin.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `${brand} hesabınızın parolası değiştirildi`,
      heading: 'Parolanız değiştirildi',
      intro: (brand) =>
        `${brand} hesabınızın parolası değiştirildi. Bunu siz yaptıysanız bundan sonra yeni parolanızla oturum açın.`,
      advice:
        'Parolanızı hemen sıfırlayın ve e-postalarınızı başka kimsenin okuyamadığından emin olun. Hesabınıza giremiyorsanız destek ekibiyle iletişime geçin.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen sıfırlayın.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `${brand} hesabınıza girme denemesi engellendi`,
      heading: 'Bir oturum açma denemesi engellendi',
      intro: (brand) =>
        `Parolanızı bilen biri ${brand} hesabınıza girmeye çalıştı. Güvenilir cihazlarınızdan birinde veya e-postamız üzerinden “Ben değildim” yanıtı verildi ve deneme engellendi.`,
      advice:
        'Bunu deneyen kişi parolanızı biliyor. Parolanızı hemen değiştirin; başka yerlerde de kullanıyorsanız oralarda da değiştirin. Ardından güvenilir cihazlarınızı gözden geçirin ve size ait olmayanları kaldırın.',
      pushAdvice: 'Parolanızı bilen biri var: Hemen değiştirin.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Biri parolanızla ${brand} hesabınızda oturum açmaya çalıştı`,
      heading: 'Parolanızla yapılan bir oturum açma durduruldu',
      intro: (brand) =>
        `Parolanızı giren biri ${brand} hesabınızda oturum açmaya çalıştı ve içeri alınmadı: Kodu gösterebilecek güvenilir bir cihaz yoktu. Bu sizseniz güvenilir cihazlarınızdan birinde uygulamayı açın ve yeniden deneyin. Artık böyle bir cihazınız yoksa destek ekibine başvurun.`,
      advice:
        'Parolanızı bilen biri var. Parolanızı hemen değiştirin; başka yerlerde de kullanıyorsanız oralarda da değiştirin.',
      pushAdvice: 'Bunu siz yapmadıysanız parolanızı hemen değiştirin.',
    },
  },
  emailChanged: {
    subject: (brand) => `${brand} hesabınızın e-posta adresi değiştirildi`,
    heading: 'E-posta adresiniz değiştirildi',
    intro: (brand, newEmail) =>
      `${brand} hesabınızın e-posta adresi artık ${newEmail}. Kodlar ve bildirimler bundan sonra oraya gönderilecek. Bu, bu adrese gönderilen son mesajdır.`,
    advice: 'Hemen destek ekibiyle iletişime geçin: Hesabınız başka birinin kontrolünde olabilir.',
  },
  passwordReset: {
    subject: (brand) => `${brand} hesabınızın parolasını sıfırlama`,
    heading: 'Parolanızı sıfırlama',
    intro: (brand) =>
      `Biri ${brand} hesabınız için yeni bir parola istedi. Bunu siz yaptıysanız bağlantıyı açın ve yeni bir parola belirleyin.`,
    button: 'Yeni parola belirle',
    validity: (count) =>
      `Bağlantı ${minutes(count)} boyunca ve yalnızca bir kez geçerlidir. Bağlantıyı kimseyle paylaşmayın.`,
    advice:
      'Bir şey yapmanız gerekmez: Parolanız değişmedi. Bu tür mesajlar sık sık geliyorsa e-postalarınızı başka kimsenin okuyamadığından emin olun.',
    footer: (brand) =>
      `${brand} bu mesajı, yeni bir parola istendiği için gönderir. Mesajdaki bağlantı yalnızca yeni bir parola belirlemeye yarar; bağlantıyla oturum açılmaz.`,
  },
  unusual: {
    NEW_DEVICE: 'Yeni cihaz',
    NEW_COUNTRY: (country) => `Yeni ülke: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${elapsed} içinde ${distance}`,
    ANONYMOUS_NETWORK: (kinds) => `Anonim ağ: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('tr', { other: 'saat' }),
    days: counted('tr', { other: 'gün' }),
  },
  previousPlace: 'önceki konum',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'veri merkezi',
    PUBLIC_PROXY: 'herkese açık proxy',
    RESIDENTIAL_PROXY: 'konut tipi proxy',
    TOR_EXIT: 'Tor',
    OTHER: 'türü bilinmiyor',
  },
  notYou: 'Bunu siz yapmadıysanız',
  whatNow: 'Şimdi ne yapmalısınız',
  wasNotMe: 'Ben değildim',
  pageAsksFirst: 'Herhangi bir işlem yapmadan önce size soran bir sayfa açılır. Bu sayfa parolanızı asla istemez.',
  contactSupport: 'Destek ekibi',
  labels: {
    device: 'Cihaz',
    removedDevice: 'Kaldırılan cihaz',
    appVersion: 'Uygulama sürümü',
    time: 'Tarih ve saat',
    place: 'Konum',
    ipAddress: 'IP adresi',
    newEmail: 'Yeni adres',
    unusual: 'Olağan dışı olan',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'web tarayıcısı' },
  unknown: 'bilinmiyor',
  placeIsApproximate: 'yaklaşık, IP adresine göre',
  footer: (brand) =>
    `${brand} bu mesajı hesabınızı korumak için gönderir. Mesajda oturum açmaya yarayan bağlantı bulunmaz.`,
  push: {
    openTheApp: 'Kodu görmek için uygulamayı açın.',
    deviceIn: (device, place) => `${device} (${place})`,
  },
  denyPage: {
    ask: {
      heading: 'Bu siz değil miydiniz?',
      intro: (brand) =>
        `Bunun siz olmadığınızı bildirin; ${brand} hesabınızı koruma altına alalım. Düğmeye basarsanız:`,
      effects: [
        'Deneme kapatılır ve kodu artık kullanılamaz.',
        'Deneme başarılı olduysa o cihazın oturumu kapatılır, cihaz güvenilir cihazlarınızdan kaldırılır ve yeni bir parola belirlemeniz gerekir.',
      ],
      eventEffects: [
        'O cihazın oturumu kapatılır ve cihaz güvenilir cihazlarınızdan kaldırılır.',
        'Yeni bir parola belirlemeniz gerekir.',
      ],
      otherwise: 'Bunu siz yaptıysanız bu sayfayı kapatmanız yeterli. Henüz hiçbir işlem yapılmadı.',
    },
    done: {
      heading: 'Teşekkürler. Hesabınız koruma altında.',
      intro: 'Deneme kapatıldı. Bu yolla bir cihaz oturum açtıysa oturumu kapatıldı ve cihaz kaldırıldı.',
      eventIntro: 'O cihazın oturumu kapatıldı ve cihaz güvenilir cihazlarınızdan kaldırıldı.',
    },
    over: {
      heading: 'Burada yapılacak başka bir şey yok',
      intro:
        'Bu bağlantı daha önce kullanıldı ya da ilgili işlem sona erdi. Her şeyin yolunda olduğundan emin değilseniz parolanızı değiştirin.',
    },
    invalid: {
      heading: 'Bu bağlantı çalışmıyor',
      intro:
        'Bağlantı eksik veya çok eski. Lütfen en yeni mesajdan yeniden açın. Hesabınız için endişeleniyorsanız parolanızı değiştirin.',
    },
    unavailable: {
      heading: 'Bu şu anda çalışmıyor',
      intro: 'Lütfen biraz sonra yeniden deneyin: Mesajdaki bağlantıyı tekrar açın.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Yeni bir parola belirleyin',
      intro: (brand) =>
        `${brand} hesabınız için. Ardından tüm cihazlarda oturum kapatılır ve yeni parolanızla oturum açarsınız.`,
      newPassword: 'Yeni parola',
      hint: 'En az 8 karakter: Birbiriyle ilgisiz birkaç kelimeyi hatırlamak kolay, tahmin etmek zordur.',
      endTrustedDevices: 'Tüm güvenilir cihazları da kaldır: Her biri için bir sonraki oturum açmada kod gerekir.',
      button: 'Parolayı kaydet',
    },
    done: {
      heading: 'Parolanız değiştirildi',
      intro: 'Tüm cihazlarda oturum kapatıldı. Şimdi yeni parolanızla oturum açın.',
    },
    invalid: {
      heading: 'Bu bağlantı çalışmıyor',
      intro: 'Bağlantı daha önce kullanıldı, çok eski veya eksik. Lütfen oturum açtığınız yerden yenisini isteyin.',
    },
    unavailable: {
      heading: 'Bu şu anda çalışmıyor',
      intro: 'Lütfen biraz sonra yeniden deneyin: Mesajdaki bağlantıyı tekrar açın.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'Parola en az 8 karakter olmalıdır.',
    IS_EMAIL: 'Parola, e-posta adresiniz veya onun bir parçası olmamalıdır.',
    ONE_CHARACTER: 'Parola, tek bir karakterin tekrarı olmamalıdır.',
    GUESSABLE: 'Bu parolayı tahmin etmek çok kolay.',
    BREACHED: 'Bu parola çok yaygın veya bir veri sızıntısında yer almış.',
    UNCHANGED: 'Bu, şu anki parolanız.',
    TOO_LONG: 'Parola çok uzun.',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Uygulamanın bu sürümü çok eski. Lütfen güncelleyin.',
    CLIENT_VERSION_MISSING: 'Bu uygulama sürümünü bildirmiyor. Lütfen güncelleyin.',
    CLIENT_VERSION_INVALID: 'Bu uygulama sürümünü doğru bildirmiyor. Lütfen güncelleyin.',
    CREDENTIALS_INCORRECT: 'E-posta adresi veya parola yanlış.',
    SESSION_INVALID: 'Oturumunuz kapandı. Lütfen yeniden oturum açın.',
    SERVICE_TOKEN_INVALID: 'Hizmet belirteci eksik veya bilinmiyor.',
    SCOPE_MISSING: 'Hizmet belirteci bu çağrıya izin vermiyor.',
    DEVICE_NOT_TRUSTED: 'Bu yalnızca güvenilir bir cihazda yapılabilir.',
    CODE_INCORRECT: 'Bu kod yanlış.',
    CHALLENGE_UNKNOWN: 'Bu oturum açma işlemi artık bilinmiyor. Lütfen baştan başlayın.',
    CHALLENGE_EXPIRED: 'Bu kodun süresi doldu. Lütfen baştan başlayın.',
    CHALLENGE_CLOSED: 'Bu kod artık kullanılamaz. Lütfen baştan başlayın.',
    SEND_TOO_SOON: 'Az önce bir kod gönderildi. Lütfen yeniden istemeden önce biraz bekleyin.',
    SENDS_EXHAUSTED: 'Kod bu yolla yeniden gönderilemez.',
    CHANNEL_UNAVAILABLE: 'Kod bu yolla gönderilemez.',
    RATE_LIMITED: 'Çok fazla deneme yapıldı. Lütfen bekleyin.',
    VERIFICATION_LOCKED: 'Çok fazla yanlış kod girildi. Lütfen destek ekibiyle iletişime geçin.',
    DEVICE_UNKNOWN: 'Bu cihaz listede yok.',
    EVENT_UNKNOWN: 'Bu kayıt listede yok.',
    RESET_TOKEN_INVALID: 'Bu bağlantı daha önce kullanıldı veya çok eski. Lütfen yenisini isteyin.',
    ACCOUNT_UNKNOWN: 'Böyle bir hesap yok.',
    ACCOUNT_EXISTS: 'Bu e-posta adresiyle zaten bir hesap var.',
    ACCOUNTS_ELSEWHERE: 'Hesaplar ve parolalar burada değil, başka bir sistemde yönetiliyor.',
    PASSWORD_WEAK: 'Lütfen daha güçlü bir parola seçin.',
    REQUEST_INVALID: 'Girilen bilgilerde bir eksik veya yanlış var.',
    DEPENDENCY_UNAVAILABLE: 'Bu şu anda çalışmıyor. Lütfen biraz sonra yeniden deneyin.',
  },
  twoStepRequired:
    'Hesabınız iki adımlı doğrulama ile korunuyor ve uygulamanın bu sürümü kod isteyemiyor. Lütfen güncelleyin.',
  advice: {
    CHANGE_PASSWORD: 'Yeni bir parola seçin.',
    CHANGE_PASSWORD_ELSEWHERE: 'Bu parolayı başka yerlerde de kullanıyorsanız oralarda da değiştirin.',
    REVIEW_TRUSTED_DEVICES: 'Güvenilir cihazlarınızı gözden geçirin ve size ait olmayanları kaldırın.',
    CHECK_MAILBOX: 'E-postalarınızı başka kimsenin okuyamadığından emin olun.',
  },
  devices: counted('tr', { other: 'güvenilir cihaz' }),
};
