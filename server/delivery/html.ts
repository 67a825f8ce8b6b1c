// A letter as HTML, by React Email: tables and inline styles, as mail programs want them. This file knows no words of its
// own. React escapes whatever it is given.

import { Body } from '@react-email/body';
import { Button } from '@react-email/button';
import { Column } from '@react-email/column';
import { Container } from '@react-email/container';
import { Head } from '@react-email/head';
import { Heading } from '@react-email/heading';
import { Html } from '@react-email/html';
import { Img } from '@react-email/img';
import { Link } from '@react-email/link';
import { Preview } from '@react-email/preview';
import { Row } from '@react-email/row';
import { Section } from '@react-email/section';
import { Text } from '@react-email/text';
import { type CSSProperties, createElement as h, type ReactNode } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { type Brand, darkPalette, lightPalette, type Palette } from '../texts/look.ts';
import type { Fact, Letter } from './letter.ts';

const font = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const monospace = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace";

export function renderHtml(letter: Letter, brand: Brand): string {
  const light = lightPalette(brand.color);
  return `<!doctype html>\n${renderToStaticMarkup(document(letter, brand, light))}\n`;
}

function document(letter: Letter, brand: Brand, light: Palette): ReactNode {
  return h(
    Html,
    { lang: letter.texts.locale, dir: 'ltr' },
    h(
      Head,
      null,
      h('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
      h('meta', { name: 'color-scheme', content: 'light dark' }),
      h('meta', { name: 'supported-color-schemes', content: 'light dark' }),
      h('meta', { name: 'format-detection', content: 'telephone=no, date=no, address=no, email=no, url=no' }),
      h('title', null, letter.subject),
      h('style', null, stylesheet(darkPalette(brand.color))),
    ),
    h(
      Body,
      { className: 'page', style: { margin: 0, padding: '24px 12px', backgroundColor: light.page, fontFamily: font } },
      h(Preview, null, letter.preview),
      h(
        Container,
        {
          className: 'card',
          style: {
            maxWidth: '560px',
            tableLayout: 'fixed',
            backgroundColor: light.card,
            border: `1px solid ${light.line}`,
            borderTop: `4px solid ${light.accent}`,
            borderRadius: '12px',
          },
        },
        h(
          Section,
          null,
          h(
            Row,
            null,
            h(
              Column,
              { className: 'inner', style: { padding: '28px 32px 32px', overflowWrap: 'anywhere' } },
              brandLine(letter, brand, light),
              h(
                Heading,
                {
                  as: 'h1',
                  className: 'ink',
                  style: { margin: '0 0 12px', fontSize: '24px', lineHeight: 1.3, fontWeight: 700, color: light.ink },
                },
                letter.heading,
              ),
              paragraph(letter.intro, 'ink', { margin: '0 0 24px', fontSize: '16px', color: light.ink }),
              letter.code === undefined ? null : code(letter.code, light),
              letter.link === undefined ? null : link(letter.link, light),
              h(Section, { style: { margin: '0 0 24px' } }, ...letter.facts.map((fact) => factRow(fact, light))),
              advice(letter, light),
            ),
          ),
        ),
      ),
      footer(letter, light),
    ),
  );
}

/** Colours are inline for light, and here again for dark: programs that drop the style keep the light letter. */
function stylesheet(dark: Palette): string {
  return `:root { color-scheme: light dark; }
@media (max-width: 480px) {
  .inner { padding: 22px 20px 24px !important; }
  .label, .value { display: block !important; width: auto !important; }
  .label { padding: 6px 0 0 !important; }
  .value { padding: 0 0 6px !important; }
}
@media (prefers-color-scheme: dark) {
  .page, .page > table > tbody > tr > td { background-color: ${dark.page} !important; }
  .card { background-color: ${dark.card} !important; border-color: ${dark.line} !important; border-top-color: ${dark.accent} !important; }
  .ink { color: ${dark.ink} !important; }
  .soft { color: ${dark.soft} !important; }
  .code { background-color: ${dark.box} !important; border-color: ${dark.accent} !important; color: ${dark.ink} !important; }
  .advice { background-color: ${dark.box} !important; border-color: ${dark.warning} !important; }
  .button { border-color: ${dark.accent} !important; }
}`;
}

function brandLine({ brandName }: Letter, { logoCid }: Brand, light: Palette): ReactNode {
  const name = h(
    Text,
    {
      className: 'ink',
      style: { margin: 0, fontSize: '15px', lineHeight: 1.3, fontWeight: 600, color: light.ink },
    },
    brandName,
  );
  const logo =
    logoCid === undefined
      ? null
      : h(
          Column,
          { style: { width: '1px', paddingRight: '12px', verticalAlign: 'middle' } },
          // Low, so that React writes no preload link for it.
          h(Img, { src: `cid:${logoCid}`, alt: '', height: 32, fetchPriority: 'low', style: { maxWidth: '140px' } }),
        );
  return h(
    Section,
    { style: { margin: '0 0 24px' } },
    h(Row, null, logo, h(Column, { style: { verticalAlign: 'middle' } }, name)),
  );
}

function paragraph(text: string, className: 'ink' | 'soft', style: CSSProperties): ReactNode {
  return h(Text, { key: text, className, style: { lineHeight: 1.5, ...style } }, text);
}

/** The gap is a margin, so that copying gives the digits alone. */
function code({ digits, validity }: NonNullable<Letter['code']>, light: Palette): ReactNode {
  const middle = digits.length < 6 ? digits.length : Math.floor(digits.length / 2);
  const style: CSSProperties = {
    margin: '0 0 12px',
    padding: '18px 12px',
    backgroundColor: light.box,
    border: `2px solid ${light.accent}`,
    borderRadius: '10px',
    textAlign: 'center',
    fontFamily: monospace,
    fontSize: '36px',
    lineHeight: 1.2,
    fontWeight: 700,
    letterSpacing: '0.06em',
    whiteSpace: 'nowrap',
    color: light.ink,
  };
  return [
    h(
      Text,
      { key: 'code', className: 'code', style },
      h('span', null, digits.slice(0, middle)),
      middle === digits.length ? null : h('span', { style: { marginLeft: '0.4em' } }, digits.slice(middle)),
    ),
    paragraph(validity, 'soft', { margin: '0 0 24px', fontSize: '14px', color: light.soft }),
  ];
}

function link({ label, url, validity }: NonNullable<Letter['link']>, light: Palette): ReactNode {
  return [
    button('link', { label, url }, '0 0 12px', light),
    paragraph(validity, 'soft', { margin: '0 0 24px', fontSize: '14px', color: light.soft }),
  ];
}

function button(
  key: string,
  { label, url }: { readonly label: string; readonly url: string },
  margin: string,
  light: Palette,
): ReactNode {
  const style: CSSProperties = {
    margin,
    padding: '12px 22px',
    backgroundColor: light.button,
    border: `1px solid ${light.accent}`,
    borderRadius: '8px',
    fontSize: '15px',
    fontWeight: 600,
    textAlign: 'center',
    color: light.buttonInk,
  };
  return h(Button, { key, className: 'button', href: url, style }, label);
}

function factRow({ label, value, note }: Fact, light: Palette): ReactNode {
  const cell: CSSProperties = { padding: '5px 0', fontSize: '14px', lineHeight: 1.45, verticalAlign: 'top' };
  return h(
    Row,
    null,
    h(
      Column,
      {
        className: 'soft label',
        // A label's words stay whole: its column grows instead.
        style: { ...cell, width: '34%', padding: '5px 12px 5px 0', overflowWrap: 'break-word', color: light.soft },
      },
      label,
    ),
    h(
      Column,
      { className: 'ink value', style: { ...cell, color: light.ink } },
      typeof value === 'string'
        ? h('bdi', null, value)
        : value.map((line) => h('div', { key: line, style: { margin: '0 0 4px' } }, h('bdi', null, line))),
      note === undefined ? null : h('div', { className: 'soft', style: { fontSize: '13px', color: light.soft } }, note),
    ),
  );
}

function advice({ advice: { title, sentences, deny, support }, texts: { colon } }: Letter, light: Palette): ReactNode {
  const small: CSSProperties = { margin: '8px 0 0', fontSize: '14px', color: light.ink };
  return h(
    Section,
    null,
    h(
      Row,
      null,
      h(
        Column,
        {
          className: 'advice',
          style: {
            padding: '16px 18px',
            backgroundColor: light.box,
            borderLeft: `4px solid ${light.warning}`,
            borderRadius: '6px',
          },
        },
        paragraph(title, 'ink', { margin: 0, fontSize: '15px', fontWeight: 700, color: light.ink }),
        sentences.map((sentence) => paragraph(sentence, 'ink', small)),
        deny === undefined
          ? null
          : [
              button('deny', deny, '16px 0 0', light),
              paragraph(deny.note, 'soft', { ...small, fontSize: '13px', color: light.soft }),
            ],
        support === undefined
          ? null
          : h(
              Text,
              { className: 'ink', style: { ...small, margin: '14px 0 0', lineHeight: 1.5 } },
              `${support.label}${colon}`,
              h(
                Link,
                { className: 'ink', href: support.url, style: { color: light.ink, textDecoration: 'underline' } },
                support.text,
              ),
            ),
      ),
    ),
  );
}

function footer(letter: Letter, light: Palette): ReactNode {
  const { attribution } = letter;
  return h(
    Container,
    { style: { maxWidth: '560px', tableLayout: 'fixed' } },
    h(
      Text,
      {
        className: 'soft',
        style: {
          margin: '16px 8px 0',
          fontSize: '12px',
          lineHeight: 1.5,
          textAlign: 'center',
          overflowWrap: 'anywhere',
          color: light.soft,
        },
      },
      letter.footer,
      attribution === undefined
        ? null
        : [
            h('br', { key: 'break' }),
            h(
              Link,
              {
                key: 'link',
                className: 'soft',
                href: attribution.url,
                style: { color: light.soft, textDecoration: 'underline' },
              },
              attribution.text,
            ),
          ],
    ),
  );
}
