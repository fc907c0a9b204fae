const invisible = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

/**
 * Makes characters visible that a reader would not see: control characters, and those that reverse the direction of
 * writing, with which code can be made to look like other code.
 */
export const plain = (text: string): string => text.replaceAll('\r\n', '\n').replaceAll(invisible, codePoint);

const codePoint = (character: string): string => `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
