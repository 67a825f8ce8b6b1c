// The access token out of an `authorization` header.

/** Undefined where the header is missing or of another scheme (RFC 6750, 2.1). */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^Bearer +([\w\-.~+/]+=*)$/i.exec(authorization ?? '')?.[1];
}
