/* One file says which way the arrows point. Rule names are sentences; read them aloud. */
const part = '^apps/control/src/(records|governance|flow|operations)/([^/]+)/';
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });
module.exports = {
  forbidden: [
    forbid('no-circles', 'A circle means two ideas are one idea.', {}, { circular: true }),
    forbid('apps-are-leaves', 'Nobody imports an app.', { path: '^(packages|apps/([^/]+))/' }, { path: '^apps/', pathNot: '^apps/$2/' }),
    forbid(
      'contract-is-only-words',
      'Types and schemas; the one library allowed is zod.',
      { path: '^packages/contract/', pathNot: '\\.test\\.ts$' },
      { pathNot: ['^packages/contract/', 'node_modules/zod/'] },
    ),
    forbid(
      'kernel-knows-no-domain',
      'Tools without subject matter.',
      { path: '^packages/kernel/', pathNot: '\\.test\\.ts$' },
      { path: '^(packages/(?!kernel/)|apps/)' },
    ),
    forbid(
      'egress-knows-no-domain',
      'Rules and requests without subject matter.',
      { path: '^packages/egress/', pathNot: '\\.test\\.ts$' },
      { path: '^(packages/(?!egress/)|apps/)' },
    ),
    forbid(
      'bus-carries-words',
      'bus -> contract, kernel.',
      { path: '^packages/bus/', pathNot: '\\.test\\.ts$' },
      { path: '^(packages/(?!bus/|contract/|kernel/)|apps/)' },
    ),
    forbid(
      'client-runs-in-a-browser',
      'client -> contract, and no node built-ins.',
      { path: '^packages/client/', pathNot: '\\.test\\.ts$' },
      { path: '^(packages/(?!client/|contract/)|apps/|node:)|^(fs|path|http|child_process)$' },
    ),
    forbid(
      'faces-use-the-client',
      'cli and console reach the platform over HTTP only.',
      { path: '^apps/(cli|console)/' },
      { path: '^packages/(bus|testkit)/' },
    ),
    forbid(
      'records-stand-alone',
      'records -> contract, kernel.',
      { path: '^apps/control/src/records/' },
      { path: '^apps/control/src/(?!records/)|^packages/bus/' },
    ),
    forbid(
      'governance-only-judges',
      'Governance receives records as arguments.',
      { path: '^apps/control/src/governance/', pathNot: '\\.test\\.ts$' },
      { path: '^apps/control/src/(?!governance/)|^packages/bus/' },
    ),
    forbid(
      'governance-does-no-io',
      'A verdict is a pure function.',
      { path: '^apps/control/src/governance/', pathNot: '\\.test\\.ts$' },
      { dependencyTypes: ['core'] },
    ),
    forbid(
      'flow-does-not-look-up',
      'flow -> governance, records.',
      { path: '^apps/control/src/flow/' },
      { path: '^apps/control/src/(http|grpc|adapters|operations|main|control-plane|engine|outside|offline|config)' },
    ),
    forbid(
      'operations-only-reads',
      'operations -> records; it acts through a port.',
      { path: '^apps/control/src/operations/' },
      { path: '^apps/control/src/(http|grpc|adapters|flow|governance|main|control-plane|engine|outside|offline|config)' },
    ),
    forbid(
      'adapters-are-wired-in-main',
      'Only the composition root chooses an implementation.',
      { path: '^apps/control/src/(?!adapters/|(main|control-plane|engine|outside|offline)\\.ts|.*\\.test\\.ts)' },
      { path: '^apps/control/src/adapters/' },
    ),
    forbid(
      'adapters-see-ports-only',
      'adapters -> ports, contract, kernel, bus.',
      { path: '^apps/control/src/adapters/' },
      { path: '^apps/control/src/(http|grpc|main|control-plane|engine|outside|offline|config)' },
    ),
    forbid(
      'knock-at-the-door',
      'Enter a part through its index.ts.',
      { path: '^apps/control/src/', pathNot: part },
      { path: part, pathNot: '/index\\.ts$' },
    ),
    forbid(
      'knock-at-the-neighbours-door',
      'Also from another part.',
      { path: part },
      { path: part, pathNot: ['^apps/control/src/$1/$2/', '/index\\.ts$'] },
    ),
    forbid(
      'siblings-do-not-talk',
      'Parts on one floor meet in flow or main.',
      { path: '^apps/control/src/(records|governance|operations)/([^/]+)/' },
      { path: '^apps/control/src/$1/', pathNot: '^apps/control/src/$1/$2/' },
    ),
    forbid(
      'tickets-do-not-know-runs',
      'runs -> tickets, never back.',
      { path: '^apps/control/src/flow/tickets/' },
      { path: '^apps/control/src/flow/(runs|triggers)/' },
    ),
    forbid(
      'run-core-is-pure',
      'The run state machine knows words and nothing else: no clock, no database, no other part.',
      { path: '^apps/control/src/flow/runs/core/', pathNot: '\\.test\\.ts$' },
      { pathNot: ['^packages/contract/', '^apps/control/src/flow/runs/core/'] },
    ),
    forbid(
      'worker-goes-downhill',
      'intake -> session -> {agents, report, socket} -> sandbox; socket -> report.',
      { path: '^apps/worker/src/(sandbox|report|agents|socket)/' },
      { path: '^apps/worker/src/(intake|session|main)' },
    ),
    forbid(
      'sandbox-knows-nobody',
      'sandbox -> kernel.',
      { path: '^apps/worker/src/sandbox/' },
      { path: '^apps/worker/src/(?!sandbox/)|^packages/(bus|contract)/' },
    ),
    forbid(
      'an-agents-task-is-pure',
      'The nine steps know words and their ports: no broker, no disk, no provider.',
      { path: '^apps/agent-runtime/src/task/', pathNot: '\\.test\\.ts$' },
      { path: '^apps/agent-runtime/src/(?!task/)|^packages/bus/' },
    ),
    forbid(
      'testkit-is-for-tests',
      'Production code never imports fakes.',
      { pathNot: ['\\.test\\.ts$', '^packages/testkit/', '^tests/'] },
      { path: '^packages/testkit/' },
    ),
    forbid(
      'no-orphans',
      'A file nobody needs is not needed.',
      {
        orphan: true,
        pathNot: [
          'main\\.ts$',
          '\\.test\\.ts$',
          '\\.config\\.',
          '/bin/',
          '^agents/[^/]+/index\\.ts$',
          '^agents/canary/',
          '^agents/.*/fixtures/',
        ],
      },
      {},
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
