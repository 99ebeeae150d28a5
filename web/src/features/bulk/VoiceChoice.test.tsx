import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { json, serve, show } from '@/shared/testing/render';
import { PLAIN_VOICE } from '@/shared/voice/voice';
import { VoiceChoice } from './VoiceChoice';

const OURS = { ...PLAIN_VOICE, tone: 'like our shop' };
const VOICES = {
  presets: [{ name: 'museum label', voice: { ...PLAIN_VOICE, tone: 'like a museum label' } }],
  tones: [],
  saved: [{ name: 'Our shop', voice: OURS, changed_at: '2026-01-01T10:00:00Z' }],
  last: null,
};

describe('VoiceChoice', () => {
  beforeAll(() => i18n.loadNamespaces('bulk'));

  it('offers saved and ready-made voices, and no voice', async () => {
    serve({ 'GET /api/v1/styles': json({ available: true }), 'GET /api/v1/voices': json(VOICES) });
    const choose = vi.fn();
    show(<VoiceChoice isDisabled={false} onChoose={choose} />);
    const choice = await screen.findByRole('combobox', { name: 'Also in a voice' });
    await userEvent.selectOptions(choice, 'Our shop');
    expect(choose).toHaveBeenLastCalledWith(OURS);
    await userEvent.selectOptions(choice, 'Museum label');
    expect(choose).toHaveBeenLastCalledWith(VOICES.presets[0]?.voice);
    await userEvent.selectOptions(choice, 'No, plain captions only');
    expect(choose).toHaveBeenLastCalledWith(null);
    expect(screen.queryByRole('textbox', { name: 'Tone, in your own words' })).not.toBeInTheDocument();
  });

  it('takes a tone in own words, over whatever was chosen', async () => {
    serve({ 'GET /api/v1/styles': json({ available: true, max_hashtags: 10, max_tone_chars: 200, language: 'en' }), 'GET /api/v1/voices': json(VOICES) });
    const choose = vi.fn();
    show(<VoiceChoice isDisabled={false} onChoose={choose} />);
    await userEvent.selectOptions(await screen.findByRole('combobox', { name: 'Also in a voice' }), 'Museum label');
    const tone = await screen.findByLabelText('Tone, in your own words');
    await userEvent.clear(tone);
    await userEvent.type(tone, 'like a proud grandmother');
    await userEvent.click(screen.getByRole('radio', { name: 'Short' }));
    expect(choose).toHaveBeenLastCalledWith({ ...PLAIN_VOICE, tone: 'like a proud grandmother', length: 'short' });
    await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Also in a voice' }), 'In your own words');
    expect(tone).toHaveValue('quirky');
  });
});
