import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { candidateOf, imageOf, json, serve, show } from '@/shared/testing/render';
import CopyMenu from './CopyMenu';

function menu(isModels = true) {
  const closed = vi.fn();
  const { store } = show(
    <CopyMenu image={imageOf()} caption='A "cat" & a mat.' candidate={isModels ? candidateOf() : null} anchor={document.body} onClose={closed} />,
  );
  return { closed, store };
}

describe('CopyMenu', () => {
  beforeAll(() => i18n.loadNamespaces('photo'));

  it.each([
    ['As text', 'A "cat" & a mat.'],
    ['As alt attribute', 'alt="A &#34;cat&#34; &#38; a mat."'],
    ['As Markdown', '![A "cat" & a mat.](cat.jpg)'],
    ['As HTML', '<img src="cat.jpg" alt="A &#34;cat&#34; &#38; a mat.">'],
  ])('%s', async (name, text) => {
    serve({ 'POST /api/v1/feedback': json({ noted: 1 }) });
    const user = userEvent.setup(); // with a clipboard
    const { closed } = menu();
    await user.click(screen.getByRole('menuitem', { name }));
    expect(await navigator.clipboard.readText()).toBe(text);
    expect(closed).toHaveBeenCalledOnce();
  });

  it("reports the copying of a model's caption, but not of a person's", async () => {
    const calls = serve({ 'POST /api/v1/feedback': json({ noted: 1 }) });
    const user = userEvent.setup();
    menu(false);
    await user.click(screen.getByRole('menuitem', { name: 'As text' }));
    expect(calls).toEqual([]);
    menu();
    await user.click(screen.getAllByRole('menuitem', { name: 'As text' }).at(-1) as HTMLElement);
    await waitFor(() => expect(calls).toHaveLength(1));
    expect(calls[0]?.body).toEqual({ events: [{ kind: 'copy', caption: 'caption-1' }] });
  });
});
