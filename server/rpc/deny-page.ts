// The page behind a mail's "It wasn't me": it asks, and says what became of it. Plain HTML without scripts, made of escaped
// text. This file must not know tokens' meaning, nor HTTP.

import type { Advice } from '../domain/advice.ts';
import type { Place } from '../domain/place.ts';
import { attributionOf, type DeviceFacts, dateAndTime, describeDevice, placeInWords } from '../texts/facts.ts';
import type { Texts } from '../texts/texts.ts';
import { escapeHtml, list, type PageContent, type PageOptions, paragraph, renderPage } from './html-page.ts';

/** An attempt to sign in that a code was asked for, or a sign-in that none was asked for. */
export type DenyPageSubject = 'challenge' | 'event';

export type DenyPageView =
  /** Before anything has happened: a form that posts `token` to where the page came from. */
  | {
      readonly kind: 'ask';
      readonly about: DenyPageSubject;
      readonly token: string;
      readonly device: DeviceFacts | null;
      readonly time: Date;
      readonly place: Place | null | undefined;
    }
  | { readonly kind: 'done'; readonly about: DenyPageSubject; readonly advice: readonly Advice[] }
  /** The link was used already, or what it is about is done. */
  | { readonly kind: 'over' }
  /** The link is broken or too old. */
  | { readonly kind: 'invalid' }
  | { readonly kind: 'unavailable' };

export function renderDenyPage(view: DenyPageView, options: PageOptions): string {
  return renderPage(options, (texts, brandName) => contentOf(view, texts, options.locale, brandName));
}

function contentOf(view: DenyPageView, texts: Texts, locale: string, brandName: string): PageContent {
  switch (view.kind) {
    case 'ask': {
      const { heading, intro, effects, eventEffects, otherwise } = texts.denyPage.ask;
      return {
        heading,
        content: [
          facts(view, texts, locale),
          paragraph(intro(brandName)),
          list(view.about === 'event' ? eventEffects : effects),
          `<form method="post" action=""><input type="hidden" name="token" value="${escapeHtml(view.token)}"><button type="submit">${escapeHtml(texts.wasNotMe)}</button></form>`,
          `<p class="soft">${escapeHtml(otherwise)}</p>`,
          attribution(view.place),
        ],
      };
    }
    case 'done': {
      const { heading, intro, eventIntro } = texts.denyPage.done;
      const todo = list(view.advice.map((advice) => texts.advice[advice]));
      const next = todo === '' ? '' : `<h2>${escapeHtml(texts.whatNow)}</h2>\n${todo}`;
      return { heading, content: [paragraph(view.about === 'event' ? eventIntro : intro), next] };
    }
    case 'over':
    case 'invalid':
    case 'unavailable': {
      const { heading, intro } = texts.denyPage[view.kind];
      return { heading, content: [paragraph(intro)] };
    }
  }
}

function facts(view: Extract<DenyPageView, { kind: 'ask' }>, texts: Texts, locale: string): string {
  const place = placeInWords(view.place, texts);
  const rows = [
    view.device === null ? '' : fact(texts.labels.device, describeDevice(view.device, texts)),
    fact(texts.labels.time, dateAndTime(view.time, locale, texts)),
    place === '' ? '' : fact(texts.labels.place, place, texts.placeIsApproximate),
  ];
  return `<dl>${rows.join('')}</dl>`;
}

function fact(label: string, value: string, note = ''): string {
  const small = note === '' ? '' : `<br><small>${escapeHtml(note)}</small>`;
  return `<div><dt>${escapeHtml(label)}</dt><dd><bdi>${escapeHtml(value)}</bdi>${small}</dd></div>`;
}

function attribution(place: Place | null | undefined): string {
  const source = attributionOf(place);
  if (source === undefined) return '';
  return `<p class="source"><a href="${escapeHtml(source.url)}" rel="noreferrer">${escapeHtml(source.text)}</a></p>`;
}
