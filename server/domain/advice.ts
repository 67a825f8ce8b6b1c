// What a person is advised to do next. Pure; the words are the wire's.

export type Advice = 'CHANGE_PASSWORD' | 'CHANGE_PASSWORD_ELSEWHERE' | 'REVIEW_TRUSTED_DEVICES' | 'CHECK_MAILBOX';
