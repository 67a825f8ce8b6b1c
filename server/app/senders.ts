// What messages go out by, and what they look like, by the settings. It must not know what is sent.

import { createApnsSender } from '../delivery/apns.ts';
import type { Brand } from '../delivery/compose.ts';
import { createMailer } from '../delivery/email.ts';
import { createFcmSender } from '../delivery/fcm.ts';
import type { PushService } from '../domain/delivery.ts';
import type { Clock } from '../flows/ports.ts';
import type { AppConfig } from './app-config.ts';

/** The push services that are configured. */
export function pushServicesOf({ apns, fcm }: AppConfig): readonly PushService[] {
  return [...(apns ? (['APNS'] as const) : []), ...(fcm ? (['FCM'] as const) : [])];
}

const logoContentId = 'logo';

export function brandOf(config: AppConfig): Brand {
  return {
    name: config.brandName,
    color: config.brandColor,
    logoCid: config.brandLogo && logoContentId,
    support: config.supportContact,
  };
}

/** Mail, and the push services that are configured. */
export function openSenders(config: AppConfig, clock: Clock) {
  const { apns, fcm, brandLogo } = config;
  return {
    mailer: createMailer({
      routes: [config.smtpUrl, ...(config.smtpFallbackUrl === undefined ? [] : [config.smtpFallbackUrl])],
      from: config.mailFrom,
      dkim: config.dkim,
      logo: brandLogo && { ...brandLogo, contentId: logoContentId },
      elapsedMs: () => performance.now(),
    }),
    apns: apns && createApnsSender({ ...apns, now: clock.now }),
    fcm: fcm && createFcmSender({ ...fcm, now: clock.now }),
  };
}
