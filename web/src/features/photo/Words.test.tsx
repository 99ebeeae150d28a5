import { configureStore } from '@reduxjs/toolkit';
import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useState } from 'react';
import { Provider } from 'react-redux';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AttentionOut } from '@/shared/api/generated';
import { liveReducer } from '@/shared/api/live';
import i18n from '@/shared/i18n';
import { Words } from './Words';

const attention = {
  rows: 1,
  columns: 3,
  words: ['a', 'cat', 'sits'],
  maps: [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
} as unknown as AttentionOut;

function Sentence() {
  const [word, setWord] = useState<number | null>(null);
  return <Words text="A cat sits." attention={attention} word={word} onWord={setWord} />;
}

describe('Words', () => {
  beforeAll(() => i18n.loadNamespaces('photo'));

  it('is one tab stop, with arrow keys between words', async () => {
    const store = configureStore({ reducer: { live: liveReducer } });
    render(
      <Provider store={store}>
        <Sentence />
      </Provider>,
    );
    const words = screen.getAllByRole('button');
    expect(words.map((each) => each.textContent)).toEqual(['A', 'cat', 'sits.']);
    await userEvent.tab();
    expect(words[0]).toHaveFocus();
    await userEvent.keyboard('{ArrowRight}');
    expect(words[1]).toHaveFocus();
    expect(words[1]).toHaveAttribute('aria-pressed', 'true');
    expect(store.getState().live.announcement.text).toContain('middle of the photo');
    await userEvent.keyboard('{End}{ArrowRight}');
    expect(words[2]).toHaveFocus();
    await userEvent.keyboard('{Escape}');
    expect(words.every((each) => each.getAttribute('aria-pressed') === 'false')).toBe(true);
  });
});
