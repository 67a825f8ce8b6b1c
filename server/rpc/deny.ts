// `/deny`: the page where "it wasn't me" is said, to a challenge or to an entry of the login activity.

import type { Deps } from '../flows/context.ts';
import { lookAtLink, useLink } from '../flows/links.ts';
import type { Logger } from '../platform/log.ts';
import type { Brand } from '../texts/look.ts';
import { type DenyPageView, renderDenyPage } from './deny-page.ts';
import { type LinkPage, linkUrl, type PageAnswer } from './link-page.ts';

export const denyPath = '/deny';

/** The link that an e-mail carries. */
export const wasNotMeUrl = (publicUrl: string, token: string): string => linkUrl(publicUrl, denyPath, token);

const statusOf: Readonly<Record<DenyPageView['kind'], number>> = {
  ask: 200,
  done: 200,
  over: 200,
  invalid: 404,
  unavailable: 503,
};

export function denyPage(deps: Deps, brand: Brand, log: Logger): LinkPage {
  const show = (view: DenyPageView, locale?: string): PageAnswer => ({
    status: statusOf[view.kind],
    locale,
    render: (language) => renderDenyPage(view, { locale: language, brand }),
  });
  return {
    look: async (token) => {
      const found = await lookAtLink(deps, token);
      if (found.kind !== 'ask') return show(found);
      const { locale, ...asked } = found;
      return show({ ...asked, token }, locale);
    },
    act: async (form) => {
      const { accountId, locale, ...outcome } = await useLink(deps, form.get('token') ?? '');
      if (accountId !== undefined) log.info({ accountId }, 'denied by link');
      return show(outcome, locale);
    },
    unavailable: show({ kind: 'unavailable' }),
  };
}
