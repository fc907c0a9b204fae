import ts from 'typescript';
import type { Check } from './check.ts';
import { isFromRequest } from './origin.ts';
import { calledImport, calledName, dottedName } from './script.ts';

const filesystem = new Set(['fs', 'fs/promises', 'fs-extra', 'graceful-fs']);

/** A path that a caller of the server chose. */
export const checkPath: Check = (node, script) => {
  if (!ts.isCallExpression(node)) return undefined;
  const name = calledName(node);
  const isFileCall = filesystem.has(calledImport(node, script)?.module ?? '') || /^fs\.promises\./.test(dottedName(node.expression));
  const isDownload = /^(sendFile|download)$/.test(name) && /^(res|response|reply)\./.test(dottedName(node.expression));
  const [path] = node.arguments;
  if ((!isFileCall && !isDownload) || path === undefined || !isFromRequest(path, script)) return undefined;
  return {
    type: 'path-traversal',
    severity: 'high',
    description: `${name} takes a path from the request; resolve it and refuse what lies outside the directory meant`,
  };
};
