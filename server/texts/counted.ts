// A number and the noun that goes with it, by a language's plural rules (CLDR, through Intl). Knows no text.

type Forms = Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }>;

/** `counted('en', { one: 'minute', other: 'minutes' })(2)` is `2 minutes`. */
export function counted(locale: string, forms: Forms): (count: number) => string {
  const rules = new Intl.PluralRules(locale);
  return (count) => `${count} ${forms[rules.select(count)] ?? forms.other}`;
}
