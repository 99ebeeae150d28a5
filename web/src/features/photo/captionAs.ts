export type CopyFormat = 'text' | 'alt' | 'markdown' | 'html';

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** The caption in the format that is pasted elsewhere. `address` is the photo's file name or URL. */
export function captionAs(format: CopyFormat, caption: string, address: string): string {
  switch (format) {
    case 'text':
      return caption;
    case 'alt':
      return `alt="${escapeHtml(caption)}"`;
    case 'markdown':
      return `![${caption.replace(/([\\[\]])/g, '\\$1')}](${address.replace(/[()]/g, '\\$&')})`;
    case 'html':
      return `<img src="${escapeHtml(address)}" alt="${escapeHtml(caption)}">`;
    default: {
      const never: never = format;
      return never;
    }
  }
}
