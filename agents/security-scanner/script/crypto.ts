import ts from 'typescript';
import type { Check } from './check.ts';
import { resolved } from './origin.ts';
import { type Script, calledName, dottedName } from './script.ts';

const textOf = (expression: ts.Expression | undefined, script: Script): string => {
  const value = expression === undefined ? undefined : resolved(expression, script);
  return value !== undefined && ts.isStringLiteralLike(value) ? value.text.toLowerCase() : '';
};

/** Hashes and ciphers that are broken. */
export const checkCipher: Check = (node, script) => {
  if (!ts.isCallExpression(node)) return undefined;
  const name = calledName(node);
  const algorithm = textOf(node.arguments[0], script);
  if (/^(createHash|createHmac|createSign|digest|pbkdf2|pbkdf2Sync)$/.test(name)) {
    const hash = name.startsWith('pbkdf2') ? textOf(node.arguments[4], script) : algorithm;
    // An HMAC and a key derivation do not rest on what is broken in SHA-1.
    const broken = name === 'createHmac' || name.startsWith('pbkdf2') ? /^(rsa-)?(md4|md5)$/ : /^(rsa-)?(md4|md5|sha-?1)$/;
    return broken.test(hash)
      ? { type: 'weak-crypto', severity: 'medium', description: `${hash} can be collided; use sha256, or scrypt or argon2 for passwords` }
      : undefined;
  }
  if (!/^create(C|Dec)ipher(iv)?$/.test(name)) return undefined;
  const isWeak = /^(des|rc2|rc4|bf|idea)\b|-ecb$/.test(algorithm) || !name.endsWith('iv');
  return isWeak
    ? {
        type: 'weak-crypto',
        severity: 'high',
        description: `${algorithm || name} does not keep a secret; use aes-256-gcm with createCipheriv`,
      }
    : undefined;
};

const forSecret = /token|secret|passw|session_?id|nonce|salt|otp|api_?key|csrf|cookie/i;
const notSecret = /tokeni[sz]|tokens?_?(count|limit|budget|usage)|(max|min|num|count|total)\w*token/i;

/** `Math.random` where nobody may guess the result. */
export const checkRandom: Check = (node) => {
  if (!ts.isCallExpression(node) || dottedName(node.expression) !== 'Math.random') return undefined;
  const name = enclosingNames(node).find((each) => forSecret.test(each) && !notSecret.test(each));
  return name === undefined
    ? undefined
    : {
        type: 'insecure-random',
        severity: 'high',
        description: `Math.random can be foretold, and "${name}" should not be; use crypto.randomBytes or randomUUID`,
      };
};

/** What the value is for: the names of the nearest declaration and of the function around it. */
function enclosingNames(from: ts.Node): string[] {
  const names: string[] = [];
  for (let node = from.parent; node !== undefined; node = node.parent) {
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken) names.push(node.left.getText());
    if (
      (ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node) || ts.isPropertyDeclaration(node)) &&
      node.initializer !== undefined
    )
      names.push(node.name.getText());
    if ((ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) && node.name !== undefined) return [...names, node.name.getText()];
  }
  return names;
}

/** Certificates that are not looked at. */
export const checkTls: Check = (node) => {
  const isOff =
    (ts.isPropertyAssignment(node) &&
      /^['"]?(rejectUnauthorized|strictSSL)['"]?$/.test(node.name.getText()) &&
      node.initializer.kind === ts.SyntaxKind.FalseKeyword) ||
    (ts.isBinaryExpression(node) &&
      node.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
      /NODE_TLS_REJECT_UNAUTHORIZED/.test(node.left.getText()) &&
      /0/.test(node.right.getText()));
  return isOff
    ? {
        type: 'tls-verification',
        severity: 'high',
        description: 'certificates are not verified, so anybody may answer; trust the CA you need instead',
      }
    : undefined;
};
