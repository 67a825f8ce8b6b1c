// The certificates that development mode makes are those of the tests, too.

export * from '../../server/development/certificate.ts';
