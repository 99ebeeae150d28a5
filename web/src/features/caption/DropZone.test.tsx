import { createEvent, fireEvent, screen, waitFor } from '@testing-library/react';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import { DropZone } from './DropZone';

const PHOTO = new File(['photo'], 'cat.jpg', { type: 'image/jpeg' });
const ADDRESSES = ['https://example.org/a.jpg', 'http://example.org/b.jpg'];

function transfer({ files = [], texts = {} }: { files?: File[]; texts?: Record<string, string> }) {
  return { files, items: files.map(() => ({ webkitGetAsEntry: () => null })), getData: (type: string) => texts[type] ?? '' };
}

function shown() {
  const given = { onFiles: vi.fn(), onUrls: vi.fn() };
  show(
    <>
      <DropZone {...given} />
      <input aria-label="other" />
    </>,
  );
  return given;
}

function paste(target: Element, what: Parameters<typeof transfer>[0]) {
  fireEvent(target, Object.assign(createEvent.paste(target), { clipboardData: transfer(what) }));
}

describe('DropZone', () => {
  beforeAll(() => i18n.loadNamespaces('caption'));

  it('accepts a dropped photo that is not in a folder', async () => {
    const { onFiles } = shown();
    fireEvent.drop(screen.getByTestId('dropzone'), { dataTransfer: transfer({ files: [PHOTO] }) });
    await waitFor(() => expect(onFiles).toHaveBeenCalledExactlyOnceWith([PHOTO]));
  });

  it('accepts all dropped URLs', async () => {
    const { onUrls } = shown();
    const texts = { 'text/uri-list': `# two\r\n${ADDRESSES.join('\r\n')}\r\n` };
    fireEvent.drop(screen.getByTestId('dropzone'), { dataTransfer: transfer({ texts }) });
    await waitFor(() => expect(onUrls).toHaveBeenCalledExactlyOnceWith(ADDRESSES));
  });

  it('accepts what is dropped next to it', async () => {
    const { onFiles } = shown();
    const isLeftToBrowser = fireEvent.drop(document.body, { dataTransfer: transfer({ files: [PHOTO] }) });
    expect(isLeftToBrowser).toBe(false);
    await waitFor(() => expect(onFiles).toHaveBeenCalledExactlyOnceWith([PHOTO]));
  });

  it("ignores drags of the page's own photos and drops into a field", async () => {
    const { onUrls } = shown();
    const address = { dataTransfer: transfer({ texts: { 'text/plain': ADDRESSES.join(' ') } }) };
    fireEvent.drop(screen.getByLabelText('other'), address);
    fireEvent.dragStart(document.body);
    fireEvent.drop(document.body, address);
    fireEvent.dragEnd(document.body);
    await Promise.resolve();
    expect(onUrls).not.toHaveBeenCalled();
    fireEvent.drop(document.body, address);
    await waitFor(() => expect(onUrls).toHaveBeenCalledOnce());
  });

  it('accepts pasted photos and URLs', () => {
    const { onFiles, onUrls } = shown();
    paste(document.body, { files: [PHOTO] });
    expect(onFiles).toHaveBeenCalledExactlyOnceWith([PHOTO]);
    paste(document.body, { texts: { 'text/plain': ADDRESSES.join('\n') } });
    expect(onUrls).toHaveBeenCalledExactlyOnceWith(ADDRESSES);
  });

  it('ignores other texts and what is pasted into a field', () => {
    const { onUrls } = shown();
    paste(document.body, { texts: { 'text/plain': `See ${ADDRESSES.join(' ')}` } });
    paste(screen.getByLabelText('other'), { texts: { 'text/plain': ADDRESSES.join(' ') } });
    expect(onUrls).not.toHaveBeenCalled();
  });
});
