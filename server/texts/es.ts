// The Spanish texts, for readers on both sides of the Atlantic. This file knows no layout.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

const minutes = counted('es', { one: 'minuto', other: 'minutos' });

export const es: Texts = {
  locale: 'es',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Su código para iniciar sesión en ${brand}`,
      heading: 'Su código para iniciar sesión',
      intro: (brand) =>
        `Alguien que ha introducido su contraseña está iniciando sesión en ${brand}. Si es usted, introduzca este código donde está iniciando sesión.`,
      validity: (count) => `El código es válido durante ${minutes(count)} y solo para este inicio de sesión.`,
      advice:
        'No comparta este código con nadie. Alguien conoce su contraseña: cámbiela ahora, y también en cualquier otro sitio donde la use.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Su código para desactivar la verificación en dos pasos de ${brand}`,
      heading: 'Su código para desactivar la verificación en dos pasos',
      intro: (brand) =>
        `Alguien que ha iniciado sesión en su cuenta quiere desactivar la verificación en dos pasos de ${brand}. Si es usted, introduzca este código donde lo solicitó. A partir de entonces, bastará con su contraseña para iniciar sesión.`,
      validity: (count) => `El código es válido durante ${minutes(count)} y solo para este cambio.`,
      advice:
        'No comparta este código con nadie. Alguien está usando su cuenta y quizá conozca su contraseña: cámbiela ahora y, después, elimine de sus dispositivos de confianza los que no reconozca.',
    },
  },
  codePreview: (code, validity) => `Código ${code}. ${validity}`,
  neverAsked: (brand) => `Nadie de ${brand} le pedirá nunca este código, ni por teléfono ni en un mensaje.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `Nuevo inicio de sesión en su cuenta de ${brand}`,
      heading: 'Nuevo inicio de sesión en su cuenta',
      intro: (brand) =>
        `Se ha iniciado sesión en su cuenta de ${brand} desde un dispositivo nuevo. Si fue usted, no tiene que hacer nada.`,
      advice:
        'Cambie su contraseña ahora, y también en cualquier otro sitio donde la use. Después, elimine de sus dispositivos de confianza los que no reconozca.',
      pushAdvice: 'Si no fue usted, cambie su contraseña ahora.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Inicio de sesión inusual en su cuenta de ${brand}`,
      heading: 'Inicio de sesión inusual en su cuenta',
      intro: (brand) =>
        `Se ha iniciado sesión en su cuenta de ${brand} de una forma inusual. Si fue usted, no tiene que hacer nada.`,
      advice:
        'Cambie su contraseña ahora, y también en cualquier otro sitio donde la use. Después, elimine de sus dispositivos de confianza el que se indica aquí y los que no reconozca.',
      pushAdvice: 'Si no fue usted, cambie su contraseña ahora.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Verificación en dos pasos desactivada en su cuenta de ${brand}`,
      heading: 'Se ha desactivado la verificación en dos pasos',
      intro: (brand) =>
        `Se ha desactivado la verificación en dos pasos de su cuenta de ${brand}. A partir de ahora, basta con su contraseña para iniciar sesión.`,
      advice:
        'Cambie su contraseña ahora y vuelva a activar la verificación en dos pasos. Después, elimine de sus dispositivos de confianza los que no reconozca.',
      pushAdvice: 'Si no fue usted, cambie su contraseña ahora.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Verificación en dos pasos activada en su cuenta de ${brand}`,
      heading: 'Se ha activado la verificación en dos pasos',
      intro: (brand) =>
        `Se ha activado la verificación en dos pasos de su cuenta de ${brand}. A partir de ahora, para iniciar sesión en un dispositivo nuevo harán falta su contraseña y un código.`,
      advice:
        'Es posible que otra persona esté usando su cuenta. Cambie su contraseña ahora y, después, elimine de sus dispositivos de confianza los que no reconozca.',
      pushAdvice: 'Si no fue usted, cambie su contraseña ahora.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `Se ha eliminado un dispositivo de confianza de su cuenta de ${brand}`,
      heading: 'Se ha eliminado un dispositivo de confianza',
      intro: (brand) =>
        `Se ha cerrado la sesión de un dispositivo y se ha eliminado de los dispositivos de confianza de su cuenta de ${brand}. Para volver a iniciar sesión en él, necesitará un código.`,
      advice:
        'Es posible que otra persona esté usando su cuenta. Cambie su contraseña ahora y, después, elimine de sus dispositivos de confianza los que no reconozca.',
      pushAdvice: 'Si no fue usted, cambie su contraseña ahora.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `Se ha cambiado la contraseña de su cuenta de ${brand}`,
      heading: 'Se ha cambiado su contraseña',
      intro: (brand) =>
        `Se ha cambiado la contraseña de su cuenta de ${brand}. Si fue usted, inicie sesión con la nueva contraseña a partir de ahora.`,
      advice:
        'Restablezca su contraseña de inmediato y asegúrese de que nadie más pueda leer su correo. Si no puede entrar en su cuenta, póngase en contacto con el servicio de asistencia.',
      pushAdvice: 'Si no fue usted, restablezca su contraseña de inmediato.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `Se ha bloqueado un intento de acceso a su cuenta de ${brand}`,
      heading: 'Se ha bloqueado un intento de inicio de sesión',
      intro: (brand) =>
        `Alguien con su contraseña intentó acceder a su cuenta de ${brand}. En uno de sus dispositivos de confianza o desde nuestro correo se respondió «No fui yo», así que el intento se bloqueó.`,
      advice:
        'Quien lo intentó conoce su contraseña. Cámbiela ahora, y también en cualquier otro sitio donde la use. Después, revise sus dispositivos de confianza y elimine los que no sean suyos.',
      pushAdvice: 'Alguien conoce su contraseña: cámbiela ahora.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Alguien intentó iniciar sesión en ${brand} con su contraseña`,
      heading: 'Se ha detenido un inicio de sesión con su contraseña',
      intro: (brand) =>
        `Alguien que introdujo su contraseña intentó iniciar sesión en ${brand} y no pudo entrar: no había ningún dispositivo de confianza que pudiera mostrar el código. Si fue usted, abra la aplicación en uno de sus dispositivos de confianza e inténtelo de nuevo. Si ya no tiene ninguno, póngase en contacto con el servicio de asistencia.`,
      advice: 'Alguien conoce su contraseña. Cámbiela ahora, y también en cualquier otro sitio donde la use.',
      pushAdvice: 'Si no fue usted, cambie su contraseña ahora.',
    },
  },
  emailChanged: {
    subject: (brand) => `Se ha cambiado la dirección de correo de su cuenta de ${brand}`,
    heading: 'Se ha cambiado su dirección de correo electrónico',
    intro: (brand, newEmail) =>
      `La dirección de correo electrónico de su cuenta de ${brand} es ahora ${newEmail}. Los códigos y avisos se enviarán allí a partir de ahora. Este es el último mensaje a esta dirección.`,
    advice:
      'Póngase en contacto con el servicio de asistencia de inmediato: es posible que otra persona controle su cuenta.',
  },
  passwordReset: {
    subject: (brand) => `Restablecimiento de la contraseña de su cuenta de ${brand}`,
    heading: 'Restablecimiento de su contraseña',
    intro: (brand) =>
      `Alguien ha solicitado una nueva contraseña para su cuenta de ${brand}. Si fue usted, abra el enlace y elija una.`,
    button: 'Elegir una nueva contraseña',
    validity: (count) => `El enlace es válido durante ${minutes(count)} y una sola vez. No lo comparta con nadie.`,
    advice:
      'No tiene que hacer nada: su contraseña sigue siendo la misma. Si recibe mensajes como este a menudo, asegúrese de que nadie más pueda leer su correo.',
    footer: (brand) =>
      `${brand} envía este mensaje porque alguien ha solicitado una nueva contraseña. Su enlace solo sirve para elegirla, no para iniciar sesión.`,
  },
  unusual: {
    NEW_DEVICE: 'Dispositivo nuevo',
    NEW_COUNTRY: (country) => `País nuevo: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} en ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Red anónima: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('es', { one: 'hora', other: 'horas' }),
    days: counted('es', { one: 'día', other: 'días' }),
  },
  previousPlace: 'lugar anterior',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'centro de datos',
    PUBLIC_PROXY: 'proxy público',
    RESIDENTIAL_PROXY: 'proxy residencial',
    TOR_EXIT: 'Tor',
    OTHER: 'tipo desconocido',
  },
  notYou: 'Si no fue usted',
  whatNow: 'Qué hacer ahora',
  wasNotMe: 'No fui yo',
  pageAsksFirst: 'Se abrirá una página que le preguntará antes de hacer nada. Nunca le pedirá su contraseña.',
  contactSupport: 'Contactar con asistencia',
  labels: {
    device: 'Dispositivo',
    removedDevice: 'Dispositivo eliminado',
    appVersion: 'Versión de la aplicación',
    time: 'Fecha y hora',
    place: 'Lugar',
    ipAddress: 'Dirección IP',
    newEmail: 'Nueva dirección',
    unusual: 'Inusual',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'navegador web' },
  unknown: 'desconocido',
  placeIsApproximate: 'aproximado, según la dirección IP',
  footer: (brand) => `${brand} envía este mensaje para proteger su cuenta. No contiene enlaces para iniciar sesión.`,
  push: {
    openTheApp: 'Abra la aplicación para ver el código.',
    deviceIn: (device, place) => `${device} en ${place}`,
  },
  denyPage: {
    ask: {
      heading: '¿No fue usted?',
      intro: (brand) => `Diga a ${brand} que no fue usted y protegeremos su cuenta. Si pulsa el botón:`,
      effects: [
        'El intento se cierra y su código deja de ser válido.',
        'Si ya tuvo éxito, se cierra la sesión de ese dispositivo, se elimina de sus dispositivos de confianza y usted necesitará una nueva contraseña.',
      ],
      eventEffects: [
        'Se cierra la sesión de ese dispositivo y se elimina de sus dispositivos de confianza.',
        'Usted necesitará una nueva contraseña.',
      ],
      otherwise: 'Si fue usted, simplemente cierre esta página. Todavía no ha ocurrido nada.',
    },
    done: {
      heading: 'Gracias. Su cuenta está protegida.',
      intro:
        'El intento está cerrado. Si algún dispositivo había iniciado sesión con él, su sesión se ha cerrado y se ha eliminado.',
      eventIntro: 'Se ha cerrado la sesión de ese dispositivo y se ha eliminado de sus dispositivos de confianza.',
    },
    over: {
      heading: 'No hay nada más que hacer aquí',
      intro:
        'Este enlace ya se ha usado, o aquello a lo que se refiere ha terminado. Si no tiene la seguridad de que todo esté bien, cambie su contraseña.',
    },
    invalid: {
      heading: 'Este enlace no funciona',
      intro:
        'Está incompleto o es demasiado antiguo. Ábralo otra vez desde el mensaje más reciente. Si le preocupa su cuenta, cambie su contraseña.',
    },
    unavailable: {
      heading: 'Esto no funciona en este momento',
      intro: 'Inténtelo de nuevo dentro de un momento: vuelva a abrir el enlace del mensaje.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Elija una nueva contraseña',
      intro: (brand) =>
        `Para su cuenta de ${brand}. Después se cerrará la sesión en todos los dispositivos y podrá iniciar sesión con la nueva contraseña.`,
      newPassword: 'Nueva contraseña',
      hint: 'Al menos 8 caracteres: varias palabras sin relación entre sí son fáciles de recordar y difíciles de adivinar.',
      endTrustedDevices:
        'Eliminar también todos los dispositivos de confianza: cada uno necesitará un código en el próximo inicio de sesión.',
      button: 'Guardar contraseña',
    },
    done: {
      heading: 'Se ha cambiado su contraseña',
      intro: 'Se ha cerrado la sesión en todos los dispositivos. Ahora inicie sesión con la nueva contraseña.',
    },
    invalid: {
      heading: 'Este enlace no funciona',
      intro: 'Ya se ha usado, es demasiado antiguo o está incompleto. Solicite uno nuevo donde inicia sesión.',
    },
    unavailable: {
      heading: 'Esto no funciona en este momento',
      intro: 'Inténtelo de nuevo dentro de un momento: vuelva a abrir el enlace del mensaje.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'La contraseña debe tener al menos 8 caracteres.',
    IS_EMAIL: 'La contraseña no debe ser su dirección de correo ni una parte de ella.',
    ONE_CHARACTER: 'La contraseña no debe ser un solo carácter repetido.',
    GUESSABLE: 'Esta contraseña es demasiado fácil de adivinar.',
    BREACHED: 'Esta contraseña es demasiado común o aparece en una filtración de datos.',
    UNCHANGED: 'Es la contraseña que ya tiene.',
    TOO_LONG: 'La contraseña es demasiado larga.',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Esta versión de la aplicación es demasiado antigua. Actualícela.',
    CLIENT_VERSION_MISSING: 'Esta aplicación no indica su versión. Actualícela.',
    CLIENT_VERSION_INVALID: 'Esta aplicación no indica correctamente su versión. Actualícela.',
    CREDENTIALS_INCORRECT: 'La dirección de correo o la contraseña no son correctas.',
    SESSION_INVALID: 'Su sesión se ha cerrado. Inicie sesión de nuevo.',
    SERVICE_TOKEN_INVALID: 'El token de servicio falta o es desconocido.',
    SCOPE_MISSING: 'El token de servicio no permite esta llamada.',
    DEVICE_NOT_TRUSTED: 'Solo se puede hacer desde un dispositivo de confianza.',
    CODE_INCORRECT: 'Este código no es correcto.',
    CHALLENGE_UNKNOWN: 'Este inicio de sesión ya no existe. Empiece de nuevo.',
    CHALLENGE_EXPIRED: 'Este código ha caducado. Empiece de nuevo.',
    CHALLENGE_CLOSED: 'Este código ya no se puede usar. Empiece de nuevo.',
    SEND_TOO_SOON: 'Se acaba de enviar un código. Espere un momento antes de volver a pedirlo.',
    SENDS_EXHAUSTED: 'El código no se puede volver a enviar por esta vía.',
    CHANNEL_UNAVAILABLE: 'El código no se puede enviar por esta vía.',
    RATE_LIMITED: 'Demasiados intentos. Espere.',
    VERIFICATION_LOCKED: 'Demasiados códigos incorrectos. Póngase en contacto con el servicio de asistencia.',
    DEVICE_UNKNOWN: 'Este dispositivo no está en la lista.',
    EVENT_UNKNOWN: 'Esta entrada no está en la lista.',
    RESET_TOKEN_INVALID: 'Este enlace ya se ha usado o es demasiado antiguo. Solicite uno nuevo.',
    ACCOUNT_UNKNOWN: 'Esa cuenta no existe.',
    ACCOUNT_EXISTS: 'Ya existe una cuenta con esta dirección de correo.',
    ACCOUNTS_ELSEWHERE: 'Las cuentas y las contraseñas se gestionan en otro sistema, no aquí.',
    PASSWORD_WEAK: 'Elija una contraseña más segura.',
    REQUEST_INVALID: 'Falta algún dato o no es correcto.',
    DEPENDENCY_UNAVAILABLE: 'Esto no funciona en este momento. Inténtelo de nuevo dentro de un momento.',
  },
  twoStepRequired:
    'Su cuenta está protegida con la verificación en dos pasos y esta versión de la aplicación no puede pedir el código. Actualícela.',
  advice: {
    CHANGE_PASSWORD: 'Elija una nueva contraseña.',
    CHANGE_PASSWORD_ELSEWHERE: 'Si usa esta contraseña en otros sitios, cámbiela también allí.',
    REVIEW_TRUSTED_DEVICES: 'Revise sus dispositivos de confianza y elimine los que no sean suyos.',
    CHECK_MAILBOX: 'Asegúrese de que nadie más pueda leer su correo.',
  },
  devices: counted('es', { one: 'dispositivo de confianza', other: 'dispositivos de confianza' }),
};
