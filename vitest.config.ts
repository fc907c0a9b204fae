import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { tools } from './scripts/tools.mjs';

/** They take the longest, the first of them most of all: begun last, one would run while nothing else does. */
const longest = ['chaos/effects', 'chaos/kill', 'chaos/chaos', 'e2e/backup', 'e2e/demo', 'e2e/up'].map((name) => `/tests/${name}.test.ts`);

/** Vitest knows how long files take from the run before; in a fresh clone there is none, and it begins with the largest. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification) => longest.findIndex((name) => moduleId.endsWith(name));
    const sorted = await super.sort(files);
    const first = sorted.filter((file) => placeOf(file) >= 0).sort((one, other) => placeOf(one) - placeOf(other));
    return [...first, ...sorted.filter((file) => !first.includes(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // A file says `@module-tag needs-bwrap` at its head, a test `{ tags: ['needs-bwrap'] }`: `npm test` skips it where bwrap is missing.
    tags: tools.map((tool) => ({ name: `needs-${tool}` })),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{apps,packages,agents}/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/node_modules/**', '**/fixtures/**'],
          // By default one core is left over.
          maxWorkers: 2,
          // They leave nothing behind, and half of their time went into loading the same modules for each file.
          isolate: false,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{apps,packages,agents,tests}/**/*.int.test.ts'],
          exclude: ['**/node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/*.long.test.ts', '**/node_modules/**', 'tests/**/fixtures/**'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // Half of the time they wait for leases, restarts and people.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['tests/chaos/**/*.long.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
