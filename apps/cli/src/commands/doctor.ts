import { probeMachine } from '../checks/probe.ts';
import { judge } from '../checks/judge.ts';
import type { Session } from '../session.ts';

/** `hive doctor`: what this machine has and lacks. The exit status is 1 where something is broken. */
export async function doctor(session: Session): Promise<number> {
  const { output } = session;
  const checks = judge(await probeMachine(session));
  const hasFailed = checks.some(({ verdict }) => verdict === 'fail');
  const marks = { ok: output.colors.green('ok  '), warn: output.colors.yellow('warn'), fail: output.colors.red('fail') };
  const lines = () =>
    checks
      .map(
        ({ name, verdict, finding, remedy }) =>
          `${marks[verdict]}  ${name.padEnd(14)}  ${finding}${remedy === undefined ? '' : `\n                      ${output.colors.dim(remedy)}`}`,
      )
      .join('\n');
  output.show({ ok: !hasFailed, checks }, lines);
  return hasFailed ? 1 : 0;
}
