import { describe, expect, it } from 'vitest';
import { captionAs } from './captionAs';

describe('captionAs', () => {
  const caption = 'A "dog" & <cat> [run].';
  it('escapes HTML markup', () => {
    expect(captionAs('alt', caption, '')).toBe('alt="A &#34;dog&#34; &#38; &#60;cat&#62; [run]."');
    expect(captionAs('html', 'A dog.', 'https://x/?a=1&b=2')).toBe('<img src="https://x/?a=1&#38;b=2" alt="A dog.">');
  });
  it('escapes brackets in Markdown text', () => {
    expect(captionAs('markdown', caption, 'https://x')).toBe('![A "dog" & <cat> \\[run\\].](https://x)');
  });
  it('escapes parentheses in Markdown URLs', () => {
    expect(captionAs('markdown', 'A dog.', 'dog%20(1).jpg')).toBe('![A dog.](dog%20\\(1\\).jpg)');
  });
});
