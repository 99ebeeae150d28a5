import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keepFocus } from './keepFocus';

describe('keepFocus', () => {
  let stop: () => void;
  beforeEach(() => {
    HTMLElement.prototype.checkVisibility = () => true; // jsdom draws nothing
    document.body.innerHTML =
      '<main id="content" tabindex="-1"><button id="other"></button>' +
      '<ul><li id="first"><button id="one"></button></li><li id="second"><button id="two"></button></li></ul></main>';
    stop = keepFocus();
  });
  afterEach(() => stop());
  const at = (id: string) => document.getElementById(id);

  it('moves to a neighbour when a row is removed', async () => {
    at('two')?.focus();
    at('second')?.remove();
    await vi.waitFor(() => expect(document.activeElement).toBe(at('one')));
  });
  it('moves to the page when all rows are removed', async () => {
    at('two')?.focus();
    at('content')?.replaceChildren(document.createElement('p'));
    await vi.waitFor(() => expect(document.activeElement).toBe(at('content')));
  });
  it('leaves a button that is disabled', async () => {
    at('two')?.focus();
    at('two')?.setAttribute('disabled', '');
    await vi.waitFor(() => expect(document.activeElement).toBe(at('one')));
  });
  it('does not override a focus that was set in the meantime', async () => {
    at('two')?.focus();
    at('second')?.remove();
    at('other')?.focus();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(document.activeElement).toBe(at('other'));
  });
});
