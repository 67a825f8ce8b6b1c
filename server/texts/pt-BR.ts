// The Portuguese texts, as Brazil writes it. This file knows no layout. No article stands before the brand, which may be of
// either gender.

import { counted } from './counted.ts';
import type { Texts } from './texts.ts';

const minutes = counted('pt-BR', { one: 'minuto', other: 'minutos' });

export const ptBR: Texts = {
  locale: 'pt-BR',
  colon: ': ',
  remark: (subject, note) => `${subject} (${note})`,
  code: {
    SIGN_IN: {
      subject: (brand) => `Seu código de login em ${brand}`,
      heading: 'Seu código de login',
      intro: (brand) =>
        `Alguém que digitou sua senha está fazendo login em ${brand}. Se for você, digite este código onde está fazendo login.`,
      validity: (count) => `O código vale por ${minutes(count)} e somente para este login.`,
      advice:
        'Não compartilhe este código com ninguém. Alguém sabe sua senha: troque-a agora e em todos os outros lugares onde você a usa.',
    },
    SWITCH_OFF: {
      subject: (brand) => `Seu código para desativar a verificação em duas etapas em ${brand}`,
      heading: 'Seu código para desativar a verificação em duas etapas',
      intro: (brand) =>
        `Alguém conectado à sua conta quer desativar a verificação em duas etapas em ${brand}. Se for você, digite este código onde o solicitou. Depois disso, bastará a sua senha para fazer login.`,
      validity: (count) => `O código vale por ${minutes(count)} e somente para esta alteração.`,
      advice:
        'Não compartilhe este código com ninguém. Alguém está usando sua conta e talvez saiba sua senha: troque-a agora e depois remova dos seus dispositivos confiáveis os que você não reconhece.',
    },
  },
  codePreview: (code, validity) => `Código ${code}. ${validity}`,
  neverAsked: (brand) => `Ninguém da equipe ${brand} vai pedir este código a você, nem por telefone nem por mensagem.`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `Novo login na sua conta ${brand}`,
      heading: 'Novo login na sua conta',
      intro: (brand) => `Um novo dispositivo fez login na sua conta ${brand}. Se foi você, não é preciso fazer nada.`,
      advice:
        'Troque sua senha agora e em todos os outros lugares onde você a usa. Depois, remova dos seus dispositivos confiáveis os que você não reconhece.',
      pushAdvice: 'Se não foi você, troque sua senha agora.',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `Login incomum na sua conta ${brand}`,
      heading: 'Login incomum na sua conta',
      intro: (brand) => `Houve um login fora do comum na sua conta ${brand}. Se foi você, não é preciso fazer nada.`,
      advice:
        'Troque sua senha agora e em todos os outros lugares onde você a usa. Depois, remova dos seus dispositivos confiáveis o que está indicado aqui e os que você não reconhece.',
      pushAdvice: 'Se não foi você, troque sua senha agora.',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `Verificação em duas etapas desativada na sua conta ${brand}`,
      heading: 'A verificação em duas etapas foi desativada',
      intro: (brand) =>
        `A verificação em duas etapas da sua conta ${brand} foi desativada. A partir de agora, basta a sua senha para fazer login.`,
      advice:
        'Troque sua senha agora e ative novamente a verificação em duas etapas. Depois, remova dos seus dispositivos confiáveis os que você não reconhece.',
      pushAdvice: 'Se não foi você, troque sua senha agora.',
    },
    TWO_STEP_ON: {
      subject: (brand) => `Verificação em duas etapas ativada na sua conta ${brand}`,
      heading: 'A verificação em duas etapas foi ativada',
      intro: (brand) =>
        `A verificação em duas etapas da sua conta ${brand} foi ativada. A partir de agora, para fazer login em um novo dispositivo são necessários a sua senha e um código.`,
      advice:
        'Outra pessoa pode estar usando sua conta. Troque sua senha agora e depois remova dos seus dispositivos confiáveis os que você não reconhece.',
      pushAdvice: 'Se não foi você, troque sua senha agora.',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `Um dispositivo confiável foi removido da sua conta ${brand}`,
      heading: 'Um dispositivo confiável foi removido',
      intro: (brand) =>
        `Um dispositivo foi desconectado e removido dos dispositivos confiáveis da sua conta ${brand}. Para fazer login nele novamente, você vai precisar de um código.`,
      advice:
        'Outra pessoa pode estar usando sua conta. Troque sua senha agora e depois remova dos seus dispositivos confiáveis os que você não reconhece.',
      pushAdvice: 'Se não foi você, troque sua senha agora.',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `A senha da sua conta ${brand} foi alterada`,
      heading: 'Sua senha foi alterada',
      intro: (brand) =>
        `A senha da sua conta ${brand} foi alterada. Se foi você, faça login com a nova senha a partir de agora.`,
      advice:
        'Redefina sua senha imediatamente e verifique se mais ninguém consegue ler seus e-mails. Se você não conseguir entrar na sua conta, fale com o suporte.',
      pushAdvice: 'Se não foi você, redefina sua senha imediatamente.',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `Uma tentativa de acesso à sua conta ${brand} foi bloqueada`,
      heading: 'Uma tentativa de login foi bloqueada',
      intro: (brand) =>
        `Alguém com a sua senha tentou acessar sua conta ${brand}. Em um dos seus dispositivos confiáveis ou pelo nosso e-mail, a resposta foi “Não fui eu”, e por isso a tentativa foi bloqueada.`,
      advice:
        'Quem fez isso sabe a sua senha. Troque-a agora e em todos os outros lugares onde você a usa. Depois, confira seus dispositivos confiáveis e remova os que não são seus.',
      pushAdvice: 'Alguém sabe sua senha: troque-a agora.',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `Alguém tentou entrar no ${brand} com a sua senha`,
      heading: 'Um login com a sua senha foi interrompido',
      intro: (brand) =>
        `Alguém que digitou a sua senha tentou entrar no ${brand} e não conseguiu: nenhum dispositivo confiável podia mostrar o código. Se foi você, abra o app em um dos seus dispositivos confiáveis e tente de novo. Se você não tem mais nenhum, fale com o suporte.`,
      advice: 'Alguém sabe a sua senha. Troque-a agora e em todos os outros lugares onde você a usa.',
      pushAdvice: 'Se não foi você, troque sua senha agora.',
    },
  },
  emailChanged: {
    subject: (brand) => `O endereço de e-mail da sua conta ${brand} foi alterado`,
    heading: 'Seu endereço de e-mail foi alterado',
    intro: (brand, newEmail) =>
      `O endereço de e-mail da sua conta ${brand} agora é ${newEmail}. Os códigos e avisos passarão a ser enviados para lá. Esta é a última mensagem para este endereço.`,
    advice: 'Fale com o suporte imediatamente: outra pessoa pode estar no controle da sua conta.',
  },
  passwordReset: {
    subject: (brand) => `Redefinição da senha da sua conta ${brand}`,
    heading: 'Redefinição da sua senha',
    intro: (brand) =>
      `Alguém solicitou uma nova senha para a sua conta ${brand}. Se foi você, abra o link e escolha uma.`,
    button: 'Escolher uma nova senha',
    validity: (count) => `O link vale por ${minutes(count)} e somente uma vez. Não o compartilhe com ninguém.`,
    advice:
      'Não é preciso fazer nada: sua senha continua a mesma. Se você receber mensagens assim com frequência, verifique se mais ninguém consegue ler seus e-mails.',
    footer: (brand) =>
      `${brand} envia esta mensagem porque alguém solicitou uma nova senha. O link serve apenas para escolher a nova senha, não para fazer login.`,
  },
  unusual: {
    NEW_DEVICE: 'Novo dispositivo',
    NEW_COUNTRY: (country) => `Novo país: ${country}`,
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${distance} em ${elapsed}`,
    ANONYMOUS_NETWORK: (kinds) => `Rede anônima: ${kinds.join(', ')}`,
  },
  elapsed: {
    minutes,
    hours: counted('pt-BR', { one: 'hora', other: 'horas' }),
    days: counted('pt-BR', { one: 'dia', other: 'dias' }),
  },
  previousPlace: 'local anterior',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: 'datacenter',
    PUBLIC_PROXY: 'proxy público',
    RESIDENTIAL_PROXY: 'proxy residencial',
    TOR_EXIT: 'Tor',
    OTHER: 'tipo desconhecido',
  },
  notYou: 'Se não foi você',
  whatNow: 'O que fazer agora',
  wasNotMe: 'Não fui eu',
  pageAsksFirst: 'Será aberta uma página que pergunta antes de fazer qualquer coisa. Ela nunca pede a sua senha.',
  contactSupport: 'Fale com o suporte',
  labels: {
    device: 'Dispositivo',
    removedDevice: 'Dispositivo removido',
    appVersion: 'Versão do aplicativo',
    time: 'Data e hora',
    place: 'Local',
    ipAddress: 'Endereço IP',
    newEmail: 'Novo endereço',
    unusual: 'Incomum',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: 'navegador' },
  unknown: 'desconhecido',
  placeIsApproximate: 'aproximado, com base no endereço IP',
  footer: (brand) => `${brand} envia esta mensagem para proteger sua conta. Ela não contém links para fazer login.`,
  push: {
    openTheApp: 'Abra o aplicativo para ver o código.',
    deviceIn: (device, place) => `${device} em ${place}`,
  },
  denyPage: {
    ask: {
      heading: 'Não foi você?',
      intro: (brand) => `Diga a ${brand} que não foi você, e vamos proteger sua conta. Se você tocar no botão:`,
      effects: [
        'A tentativa é encerrada e o código dela deixa de valer.',
        'Se ela já deu certo, o dispositivo é desconectado e removido dos seus dispositivos confiáveis, e você vai precisar de uma nova senha.',
      ],
      eventEffects: [
        'O dispositivo é desconectado e removido dos seus dispositivos confiáveis.',
        'Você vai precisar de uma nova senha.',
      ],
      otherwise: 'Se foi você, basta fechar esta página. Nada aconteceu ainda.',
    },
    done: {
      heading: 'Agradecemos o aviso. Sua conta está protegida.',
      intro: 'A tentativa foi encerrada. Se algum dispositivo entrou por meio dela, ele foi desconectado e removido.',
      eventIntro: 'O dispositivo foi desconectado e removido dos seus dispositivos confiáveis.',
    },
    over: {
      heading: 'Não há mais nada a fazer aqui',
      intro:
        'Este link já foi usado, ou aquilo de que ele trata já terminou. Se você não tem certeza de que está tudo bem, troque sua senha.',
    },
    invalid: {
      heading: 'Este link não funciona',
      intro:
        'Ele está incompleto ou é antigo demais. Abra-o novamente a partir da mensagem mais recente. Se você tem dúvidas sobre a segurança da sua conta, troque sua senha.',
    },
    unavailable: {
      heading: 'Isto não está funcionando agora',
      intro: 'Tente novamente em instantes: abra de novo o link da mensagem.',
    },
  },
  resetPage: {
    ask: {
      heading: 'Escolha uma nova senha',
      intro: (brand) =>
        `Para a sua conta ${brand}. Depois disso, todos os dispositivos serão desconectados e você fará login com a nova senha.`,
      newPassword: 'Nova senha',
      hint: 'Pelo menos 8 caracteres: várias palavras sem relação entre si são fáceis de lembrar e difíceis de adivinhar.',
      endTrustedDevices:
        'Remover também todos os dispositivos confiáveis: cada um vai precisar de um código no próximo login.',
      button: 'Salvar senha',
    },
    done: {
      heading: 'Sua senha foi alterada',
      intro: 'Todos os dispositivos foram desconectados. Agora faça login com a nova senha.',
    },
    invalid: {
      heading: 'Este link não funciona',
      intro: 'Ele já foi usado, é antigo demais ou está incompleto. Solicite um novo onde você faz login.',
    },
    unavailable: {
      heading: 'Isto não está funcionando agora',
      intro: 'Tente novamente em instantes: abra de novo o link da mensagem.',
    },
  },
  weaknesses: {
    TOO_SHORT: 'A senha precisa ter pelo menos 8 caracteres.',
    IS_EMAIL: 'A senha não pode ser o seu endereço de e-mail nem parte dele.',
    ONE_CHARACTER: 'A senha não pode ser um único caractere repetido.',
    GUESSABLE: 'Esta senha é fácil demais de adivinhar.',
    BREACHED: 'Esta senha é comum demais ou apareceu em um vazamento de dados.',
    UNCHANGED: 'Esta é a senha que você já tem.',
    TOO_LONG: 'A senha é longa demais.',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: 'Esta versão do aplicativo é antiga demais. Atualize o aplicativo.',
    CLIENT_VERSION_MISSING: 'Este aplicativo não informa a versão dele. Atualize o aplicativo.',
    CLIENT_VERSION_INVALID: 'Este aplicativo não informa corretamente a versão dele. Atualize o aplicativo.',
    CREDENTIALS_INCORRECT: 'O endereço de e-mail ou a senha está incorreto.',
    SESSION_INVALID: 'Sua sessão foi encerrada. Faça login novamente.',
    SERVICE_TOKEN_INVALID: 'O token de serviço está ausente ou é desconhecido.',
    SCOPE_MISSING: 'O token de serviço não permite esta chamada.',
    DEVICE_NOT_TRUSTED: 'Isto só pode ser feito em um dispositivo confiável.',
    CODE_INCORRECT: 'Este código está incorreto.',
    CHALLENGE_UNKNOWN: 'Este login não é mais conhecido. Comece de novo.',
    CHALLENGE_EXPIRED: 'O prazo deste código acabou. Comece de novo.',
    CHALLENGE_CLOSED: 'Este código não pode mais ser usado. Comece de novo.',
    SEND_TOO_SOON: 'Um código acabou de ser enviado. Aguarde um momento antes de pedi-lo novamente.',
    SENDS_EXHAUSTED: 'O código não pode mais ser enviado por este meio.',
    CHANNEL_UNAVAILABLE: 'O código não pode ser enviado por este meio.',
    RATE_LIMITED: 'Tentativas demais. Aguarde.',
    VERIFICATION_LOCKED: 'Códigos incorretos demais. Fale com o suporte.',
    DEVICE_UNKNOWN: 'Este dispositivo não está na lista.',
    EVENT_UNKNOWN: 'Este registro não está na lista.',
    RESET_TOKEN_INVALID: 'Este link já foi usado ou é antigo demais. Solicite um novo.',
    ACCOUNT_UNKNOWN: 'Esta conta não existe.',
    ACCOUNT_EXISTS: 'Já existe uma conta com este endereço de e-mail.',
    ACCOUNTS_ELSEWHERE: 'As contas e as senhas são gerenciadas em outro sistema, não aqui.',
    PASSWORD_WEAK: 'Escolha uma senha mais forte.',
    REQUEST_INVALID: 'Falta alguma informação ou ela está incorreta.',
    DEPENDENCY_UNAVAILABLE: 'Isto não está funcionando agora. Tente novamente em instantes.',
  },
  twoStepRequired:
    'A sua conta é protegida pela verificação em duas etapas, e esta versão do aplicativo não consegue pedir o código. Atualize o aplicativo.',
  advice: {
    CHANGE_PASSWORD: 'Escolha uma nova senha.',
    CHANGE_PASSWORD_ELSEWHERE: 'Se você usa esta senha em outros lugares, troque-a lá também.',
    REVIEW_TRUSTED_DEVICES: 'Confira seus dispositivos confiáveis e remova os que não são seus.',
    CHECK_MAILBOX: 'Verifique se mais ninguém consegue ler seus e-mails.',
  },
  devices: counted('pt-BR', { one: 'dispositivo confiável', other: 'dispositivos confiáveis' }),
};
