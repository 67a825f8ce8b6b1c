// Hashes of passwords that other implementations have made, and where they come from.

export interface ForeignHash {
  readonly from: string;
  readonly hash: string;
  readonly password: string;
}

export const foreignHashes: readonly ForeignHash[] = [
  {
    from: 'argon2id: phc-winner-argon2, src/test.c',
    hash: '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    password: 'password',
  },
  {
    from: 'argon2id of little memory: phc-winner-argon2, src/test.c',
    hash: '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4',
    password: 'password',
  },
  {
    from: 'argon2id of two lanes: phc-winner-argon2, src/test.c',
    hash: '$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc',
    password: 'password',
  },
  {
    from: 'bcrypt 2a: crypt_blowfish 1.3, wrapper.c',
    hash: '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
    password: 'U*U',
  },
  {
    from: 'bcrypt 2b: libxcrypt 4.4, through crypt.crypt of Python 3.11',
    hash: '$2b$10$N9qo8uLOickgx2ZMRZoMye65nOz9inEy7mvjtcUYzrOr2KIS9V/5q',
    password: 'Zwölf Boxkämpfer jagen',
  },
  {
    from: 'bcrypt 2y: libxcrypt 4.4, through crypt.crypt of Python 3.11',
    hash: '$2y$06$DCq7YPn5Rq63x1Lad4cll.Yc223knJwpNXstmdXiA3yHMkAkyZ.0q',
    password: 'correct horse',
  },
  {
    from: 'scrypt: RFC 7914, 12, the third',
    hash: '$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw',
    password: 'pleaseletmein',
  },
  {
    from: 'scrypt: hashlib.scrypt of Python 3.11, of several lanes',
    hash: '$scrypt$ln=10,r=4,p=3$MDEyMzQ1Njc4OWFiY2RlZg$N5i7FhZFCgpW/+Z52mQxCLmQZxciQC02WKaJ6JCQgWU',
    password: 'correct horse',
  },
  {
    from: 'scrypt: the documentation of Passlib',
    hash: '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E',
    password: 'password',
  },
];
