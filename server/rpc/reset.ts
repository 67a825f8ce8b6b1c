// `/reset`: the page where a new password is set, behind the link for who has forgotten it.

import { DomainError, type Refusal } from '../domain/errors.ts';
import type { Deps } from '../flows/accounts.ts';
import { lookAtResetLink, resetPassword } from '../flows/passwords.ts';
import type { Logger } from '../platform/log.ts';
import type { Brand } from '../texts/look.ts';
import { type LinkPage, linkUrl, type PageAnswer } from './link-page.ts';
import { type ResetPageView, renderResetPage } from './reset-page.ts';

export const resetPath = '/reset';

/** The link that an e-mail carries. */
export const resetUrl = (publicUrl: string, token: string): string => linkUrl(publicUrl, resetPath, token);

const statusOf: Readonly<Record<ResetPageView['kind'], number>> = {
  ask: 200,
  done: 200,
  invalid: 404,
  elsewhere: 501,
  unavailable: 503,
};

export function resetPage(deps: Deps, brand: Brand, log: Logger): LinkPage {
  const show = (view: ResetPageView, locale?: string): PageAnswer => ({
    status: statusOf[view.kind],
    locale,
    render: (language) => renderResetPage(view, { locale: language, brand }),
  });
  return {
    look: async (token) => {
      try {
        const found = await lookAtResetLink(deps, token);
        return found === undefined
          ? show({ kind: 'invalid' })
          : show({ kind: 'ask', token, weaknesses: [] }, found.locale);
      } catch (error) {
        if (refusalOf(error)?.reason === 'ACCOUNTS_ELSEWHERE') return show({ kind: 'elsewhere' });
        throw error;
      }
    },
    act: async (form, ipAddress) => {
      const token = form.get('token') ?? '';
      const newPassword = form.get('new_password') ?? '';
      const endTrustedDevices = form.has('end_trusted_devices');
      try {
        const { accountId, locale } = await resetPassword(deps, { token, newPassword, endTrustedDevices }, ipAddress);
        log.info({ accountId }, 'password reset by link');
        return show({ kind: 'done' }, locale);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal?.reason === 'RESET_TOKEN_INVALID') return show({ kind: 'invalid' });
        if (refusal?.reason === 'ACCOUNTS_ELSEWHERE') return show({ kind: 'elsewhere' });
        if (refusal?.reason === 'RATE_LIMITED') return show({ kind: 'unavailable' });
        if (refusal?.reason !== 'PASSWORD_WEAK') throw error;
        const { locale } = (await lookAtResetLink(deps, token)) ?? {};
        return show({ kind: 'ask', token, weaknesses: refusal.weaknesses, endTrustedDevices }, locale);
      }
    },
    unavailable: show({ kind: 'unavailable' }),
  };
}

const refusalOf = (error: unknown): Refusal | undefined => (error instanceof DomainError ? error.refusal : undefined);
