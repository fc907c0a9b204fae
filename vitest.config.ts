import { defineConfig } from 'vitest/config';
import { tools } from './scripts/tools.mjs';

export default defineConfig({
  test: {
    // A file says `@module-tag needs-bwrap` at its head, a test `{ tags: ['needs-bwrap'] }`: `npm test` skips it where bwrap is missing.
    tags: tools.map((tool) => ({ name: `needs-${tool}` })),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{apps,packages,agents}/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/node_modules/**', '**/fixtures/**'],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{apps,packages,agents,tests}/**/*.int.test.ts'],
          exclude: ['**/node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
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
