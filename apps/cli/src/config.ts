import { HiveError } from '@hivekeeper/contract/hive-error';
import { type Setting, type SettingValues, parseSetting, readSettings } from '@hivekeeper/kernel/config';

const text = (setting: Omit<Setting<string>, 'parse'>): Setting<string> => ({ ...setting, parse: parseSetting.text });

/** What `hive` reads from its environment. */
export const cliSettings = {
  url: {
    ...text({ variable: 'HIVE_URL', option: '--url', description: 'Address of the control plane.' }),
    defaultText: 'http://127.0.0.1:9002',
  },
  token: text({
    variable: 'HIVE_TOKEN',
    option: '--token-file',
    description: 'API key. Where unset, a control plane on this machine is called with `admin.key` of the data directory.',
  }),
  data: {
    ...text({ variable: 'HIVE_DATA', option: '--data', description: 'Data directory of the control plane on this machine.' }),
    defaultText: '.hivekeeper',
  },
};

/** The settings' values. */
export type CliConfig = SettingValues<typeof cliSettings>;

/** Options before environment before defaults. @throws HiveError CONFIGURATION_INVALID */
export function readConfig(
  options: Partial<Record<keyof typeof cliSettings, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): CliConfig {
  const { values, faults } = readSettings(cliSettings, { options, environment });
  const [fault] = faults;
  if (fault !== undefined) throw new HiveError('CONFIGURATION_INVALID', `${fault.source}: ${fault.message}`);
  return values;
}
