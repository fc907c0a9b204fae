import type { Severity } from '../finding.ts';

/** A secret that its own form gives away. Where the expression has a group, the group is the secret. */
export interface TokenForm {
  readonly name: string;
  readonly severity: Severity;
  readonly form: RegExp;
  /** Set where tests and prose invent such things freely. */
  readonly isOftenInvented?: true;
}

const pemEdge = (edge: string): string => `-----${edge} (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----`;
// The bare header is what parsers look for; only a header with a body is a key.
const pemKey = new RegExp(
  `${pemEdge('BEGIN')}(?:\\s|\\\\[nr]|["'+,]|[A-Za-z-]+: [^\\n]*\\n)*[A-Za-z0-9+/=]{20,}(?:[^-]{0,10000}${pemEdge('END')})?`,
  'g',
);

const scheme = String.raw`(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|nats|https?)`;
const harmlessHost = String.raw`localhost|127\.|\[::1\]|(?:[\w-]+\.)*example\b|host\b`;
const piece = String.raw`[^\s:/@'"${'`'}<>]`;
const connectionPassword = new RegExp(String.raw`\b${scheme}:\/\/${piece}+:(${piece}{3,})@(?!${harmlessHost})[\w.-]+`, 'g');

export const tokenForms: readonly TokenForm[] = [
  { name: 'a private key', severity: 'critical', form: pemKey },
  { name: 'an AWS access key id', severity: 'critical', form: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g },
  { name: 'an AWS secret access key', severity: 'critical', form: /aws.{0,20}secret.{0,20}['"]?\s*[:=]\s*['"]?([A-Za-z0-9+/]{40})\b/gi },
  { name: 'a GitHub token', severity: 'critical', form: /\bgh[pousr]_[A-Za-z0-9]{36,255}\b/g },
  { name: 'a GitHub token', severity: 'critical', form: /\bgithub_pat_[A-Za-z0-9_]{60,255}\b/g },
  { name: 'a GitLab token', severity: 'critical', form: /\bglpat-[A-Za-z0-9_-]{20,}\b/g },
  { name: 'a Slack token', severity: 'critical', form: /\bxox[abeoprs]-[A-Za-z0-9-]{20,}\b/g },
  {
    name: 'a Slack webhook address',
    severity: 'high',
    form: /\bhooks\.slack\.com\/services\/(T[A-Z0-9]{8,}\/B[A-Z0-9]{8,}\/[A-Za-z0-9]{20,})/g,
  },
  { name: 'a live Stripe key', severity: 'critical', form: /\b[sr]k_live_[A-Za-z0-9]{20,}\b/g },
  { name: 'a Google API key', severity: 'high', form: /\bAIza[A-Za-z0-9_-]{35}\b/g },
  { name: 'an npm token', severity: 'critical', form: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { name: 'an OpenAI or Anthropic key', severity: 'critical', form: /\bsk-(?:ant-|proj-)[A-Za-z0-9_-]{32,}/g },
  { name: 'a SendGrid key', severity: 'critical', form: /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b/g },
  {
    name: 'a JSON web token',
    severity: 'medium',
    isOftenInvented: true,
    form: /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}/g,
  },
  {
    name: 'a password in a connection address',
    severity: 'high',
    isOftenInvented: true,
    form: connectionPassword,
  },
];
