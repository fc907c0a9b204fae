/** What people are shown, without secrets. secret-names.ts by name · secret-forms.ts by form · redaction.ts both, and by value */
export { Redaction } from './redaction.ts';
export { isSecretName } from './secret-names.ts';
