import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import UrlForm from './UrlForm';

describe('UrlForm', () => {
  beforeAll(() => i18n.loadNamespaces('caption'));

  it('is focused, and submits each URL', async () => {
    const given = vi.fn();
    show(<UrlForm onUrls={given} />);
    expect(screen.getByRole('textbox')).toHaveFocus();
    await userEvent.paste('https://example.org/a.jpg\nhttp://example.org/b.jpg');
    await userEvent.click(screen.getByRole('button'));
    expect(given).toHaveBeenCalledExactlyOnceWith(['https://example.org/a.jpg', 'http://example.org/b.jpg']);
  });

  it('explains what a URL looks like, and does not submit anything else', async () => {
    const given = vi.fn();
    show(<UrlForm onUrls={given} />);
    await userEvent.paste('https://example.org/a.jpg file:///etc/passwd');
    await userEvent.click(screen.getByRole('button'));
    expect(given).not.toHaveBeenCalled();
    expect(screen.getByRole('textbox')).toBeInvalid();
    expect(screen.getByText(/Each URL must start/)).toBeInTheDocument();
    await userEvent.clear(screen.getByRole('textbox'));
    expect(screen.getByRole('textbox')).toBeValid();
  });
});
