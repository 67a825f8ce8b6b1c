// The page behind the link of a password reset: it asks for the new password, and says what became of it. Plain HTML without
// scripts, made of escaped text. This file must not know tokens' meaning, nor HTTP.

import type { PasswordWeakness } from '../domain/password.ts';
import type { Texts } from '../texts/texts.ts';
import { escapeHtml, list, type PageContent, type PageOptions, paragraph, renderPage } from './html-page.ts';

export type ResetPageView =
  /** A form that posts `token`, `new_password` and, if ticked, `end_trusted_devices=true` to where the page came from. */
  | {
      readonly kind: 'ask';
      readonly token: string;
      /** Why the try before was refused; empty before the first. */
      readonly weaknesses: readonly PasswordWeakness[];
      /** Whether the box was ticked in the try before. */
      readonly endTrustedDevices?: boolean;
    }
  | { readonly kind: 'done' }
  /** The link was used, is too old, or is none. */
  | { readonly kind: 'invalid' }
  /** Accounts live in the customer's system: the link was sent before. */
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'unavailable' };

export function renderResetPage(view: ResetPageView, options: PageOptions): string {
  return renderPage(options, (texts, brandName) => contentOf(view, texts, brandName));
}

function contentOf(view: ResetPageView, texts: Texts, brandName: string): PageContent {
  if (view.kind === 'ask') {
    const { heading, intro } = texts.resetPage.ask;
    return { heading, content: [paragraph(intro(brandName)), form(view, texts)] };
  }
  if (view.kind === 'elsewhere') {
    return { heading: texts.resetPage.invalid.heading, content: [paragraph(texts.reasons.ACCOUNTS_ELSEWHERE)] };
  }
  const { heading, intro } = texts.resetPage[view.kind];
  return { heading, content: [paragraph(intro)] };
}

function form(
  { token, weaknesses, endTrustedDevices = false }: Extract<ResetPageView, { kind: 'ask' }>,
  texts: Texts,
): string {
  const { newPassword, hint, endTrustedDevices: endThem, button } = texts.resetPage.ask;
  const refused = weaknesses.length > 0;
  const described = refused ? 'aria-describedby="errors hint" aria-invalid="true"' : 'aria-describedby="hint"';
  return [
    '<form method="post" action="">',
    `<input type="hidden" name="token" value="${escapeHtml(token)}">`,
    errors(weaknesses, texts),
    `<label for="new_password">${escapeHtml(newPassword)}</label>`,
    // What the contract bounds in bytes is bounded here in characters; 256 of them are at most 768 bytes.
    `<input type="password" id="new_password" name="new_password" autocomplete="new-password" required minlength="8" ${described}>`,
    `<p class="soft" id="hint">${escapeHtml(hint)}</p>`,
    `<label class="check"><input type="checkbox" name="end_trusted_devices" value="true"${endTrustedDevices ? ' checked' : ''}><span>${escapeHtml(endThem)}</span></label>`,
    `<button type="submit">${escapeHtml(button)}</button>`,
    '</form>',
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function errors(weaknesses: readonly PasswordWeakness[], texts: Texts): string {
  if (weaknesses.length === 0) return '';
  const reasons = list(weaknesses.map((weakness) => texts.weaknesses[weakness]));
  return `<div class="errors" id="errors" role="alert">${paragraph(texts.reasons.PASSWORD_WEAK)}${reasons}</div>`;
}
