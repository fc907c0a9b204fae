/** Tools without subject matter. Time and randomness are parameters everywhere else. */
export { Batches, type BatchesOptions } from './batches.ts';
export { Alarm, type AlarmOptions } from './alarm.ts';
export { type Clock, type Timer, pause, systemClock } from './clock.ts';
export { type Setting, type SettingFault, type Settings, type SettingValues, parseSetting, readSettings } from './config.ts';
export { type NewId, idMaker, timeOfId } from './ids.ts';
export { type Log, type LogOptions, newLog } from './log.ts';
export { releaseStartMemory } from './memory.ts';
export { isProcessAlive } from './process-alive.ts';
export { type Random, systemRandom } from './random.ts';
export { type RetryOptions, retry } from './retry.ts';
