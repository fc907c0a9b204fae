import type { JsonObject, JsonValue } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { createExpressions } from '../../expressions.ts';
import { resolveTemplate, type Scope } from './resolve.ts';
import { compileTemplate, expressionsIn, nodesIn } from './template.ts';

const { evaluate } = createExpressions();
const ids = ['scan', 'scan-all', 'a', 'b'];
const positionById = new Map(ids.map((id, index) => [id, index]));
const hostile = '{{ context.secret }} "quoted" \n \\ } }} {{ {"a": [1]';
const context: JsonObject = {
  name: 'hive',
  secret: 's3cret',
  hostile,
  'hyphen-name': 'h',
  'with "quote"': 'q',
  list: ['zero', ['one'], { two: 2 }],
  object: { '0': 'key zero', a: 1 },
  none: null,
  x: 5,
};
const results: readonly JsonObject[] = [
  { status: 'SUCCESS', output: { total: 3, summary: { total: 12 }, text: 'done', flag: false }, error: null },
  { status: 'FAILED', output: null, error: { code: 'AGENT_FAILED', message: 'boom' } },
  { status: 'SUCCESS', output: 'out of a', error: null },
  { status: 'SUCCESS', output: [1, 2], error: null },
];
const scope: Scope = {
  runId: 'run_1',
  context,
  item: { path: 'src/a.ts', tags: ['t'] },
  idOf: (node) => ids[node] ?? '',
  nodeAt: (node) => results[node] ?? {},
  evaluate,
};
const resolve = (template: JsonValue, own: Partial<Scope> = {}) =>
  resolveTemplate(compileTemplate(template, positionById), { ...scope, ...own });

describe('templates with a value', () => {
  it.each<[string, JsonValue, JsonValue]>([
    ['no template at all', 'plain { text } }}', 'plain { text } }}'],
    ['a context value', '{{ context.name }}', 'hive'],
    ['a template without spaces', '{{context.name}}', 'hive'],
    ['a nested node output', '{{ nodes.scan.output.summary.total }}', 12],
    ['a node by its bare id', '{{ scan.output.summary.total }}', 12],
    ['a node id with a hyphen', '{{ scan-all.error.code }}', 'AGENT_FAILED'],
    ['a node id with a hyphen, qualified', '{{ nodes.scan-all.status }}', 'FAILED'],
    ['a node id with a hyphen in an expression', '{{ nodes["scan-all"].status == "FAILED" }}', true],
    ['a whole node', '{{ a }}', results[2] ?? null],
    ['the error of a node that has none', '{{ scan.error }}', null],
    ['the element of a map', '{{ item.path }}', 'src/a.ts'],
    ['the id of the run', '{{ run.id }}', 'run_1'],
    ['a number, which stays one', '{{ scan.output.total }}', 3],
    ['a boolean, which stays one', '{{ scan.output.flag }}', false],
    ['null, which stays null', '{{ context.none }}', null],
    ['an object, which stays one', '{{ context.object }}', { '0': 'key zero', a: 1 }],
    ['a list by dot and index', '{{ context.list.0 }}', 'zero'],
    ['a list by bracket and index', '{{ context.list[1][0] }}', 'one'],
    ['a name behind an index', '{{ context.list.2.two }}', 2],
    ['an object by a number', '{{ context.object.0 }}', 'key zero'],
    ['a quoted name', '{{ context["hyphen-name"] }}', 'h'],
    ['a quoted name with quotes inside', '{{ context["with \\"quote\\""] }}', 'q'],
    ['text around a template', 'Hello, {{ context.name }}!', 'Hello, hive!'],
    ['several templates in one text', '{{ context.name }}-{{ scan.output.total }}', 'hive-3'],
    [
      'values that are no strings, in text',
      'n={{ context.none }} o={{ context.object }} l={{ b.output }}',
      'n=null o={"0":"key zero","a":1} l=[1,2]',
    ],
    ['templates deep inside', { a: [{ b: '{{ scan.output.total }}' }, 'x'], c: 1 }, { a: [{ b: 3 }, 'x'], c: 1 }],
    ['an expression', '{{ scan.output.total + context.x > 7 ? "many" : "few" }}', 'many'],
    ['a subtraction, which is no name with a hyphen', '{{ context.x - scan.output.total }}', 2],
    ['a subtraction without spaces', '{{ scan.output.total-1 }}', 2],
    ['an expression over the element of a map', '{{ size(item.tags) }}', 1],
    ['an expression over the run', '{{ run.id + "!" }}', 'run_1!'],
    ['braces inside an expression', '{{ {"a": {"b": context.x}} }}', { a: { b: 5 } }],
    ['braces at the end of an expression', '{{ {"a": {"b": 1}}}}', { a: { b: 1 } }],
    ['a literal opening brace', '{{ "{{" }} and {{ "}}" }}', '{{ and }}'],
    ['an escaped quote inside an expression', '{{ "a\\"}}b" }}', 'a"}}b'],
    ['a single quote around double ones', "{{ '\"}}' }}", '"}}'],
  ])('resolve %s', (_, template, expected) => {
    expect(resolve(template)).toEqual(expected);
  });
});

describe('data', () => {
  it.each([
    ['alone', '{{ context.hostile }}', hostile],
    ['inside a text', '<{{ context.hostile }}>', `<${hostile}>`],
    ['through an expression', '{{ context.hostile + "" }}', hostile],
    ['beside another template', '{{ context.hostile }}{{ context.name }}', `${hostile}hive`],
  ])('is never read for templates again, %s', (_, template, expected) => {
    expect(resolve(template)).toBe(expected);
  });

  it('cannot become structure: quotes, newlines and braces stay inside the string they were put in', () => {
    expect(resolve({ json: '{"a": "{{ context.hostile }}"}', next: 1 })).toEqual({ json: `{"a": "${hostile}"}`, next: 1 });
  });

  it('leaves keys as the author wrote them', () => {
    expect(resolve({ '{{ context.name }}': '{{ context.name }}' })).toEqual({ '{{ context.name }}': 'hive' });
  });

  it('with a key __proto__ makes an own property and touches no prototype', () => {
    const resolved = resolve(JSON.parse('{"__proto__": {"polluted": "{{ context.name }}"}}') as JsonValue) as JsonObject;
    expect(Object.keys(resolved)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(resolved)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('is handed on as it is, not copied, where nothing had to be put in', () => {
    const constant = { deep: [1, { two: 'x' }] };
    expect(resolve(constant)).toBe(constant);
    expect(resolve('{{ context.object }}')).toBe(context['object']);
  });
});

describe('templates without a value', () => {
  it.each([
    ['a missing name', '{{ context.nope }}', 'context.nope: context has no "nope"'],
    [
      'a name behind a missing one',
      'x {{ scan.output.summary.nope.deep }}',
      'scan.output.summary.nope.deep: scan.output.summary has no "nope"',
    ],
    ['a name of null', '{{ context.none.x }}', 'context.none.x: context.none has no "x"'],
    ['a name of a text', '{{ context.name.length }}', 'context.name.length: context.name has no "length"'],
    ['a character of a text', '{{ context.name[0] }}', 'context.name[0]: context.name has no "0"'],
    ['an index beyond the end', '{{ context.list[9] }}', 'context.list[9]: context.list has no "9"'],
    ['the length of a list', '{{ context.list.length }}', 'context.list.length: context.list has no "length"'],
    ['a prototype', '{{ context.__proto__ }}', 'context.__proto__: context has no "__proto__"'],
    ['a constructor', '{{ context["constructor"].name }}', 'context["constructor"].name: context has no "constructor"'],
    ['an inherited method', '{{ context.toString }}', 'context.toString: context has no "toString"'],
    ['a prototype in an expression', '{{ context.__proto__ == null }}', 'context.__proto__ == null: No such key: __proto__'],
    ['an unknown root', '{{ secrets.key }}', 'secrets.key: "secrets" is neither context, nodes, item, run nor the id of a node'],
    [
      'the global object',
      '{{ globalThis.process }}',
      'globalThis.process: "globalThis" is neither context, nodes, item, run nor the id of a node',
    ],
    ['an unknown node', '{{ nodes.nope.output }}', 'nodes.nope.output: there is no node "nope"'],
    ['nodes as a whole', '{{ nodes }}', 'nodes: "nodes" is followed by the id of a node: nodes.scan or nodes["scan-all"]'],
    ['more of the run than its id', '{{ run.id.x }}', 'run.id.x: No such key: x'],
    ['nothing', 'a {{ }} b', ': there is nothing between the braces'],
    ['an opening without a closing', 'a {{ context.name } b', '{{ context.name } b: "{{" has no matching "}}"'],
    ['a text that never ends', '{{ "abc }}', '{{ "abc }}: "{{" has no matching "}}"'],
    [
      'a variable that hides a node',
      '{{ b.output.map(a, a) }}',
      'b.output.map(a, a): "a" names something else already; call the variable otherwise',
    ],
  ])('fail for %s', (_, template, message) => {
    expect(() => resolve(template)).toThrow(expect.objectContaining({ code: 'TEMPLATE_UNRESOLVED', message }));
  });

  it('fail for the element of a map where there is no map', () => {
    expect(() => resolve('{{ item.path }}', { item: undefined })).toThrow('"item" exists only in the input of a node with "map"');
  });

  it('fail for an expression that is too long, and for an input that is nested too deep', () => {
    expect(() => resolve(`{{ ${'1 + '.repeat(600)}1 }}`)).toThrow('longer than 2000 characters');
    let deep: JsonValue = '{{ context.name }}';
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    expect(() => resolve(deep)).toThrow('nested deeper than 64 levels');
  });
});

describe('what a template reaches into', () => {
  const reached = (text: string) =>
    expressionsIn(compileTemplate(text, positionById), '')
      .flatMap(({ expression }) => nodesIn(expression))
      .map((node) => ids[node]);

  it.each<[string, string[]]>([
    ['{{ scan.output }} {{ nodes.a.output }}', ['scan', 'a']],
    ['{{ nodes.scan.output.n + nodes["scan-all"].output.n + a.output }}', ['scan', 'scan-all', 'a']],
    ['{{ "nodes.scan" + context.a.b }}', []],
    ['{{ context.list.exists(x, x.scan == 1 || x == a.output) }}', ['a']],
    ['{{ size(b.output) > 1 // scan.output\n }}', ['b']],
    ["{{ r\"\\a\" + '''scan \"a\" ''' + string(int(1.5e3)) }}", []],
    ['{{ has(context.a) && type(context.x) == int }}', []],
  ])('is found in %s', (text, expected) => {
    expect(reached(text)).toEqual(expected);
  });

  it('is told with the JSON pointer to the string it stands in', () => {
    const template = compileTemplate({ 'a/b~c': ['x', { d: '{{ context.x }}' }] }, positionById);
    expect(expressionsIn(template, '/input').map(({ pointer }) => pointer)).toEqual(['/input/a~1b~0c/1/d']);
  });
});
