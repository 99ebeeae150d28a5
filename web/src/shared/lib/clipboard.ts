export type CopyFormat = 'text' | 'alt' | 'markdown' | 'html';

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** A caption as people paste it. address: of the photo, where it has one that lasts. */
export function captionAs(format: CopyFormat, caption: string, address: string): string {
  switch (format) {
    case 'text':
      return caption;
    case 'alt':
      return `alt="${escapeHtml(caption)}"`;
    case 'markdown':
      return `![${caption.replace(/([\\[\]])/g, '\\$1')}](${address})`;
    case 'html':
      return `<img src="${escapeHtml(address)}" alt="${escapeHtml(caption)}">`;
    default: {
      const never: never = format;
      return never;
    }
  }
}

/** Whether the text is now in the clipboard; a browser may refuse. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
