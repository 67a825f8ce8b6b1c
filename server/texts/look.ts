// What messages and pages look like: the brand, and colours that can be read by day and by night. Knows no text.

/** Who the reader knows the product as. */
export interface Brand {
  readonly name: string;
  /** `#rrggbb` */
  readonly color: string;
  /** Content id of the logo among a mail's attachments; undefined: the name stands alone. */
  readonly logoCid: string | undefined;
  /** Where support is reached: an e-mail address or an https URL; undefined: it is not named. */
  readonly support: string | undefined;
}

export interface Palette {
  readonly page: string;
  readonly card: string;
  readonly line: string;
  readonly ink: string;
  /** For what matters less. */
  readonly soft: string;
  /** Behind the code, and behind advice. */
  readonly box: string;
  readonly warning: string;
  /** The brand's colour, as far as it is seen on `card`. */
  readonly accent: string;
  readonly button: string;
  readonly buttonInk: string;
}

export function lightPalette(brandColor: string): Palette {
  return withBrand(
    {
      page: '#f3f4f6',
      card: '#ffffff',
      line: '#e2e5ea',
      ink: '#16181d',
      soft: '#5b6470',
      box: '#f6f7f9',
      warning: '#d69e1a',
    },
    brandColor,
  );
}

export function darkPalette(brandColor: string): Palette {
  return withBrand(
    {
      page: '#101216',
      card: '#1b1e24',
      line: '#343a44',
      ink: '#f1f3f6',
      soft: '#a9b1bd',
      box: '#262a33',
      warning: '#c4932a',
    },
    brandColor,
  );
}

function withBrand(plain: Omit<Palette, 'accent' | 'button' | 'buttonInk'>, color: string): Palette {
  const button = hex(parse(color));
  // Whichever is read better: one of both has at least 4.58 (WCAG 2.2, 1.4.3 asks for 4.5).
  const buttonInk = contrast(button, '#ffffff') >= contrast(button, '#000000') ? '#ffffff' : '#000000';
  // WCAG 2.2, 1.4.11: what delimits a control has 3 to its neighbour.
  return { ...plain, accent: distinct(button, plain.card, 3), button, buttonInk };
}

type Rgb = readonly [number, number, number];

const parse = (color: string): Rgb => {
  const value = Number.parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
};

const hex = (rgb: Rgb): string => `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;

/** Relative luminance (WCAG 2.2). */
function luminance(color: string): number {
  const [r, g, b] = parse(color).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of two `#rrggbb` colours, 1 to 21 (WCAG 2.2). */
export function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The colour, moved as little as needed from its background to be seen on it. */
function distinct(color: string, background: string, ratio: number): string {
  const end = luminance(background) > 0.2 ? 0 : 255;
  for (let step = 0; step < 20; step++) {
    const [r, g, b] = parse(color).map((part) => part + (end - part) * (step / 20)) as [number, number, number];
    const moved = hex([r, g, b]);
    if (contrast(moved, background) >= ratio) return moved;
  }
  return end === 0 ? '#000000' : '#ffffff';
}
