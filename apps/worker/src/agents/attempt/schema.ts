import { createHash } from 'node:crypto';
import { type JsonObject, type JsonValue } from '@hivekeeper/contract';
import { type ErrorObject, type ValidateFunction, Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** Says where a value breaks a schema: `/findings/0/line must be integer`; undefined where it does not. */
export type SchemaCheck = (schema: JsonObject, value: JsonValue) => string | undefined;

/** Tickets carry their schemas anew each time; compiling costs milliseconds, so compiled ones are kept by content. */
const maxCompiled = 500;

/** A checker of JSON Schema 2020-12 with a cache of its own. A schema that is none is reported as the value's fault. */
export function newSchemaCheck(): SchemaCheck {
  const compiled = new Map<string, ValidateFunction | string>();
  const compile = (schema: JsonObject): ValidateFunction | string => {
    const key = createHash('sha256').update(JSON.stringify(schema)).digest('base64');
    const known = compiled.get(key);
    if (known !== undefined) return known;
    if (compiled.size >= maxCompiled) compiled.clear();
    const made = compileOnce(schema);
    compiled.set(key, made);
    return made;
  };
  return (schema, value) => {
    const validate = compile(schema);
    if (typeof validate === 'string') return validate;
    return validate(value) ? undefined : sentenceOf(validate.errors?.[0]);
  };
}

/** A fresh instance a schema: two agents may use one `$id`. */
function compileOnce(schema: JsonObject): ValidateFunction | string {
  try {
    const ajv = new Ajv2020({ strict: false, validateFormats: true });
    addFormats.default(ajv);
    return ajv.compile(schema);
  } catch (error) {
    return `the schema itself is invalid: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function sentenceOf(error: ErrorObject | undefined): string {
  if (error === undefined) return 'it does not match';
  const detail = 'additionalProperty' in error.params ? ` ("${String(error.params['additionalProperty'])}")` : '';
  return `${error.instancePath || '/'} ${error.message ?? error.keyword}${detail}`;
}
