import { describe, expect, it } from 'vitest';
import { endpointOf } from './endpoint.ts';
import { notificationSchema } from './input.ts';
import { discordPayload, plainPayload, slackPayload } from './payload.ts';

const timestamp = '2026-01-02T03:04:05.000Z';
const notification = notificationSchema.parse({
  channel: 'console',
  message: 'Build <!channel> & test',
  severity: 'error',
  metadata: { run: 'run_1', counts: { critical: 2 }, empty: '' },
});

describe('what a service gets', () => {
  it('gives Slack an attachment in which markup is only text', () => {
    expect(slackPayload(notification, timestamp)).toEqual({
      attachments: [
        {
          color: '#da3633',
          fallback: 'ERROR: Build &lt;!channel&gt; &amp; test',
          title: 'ERROR',
          text: 'Build &lt;!channel&gt; &amp; test',
          fields: [
            { title: 'run', value: 'run_1', short: true },
            { title: 'counts', value: '{"critical":2}', short: true },
            { title: 'empty', value: '–', short: true },
          ],
          ts: 1767323045,
        },
      ],
    });
  });

  it('gives Discord an embed that pings nobody', () => {
    expect(discordPayload(notification, timestamp)).toMatchObject({
      allowed_mentions: { parse: [] },
      embeds: [{ title: 'ERROR', description: 'Build <!channel> & test', color: 0xda3633, timestamp }],
    });
  });

  it('keeps within the limits of Discord and cuts no character in half', () => {
    const metadata = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`field ${index}`, 'x'.repeat(2_000)]));
    const long = notificationSchema.parse({ channel: 'console', message: `${'a'.repeat(4_094)}😀b`, metadata });
    const [embed] = discordPayload(long, timestamp)['embeds'] as unknown as [{ description: string; fields: { value: string }[] }];
    expect(embed.description).toBe(`${'a'.repeat(4_094)}…`);
    expect(embed.fields).toHaveLength(25);
    expect(embed.fields[0]?.value).toHaveLength(1_024);
  });

  it('gives a webhook the message as it is, with the id to know it again by', () => {
    expect(plainPayload(notification, { messageId: 'm1', timestamp })).toEqual({
      messageId: 'm1',
      timestamp,
      severity: 'error',
      message: 'Build <!channel> & test',
      metadata: { run: 'run_1', counts: { critical: 2 }, empty: '' },
    });
  });
});

describe('which addresses may be called', () => {
  it.each([
    'https://hooks.example.com/T/x',
    'http://127.0.0.1:8080/hook',
    'http://localhost/hook',
    'http://[::1]:9/hook',
    'http://0x7f.1/hook',
  ])('calls %s', (address) => {
    expect(endpointOf(address).href).toContain('h');
  });

  it.each([
    'http://hooks.example.com/secret',
    'http://127.0.0.1.example.com/secret',
    'ftp://127.0.0.1/secret',
    'file:///secret',
    'https://user:secret@example.com/',
    'secret',
  ])('refuses %s and does not repeat what is secret in it', (address) => {
    expect(() => endpointOf(address)).toThrow(/^webhookUrl (is not|must)/);
    expect(() => endpointOf(address)).not.toThrow(/secret/);
  });
});

describe('what is refused before anything is sent', () => {
  it.each(['slack', 'discord', 'webhook'])('refuses the channel %s without a webhookUrl', (channel) => {
    const { error } = notificationSchema.safeParse({ channel, message: 'hello' });
    expect(error?.issues[0]?.message).toBe('the channels slack, discord and webhook need a webhookUrl');
  });

  it('refuses the channel file without a path', () => {
    expect(notificationSchema.safeParse({ channel: 'file', message: 'hello' }).error?.issues[0]?.path).toEqual(['path']);
  });
});
