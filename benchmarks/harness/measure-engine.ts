/* Program: measures one engine for one round. Arguments: directory, engine module, effort as JSON. Last line of output: EngineRound. */
import { pathToFileURL } from 'node:url';
import type { EngineDefinition } from './engine.ts';
import { treePssMebibytes } from './memory.ts';
import { type Effort, type EngineFigures, measureEngine } from './workloads.ts';

/** What one round of one engine reports. */
export interface EngineRound extends Omit<EngineDefinition, 'start'> {
  readonly durability: string;
  readonly figures: EngineFigures;
  readonly idlePssMebibytes: number;
  readonly loadedPssMebibytes: number;
}

const [directory = '', modulePath = '', effortText = ''] = process.argv.slice(2);
const { engine } = (await import(pathToFileURL(modulePath).href)) as { engine: EngineDefinition };
const counter = { stepCount: 0 };
const running = await engine.start({ directory, step: () => void (counter.stepCount += 1) });
const idlePssMebibytes = treePssMebibytes(process.pid);
const figures = await measureEngine(running, counter, JSON.parse(effortText) as Effort);
const loadedPssMebibytes = treePssMebibytes(process.pid);
await running.stop();
const { name, version, kind, isDurable, remark } = engine;
const round: EngineRound = {
  ...{ name, version, kind, isDurable, durability: running.durability, figures, idlePssMebibytes, loadedPssMebibytes },
  ...(remark !== undefined && { remark }),
};
process.stdout.write(`\n${JSON.stringify(round)}\n`, () => process.exit(0));
