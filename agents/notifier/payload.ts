import type { JsonObject, JsonValue } from '@hivekeeper/contract';
import type { Notification } from './input.ts';

/** Discord's limits: characters of an embed's description, of a field's name and value, and fields per embed. */
const discordLimits = { description: 4_096, fieldName: 256, fieldValue: 1_024, fields: 25 };
/** Slack shows at most this many characters of a text, and this many fields well. */
const slackLimits = { text: 20_000, fieldValue: 2_000, fields: 25 };

const colors = { info: 0x2f81f7, warning: 0xd29922, error: 0xda3633, critical: 0x8e1519 } as const;

/** The message as {@link https://api.slack.com/reference/messaging/attachments Slack's incoming webhooks} take it. */
export function slackPayload({ message, severity, metadata }: Notification, timestamp: string): JsonObject {
  const text = cut(escapeSlack(message), slackLimits.text);
  return {
    attachments: [
      {
        color: `#${colors[severity].toString(16).padStart(6, '0')}`,
        fallback: `${severity.toUpperCase()}: ${text}`,
        title: severity.toUpperCase(),
        text,
        fields: fieldsOf(metadata)
          .slice(0, slackLimits.fields)
          .map(([title, value]) => ({
            title: escapeSlack(title),
            value: cut(escapeSlack(value), slackLimits.fieldValue),
            short: value.length <= 40,
          })),
        ts: Math.floor(Date.parse(timestamp) / 1_000),
      },
    ],
  };
}

/** The message as Discord's webhooks take it. Nobody is pinged, whatever the text says. */
export function discordPayload({ message, severity, metadata }: Notification, timestamp: string): JsonObject {
  return {
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title: severity.toUpperCase(),
        description: cut(message, discordLimits.description),
        color: colors[severity],
        timestamp,
        fields: fieldsOf(metadata)
          .slice(0, discordLimits.fields)
          .map(([name, value]) => ({
            name: cut(name, discordLimits.fieldName),
            value: cut(value, discordLimits.fieldValue),
            inline: value.length <= 40,
          })),
      },
    ],
  };
}

/** The message as a plain webhook and the file get it. */
export function plainPayload(
  { message, severity, metadata }: Notification,
  envelope: { messageId: string; timestamp: string },
): JsonObject {
  return { ...envelope, severity, message, ...(metadata !== undefined && { metadata }) };
}

/** Services refuse empty names and values, so those become a dash. */
const fieldsOf = (metadata: JsonObject = {}): [string, string][] =>
  Object.entries(metadata).map(([name, value]) => [name || '–', textOf(value) || '–']);

const textOf = (value: JsonValue): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** The three characters that Slack gives a meaning: unescaped, `<!channel>` in a message would ring every phone. */
const escapeSlack = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Cuts between characters, never inside a surrogate pair. */
function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
