import { expect, it } from 'vitest';
import { maskEmail } from '../../server/domain/mask.ts';

it.each([
  ['jane@example.com', 'j•••@example.com'],
  ['j@example.com', 'j•••@example.com'],
  ['élodie@example.fr', 'é•••@example.fr'],
  ['e\u0301lodie@example.fr', 'e\u0301•••@example.fr'],
  ['👩‍💻dev@example.com', '👩‍💻•••@example.com'],
  ['анна@пример.рф', 'а•••@пример.рф'],
  ['"a@b"@example.com', '"•••@example.com'],
  ['@example.com', '•••@example.com'],
  ['no address', '•••'],
  ['', '•••'],
])('a masked address shows one character and the domain: %s', (email, masked) => {
  expect(maskEmail(email)).toBe(masked);
});

it('a masked address does not tell how long the address is', () => {
  expect(maskEmail('ab@example.com')).toBe(maskEmail(`a${'b'.repeat(60)}@example.com`));
});
