// The Chinese texts, in simplified characters. This file knows no layout.

import type { Texts } from './texts.ts';

export const zhHans: Texts = {
  locale: 'zh-Hans',
  colon: '：',
  remark: (subject, note) => `${subject}（${note}）`,
  code: {
    SIGN_IN: {
      subject: (brand) => `您的 ${brand} 登录验证码`,
      heading: '您的登录验证码',
      intro: (brand) => `有人输入了您的密码，正在登录 ${brand}。如果是您本人，请在登录页面输入此验证码。`,
      validity: (count) => `验证码在 ${count} 分钟内有效，仅可用于本次登录。`,
      advice: '请勿将此验证码告诉任何人。有人知道您的密码：请立即更改密码，并更改其他使用相同密码的地方。',
    },
    SWITCH_OFF: {
      subject: (brand) => `用于关闭 ${brand} 两步验证的验证码`,
      heading: '用于关闭两步验证的验证码',
      intro: (brand) =>
        `有人登录了您的账号，并希望关闭 ${brand} 的两步验证。如果是您本人，请在请求验证码的页面输入此验证码。关闭后，仅凭密码即可登录。`,
      validity: (count) => `验证码在 ${count} 分钟内有效，仅可用于本次更改。`,
      advice:
        '请勿将此验证码告诉任何人。有人正在使用您的账号，并且可能知道您的密码：请立即更改密码，然后从受信任的设备中移除您不认识的设备。',
    },
  },
  codePreview: (code, validity) => `验证码：${code}。${validity}`,
  neverAsked: (brand) => `${brand} 的工作人员绝不会通过电话或消息向您索要此验证码。`,
  alerts: {
    NEW_SIGN_IN: {
      subject: (brand) => `您的 ${brand} 账号有新的登录`,
      heading: '您的账号有新的登录',
      intro: (brand) => `有一台新设备登录了您的 ${brand} 账号。如果是您本人操作，则无需执行任何操作。`,
      advice: '请立即更改密码，并更改其他使用相同密码的地方。然后，从受信任的设备中移除您不认识的设备。',
      pushAdvice: '如果不是您本人操作，请立即更改密码。',
    },
    UNUSUAL_SIGN_IN: {
      subject: (brand) => `您的 ${brand} 账号有异常登录`,
      heading: '您的账号有异常登录',
      intro: (brand) => `您的 ${brand} 账号有一次登录存在异常之处。如果是您本人操作，则无需执行任何操作。`,
      advice:
        '请立即更改密码，并更改其他使用相同密码的地方。然后，从受信任的设备中移除此处所示的设备和您不认识的设备。',
      pushAdvice: '如果不是您本人操作，请立即更改密码。',
    },
    TWO_STEP_OFF: {
      subject: (brand) => `您的 ${brand} 账号已关闭两步验证`,
      heading: '两步验证已关闭',
      intro: (brand) => `您的 ${brand} 账号已关闭两步验证。从现在起，仅凭密码即可登录。`,
      advice: '请立即更改密码，并重新开启两步验证。然后，从受信任的设备中移除您不认识的设备。',
      pushAdvice: '如果不是您本人操作，请立即更改密码。',
    },
    TWO_STEP_ON: {
      subject: (brand) => `您的 ${brand} 账号已开启两步验证`,
      heading: '两步验证已开启',
      intro: (brand) => `您的 ${brand} 账号已开启两步验证。从现在起，在新设备上登录需要密码和验证码。`,
      advice: '可能有其他人正在使用您的账号。请立即更改密码，然后从受信任的设备中移除您不认识的设备。',
      pushAdvice: '如果不是您本人操作，请立即更改密码。',
    },
    DEVICE_REMOVED: {
      subject: (brand) => `您的 ${brand} 账号移除了一台受信任的设备`,
      heading: '一台受信任的设备已被移除',
      intro: (brand) =>
        `一台设备已退出登录，并已从您 ${brand} 账号的受信任设备中移除。要在该设备上重新登录，您需要输入验证码。`,
      advice: '可能有其他人正在使用您的账号。请立即更改密码，然后从受信任的设备中移除您不认识的设备。',
      pushAdvice: '如果不是您本人操作，请立即更改密码。',
    },
    PASSWORD_CHANGED: {
      subject: (brand) => `您的 ${brand} 账号密码已更改`,
      heading: '您的密码已更改',
      intro: (brand) => `您的 ${brand} 账号密码已更改。如果是您本人操作，今后请使用新密码登录。`,
      advice: '请立即重置密码，并确保没有其他人能够查看您的邮箱。如果您无法登录账号，请联系客服。',
      pushAdvice: '如果不是您本人操作，请立即重置密码。',
    },
    CHALLENGE_DENIED: {
      subject: (brand) => `已阻止一次访问您 ${brand} 账号的尝试`,
      heading: '已阻止一次登录尝试',
      intro: (brand) =>
        `有人使用您的密码尝试访问您的 ${brand} 账号。您的一台受信任设备上或我们的邮件中给出的答复是“不是我本人操作”，因此该尝试已被阻止。`,
      advice:
        '对方知道您的密码。请立即更改密码，并更改其他使用相同密码的地方。然后，检查您的受信任设备，并移除不属于您的设备。',
      pushAdvice: '有人知道您的密码：请立即更改。',
    },
    CODE_NOT_SENT: {
      subject: (brand) => `有人使用您的密码尝试登录 ${brand}`,
      heading: '已阻止一次使用您密码的登录',
      intro: (brand) =>
        `有人输入了您的密码并尝试登录 ${brand}，但未能登录：没有可以显示验证码的受信任设备。如果是您本人，请在一台受信任设备上打开应用，然后重试。如果您已没有受信任设备，请联系客服。`,
      advice: '有人知道您的密码。请立即更改密码，并更改其他使用相同密码的地方。',
      pushAdvice: '如果不是您本人操作，请立即更改密码。',
    },
  },
  emailChanged: {
    subject: (brand) => `您的 ${brand} 账号邮箱地址已更改`,
    heading: '您的邮箱地址已更改',
    intro: (brand, newEmail) =>
      `您的 ${brand} 账号邮箱地址现已改为 ${newEmail}。今后验证码和通知将发送到该地址。这是发送到当前地址的最后一封邮件。`,
    advice: '请立即联系客服：您的账号可能已被他人控制。',
  },
  passwordReset: {
    subject: (brand) => `重置您的 ${brand} 账号密码`,
    heading: '重置您的密码',
    intro: (brand) => `有人请求为您的 ${brand} 账号设置新密码。如果是您本人操作，请打开链接并设置新密码。`,
    button: '设置新密码',
    validity: (count) => `链接在 ${count} 分钟内有效，仅可使用一次。请勿将链接告诉任何人。`,
    advice: '您无需执行任何操作：您的密码保持不变。如果您经常收到此类邮件，请确保没有其他人能够查看您的邮箱。',
    footer: (brand) => `${brand} 发送此邮件是因为有人请求设置新密码。邮件中的链接仅用于设置新密码，不能用于登录。`,
  },
  unusual: {
    NEW_DEVICE: '新设备',
    NEW_COUNTRY: (country) => `新的国家或地区：${country}`,
    // Intl sets no space before the unit; these texts do.
    IMPOSSIBLE_TRAVEL: (distance, elapsed) => `${elapsed}内移动 ${distance.replace('公里', ' 公里')}`,
    ANONYMOUS_NETWORK: (kinds) => `匿名网络：${kinds.join('、')}`,
  },
  elapsed: {
    minutes: (count) => `${count} 分钟`,
    hours: (count) => `${count} 小时`,
    days: (count) => `${count} 天`,
  },
  previousPlace: '之前的地点',
  anonymousKinds: {
    VPN: 'VPN',
    HOSTING: '数据中心',
    PUBLIC_PROXY: '公共代理',
    RESIDENTIAL_PROXY: '住宅代理',
    TOR_EXIT: 'Tor',
    OTHER: '类型未知',
  },
  notYou: '如果不是您本人操作',
  whatNow: '您现在应该做什么',
  wasNotMe: '不是我本人操作',
  pageAsksFirst: '这会打开一个页面，该页面在执行任何操作前都会先询问您，并且绝不会要求您输入密码。',
  contactSupport: '联系客服',
  labels: {
    device: '设备',
    removedDevice: '已移除的设备',
    appVersion: '应用版本',
    time: '时间',
    place: '地点',
    ipAddress: 'IP 地址',
    newEmail: '新地址',
    unusual: '异常之处',
  },
  platforms: { IOS: 'iOS', ANDROID: 'Android', WEB: '网页浏览器' },
  unknown: '未知',
  placeIsApproximate: '根据 IP 地址推测的大致位置',
  footer: (brand) => `${brand} 发送此邮件是为了保护您的账号。邮件中不含用于登录的链接。`,
  push: {
    openTheApp: '请打开应用查看验证码。',
    deviceIn: (device, place) => `${device}（${place}）`,
  },
  denyPage: {
    ask: {
      heading: '不是您本人操作吗？',
      intro: (brand) => `请告诉 ${brand} 这不是您本人操作，我们会保护您的账号。如果您按下按钮：`,
      effects: [
        '该尝试会被终止，其验证码将无法再使用。',
        '如果该尝试已经成功，那台设备会退出登录并从受信任的设备中移除，您需要设置新密码。',
      ],
      eventEffects: ['该设备会退出登录，并从受信任的设备中移除。', '您需要设置新密码。'],
      otherwise: '如果是您本人操作，关闭此页面即可。目前尚未执行任何操作。',
    },
    done: {
      heading: '谢谢。您的账号已受到保护。',
      intro: '该尝试已终止。如果有设备借此登录，该设备已退出登录并被移除。',
      eventIntro: '该设备已退出登录，并已从受信任的设备中移除。',
    },
    over: {
      heading: '无需再执行任何操作',
      intro: '此链接已被使用过，或者相关操作已经结束。如果您不确定一切是否正常，请更改密码。',
    },
    invalid: {
      heading: '此链接无效',
      intro: '链接不完整或已过期。请从最新的邮件中重新打开。如果您担心账号安全，请更改密码。',
    },
    unavailable: {
      heading: '目前无法使用',
      intro: '请稍后再试：重新打开邮件中的链接。',
    },
  },
  resetPage: {
    ask: {
      heading: '请设置新密码',
      intro: (brand) => `这是您的 ${brand} 账号的密码。设置后，所有设备都会退出登录，您可以使用新密码登录。`,
      newPassword: '新密码',
      hint: '至少 8 个字符：几个互不相关的词既容易记住，又难以猜到。',
      endTrustedDevices: '同时移除所有受信任的设备：每台设备下次登录时都需要验证码。',
      button: '保存密码',
    },
    done: {
      heading: '您的密码已更改',
      intro: '所有设备都已退出登录。请使用新密码登录。',
    },
    invalid: {
      heading: '此链接无效',
      intro: '链接已被使用过、已过期或不完整。请在登录页面重新请求链接。',
    },
    unavailable: {
      heading: '目前无法使用',
      intro: '请稍后再试：重新打开邮件中的链接。',
    },
  },
  weaknesses: {
    TOO_SHORT: '密码至少需要 8 个字符。',
    IS_EMAIL: '密码不能是您的邮箱地址或其中一部分。',
    ONE_CHARACTER: '密码不能由同一个字符重复组成。',
    GUESSABLE: '此密码太容易被猜到。',
    BREACHED: '此密码过于常见，或曾出现在数据泄露中。',
    UNCHANGED: '这是您现在的密码。',
    TOO_LONG: '密码太长。',
  },
  reasons: {
    CLIENT_VERSION_UNSUPPORTED: '此应用版本过旧。请更新应用。',
    CLIENT_VERSION_MISSING: '此应用未提供版本信息。请更新应用。',
    CLIENT_VERSION_INVALID: '此应用提供的版本信息不正确。请更新应用。',
    CREDENTIALS_INCORRECT: '邮箱地址或密码不正确。',
    SESSION_INVALID: '您已退出登录。请重新登录。',
    SERVICE_TOKEN_INVALID: '服务令牌缺失或未知。',
    SCOPE_MISSING: '服务令牌不允许此调用。',
    DEVICE_NOT_TRUSTED: '只有受信任的设备才能执行此操作。',
    CODE_INCORRECT: '验证码不正确。',
    CHALLENGE_UNKNOWN: '此次登录已失效。请重新开始。',
    CHALLENGE_EXPIRED: '验证码已过期。请重新开始。',
    CHALLENGE_CLOSED: '此验证码已无法使用。请重新开始。',
    SEND_TOO_SOON: '验证码刚刚发送。请稍候再重新获取。',
    SENDS_EXHAUSTED: '无法再通过此方式发送验证码。',
    CHANNEL_UNAVAILABLE: '无法通过此方式发送验证码。',
    RATE_LIMITED: '尝试次数过多。请稍候。',
    VERIFICATION_LOCKED: '验证码错误次数过多。请联系客服。',
    DEVICE_UNKNOWN: '此设备不在列表中。',
    EVENT_UNKNOWN: '此记录不在列表中。',
    RESET_TOKEN_INVALID: '此链接已被使用过或已过期。请重新请求链接。',
    ACCOUNT_UNKNOWN: '此账号不存在。',
    ACCOUNT_EXISTS: '使用此邮箱地址的账号已存在。',
    ACCOUNTS_ELSEWHERE: '账号和密码在其他系统中管理，不在这里。',
    PASSWORD_WEAK: '请选择更安全的密码。',
    REQUEST_INVALID: '输入的内容有缺失或不正确。',
    DEPENDENCY_UNAVAILABLE: '目前无法使用。请稍后再试。',
  },
  twoStepRequired: '您的账号受两步验证保护，而此版本的应用无法要求输入验证码。请更新应用。',
  advice: {
    CHANGE_PASSWORD: '请设置新密码。',
    CHANGE_PASSWORD_ELSEWHERE: '如果您在其他地方使用相同的密码，也请一并更改。',
    REVIEW_TRUSTED_DEVICES: '请检查您的受信任设备，并移除不属于您的设备。',
    CHECK_MAILBOX: '请确保没有其他人能够查看您的邮箱。',
  },
  devices: (count) => `${count} 台受信任的设备`,
};
