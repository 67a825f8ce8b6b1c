// When two e-mail addresses are one account. Pure.

/**
 * The form under which an address is looked up and counted: without surrounding spaces, in Unicode's NFKC, in lower
 * case. Sub-addresses and dots stay: only some providers ignore them.
 */
export function normaliseEmail(email: string): string {
  return email.trim().normalize('NFKC').toLowerCase();
}
