import { act, configure, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import i18n from '../i18n';
import { EventStream } from '../api/events';
import { imageOf, json, problem, serve, show } from '../testing/render';
import type { StylesHereOut, VoicesOut } from './generated';
import { PLAIN_VOICE, type StyledOut } from './voice';
import VoicePanel from './VoicePanel';

const LIMITS: StylesHereOut = {
  available: true,
  reason: '',
  model: 'model@1',
  prompt: 'voice/1',
  max_variants: 5,
  max_tone_chars: 200,
  max_hashtags: 10,
  max_avoided: 30,
  max_fix_chars: 100,
  audiences: [],
  lengths: [],
  language: 'en',
};
const VOICES: VoicesOut = {
  presets: [{ name: 'museum label', voice: { ...PLAIN_VOICE, tone: 'like a museum label', audience: 'academic', length: 'long' } }],
  tones: ['dry', 'dreamy'],
  saved: [],
  last: null,
};
const image = imageOf({ description: 'A cat on a mat.' });

function styled(rank: number, body: string, hashtags: string[] = []): StyledOut {
  return {
    id: `styled-${rank}`,
    job: 'job-1',
    rank,
    text: [body, ...hashtags].join(' '),
    log_prob: null,
    model: 'model@1',
    created_at: '2026-01-01T10:00:00Z',
    shown: false,
    has_attention: false,
    styled: true,
    style: {
      voice: PLAIN_VOICE,
      body,
      hashtags,
      prompt: 'voice/1',
      seed: 1,
      like: null,
      removed: [],
      description: { version: 1, by: 'model', text: 'A cat on a mat.' },
    },
  };
}

class FakeSocket {
  static latest: FakeSocket;
  onmessage: (message: { data: string }) => void = () => undefined;
  constructor() {
    FakeSocket.latest = this;
  }
  close() {
    return undefined;
  }
}

/** The event stream brings this. */
function happens(type: string, data: Record<string, unknown>) {
  act(() => FakeSocket.latest.onmessage({ data: JSON.stringify({ type, data: { image: 'image-1', job: 'job-1', ...data } }) }));
}

function words(seq: number, number: number, text: string, more: Record<string, unknown> = {}) {
  happens('styles.words', { run: 1, seq, number, attempt: 1, text, whole: false, removed: [], reasons: [], ...more });
}

// On a busy machine, so many fields take their time; what never comes still fails.
configure({ asyncUtilTimeout: 60_000 });
vi.setConfig({ testTimeout: 240_000 });

const PLACE = '/api/v1/images/image-1/styles';

async function panel(changes: Parameters<typeof serve>[0] = {}) {
  const answers = {
    'GET /api/v1/styles': json(LIMITS),
    'GET /api/v1/voices': json(VOICES),
    [`GET ${PLACE}`]: json({ items: [] as StyledOut[] }),
    [`POST ${PLACE}`]: json({ id: 'job-1', state: 'queued' }, 202),
    'GET /api/v1/jobs/job-1': json({ id: 'job-1', state: 'running' }),
    'POST /api/v1/feedback': json({ noted: 1 }),
    ...changes,
  };
  const calls = serve(answers);
  const user = userEvent.setup(); // with a clipboard
  const { again } = show(<VoicePanel image={image} caption={image.caption} />);
  const sent = (what: string) => calls.filter(({ method, path }) => `${method} ${path}` === what).map(({ body }) => body);
  return { answers, sent, user, again };
}

describe('VoicePanel', () => {
  beforeAll(() => i18n.loadNamespaces(['voice', 'photo']));
  beforeEach(() => {
    vi.stubGlobal('WebSocket', FakeSocket);
    new EventStream({ onEvent: vi.fn(), onReset: vi.fn(), onConnection: vi.fn() }).start();
  });

  it('shows words as they are written, says each caption once, and lets one be used, taken back and copied', async () => {
    const { answers, sent, user, again } = await panel({
      'POST /api/v1/images/image-1/captions/styled-0/pick': json(image),
      'GET /api/v1/images/image-1/versions': json({ items: [{ number: 2, text: 'Mat life. #Cat' }, { number: 1, text: 'A cat on a mat.' }] }),
      'POST /api/v1/images/image-1/versions/1/restore': json(image),
    });
    await user.click(await screen.findByRole('radio', { name: 'dry' }));
    expect(screen.getByLabelText('Tone, in your own words')).toHaveValue('dry');
    await user.click(screen.getByRole('button', { name: 'Write three captions' }));
    const stop = await screen.findByRole('button', { name: 'Stop' });
    expect(stop).toHaveFocus();
    expect(sent(`POST ${PLACE}`)).toEqual([{ ...PLAIN_VOICE, tone: 'dry', hashtags: 3, emoji: true, n: 3 }]);

    const said = screen.getByRole('log');
    words(1, 0, 'Mat');
    words(2, 0, 'Mat life.');
    const first = screen.getByRole('listitem', { name: 'Caption 1' });
    expect(within(first).getByText('Mat life.')).toBeVisible();
    expect(within(first).queryByRole('button')).toBeNull(); // not before it is whole
    expect(said).toBeEmptyDOMElement();
    words(3, 0, 'Mat life. #Cat', { whole: true, removed: ['#Beer'] });
    words(4, 1, '', { whole: true, reasons: ['it insults'] });
    expect(said).toHaveTextContent(/^Caption 1: Mat life. #Cat$/);
    expect(first).toHaveTextContent('Taken out: #Beer');
    expect(screen.getByText('Not shown: it was insulting.')).toBeVisible();

    answers[`GET ${PLACE}`] = json({ items: [styled(0, 'Mat life.', ['#Cat']), styled(1, 'Purr.')] });
    happens('styles.ready', {});
    await user.click(await within(first).findByRole('button', { name: 'Copy without hashtags' }));
    expect(await navigator.clipboard.readText()).toBe('Mat life.');
    await waitFor(() => expect(sent('POST /api/v1/feedback')).toEqual([{ events: [{ kind: 'copy', caption: 'styled-0', hashtags: false }] }]));
    await user.click(within(first).getByRole('button', { name: 'Use as caption' }));
    await within(first).findByText('This is the caption now.');
    again(<VoicePanel image={image} caption="Mat life. #Cat" />);
    await user.click(within(first).getByRole('button', { name: 'Undo' }));
    await within(first).findByText('The earlier caption is back.');
    expect(said.querySelectorAll('p')).toHaveLength(5); // two captions, and what was done
    expect(screen.getByText('A cat on a mat.')).toBeVisible(); // the alternative text
  });

  it('takes an edited caption, and asks for more like one', async () => {
    const { sent, user } = await panel({
      [`GET ${PLACE}`]: json({ items: [styled(0, 'Mat life.', ['#Cat'])] }),
      'PUT /api/v1/images/image-1/caption': json(image),
      [`POST ${PLACE}`]: json({ id: 'job-2', state: 'queued' }, 202),
      'GET /api/v1/jobs/job-2': json({ id: 'job-2', state: 'running' }),
    });
    const first = await screen.findByRole('listitem', { name: 'Caption 1' });
    await user.click(within(first).getByRole('button', { name: 'Edit' }));
    const field = screen.getByLabelText('Caption 1, your words');
    expect(field).toHaveFocus();
    await user.clear(field);
    await user.type(field, 'My mat. #Cat');
    await user.click(screen.getByRole('button', { name: 'Save' }));
    await waitFor(() => expect(within(first).getByRole('button', { name: 'Edit' })).toHaveFocus());
    await user.click(within(first).getByRole('button', { name: 'Copy without hashtags' }));
    expect(await navigator.clipboard.readText()).toBe('My mat.');
    await user.click(within(first).getByRole('button', { name: 'Use as caption' }));
    await waitFor(() => expect(sent('PUT /api/v1/images/image-1/caption')).toEqual([{ text: 'My mat. #Cat', caption: 'styled-0' }]));
    await user.click(within(first).getByRole('button', { name: 'Undo my edit' }));
    expect(first).toHaveTextContent('Mat life. #Cat');
    await user.click(within(first).getByRole('button', { name: 'More like this' }));
    await waitFor(() => expect(sent(`POST ${PLACE}`)).toEqual([{ n: 3, like: 'styled-0' }]));
    expect(screen.getAllByRole('listitem')).toHaveLength(4);
  });

  it('says what to do where there is no language model', async () => {
    await panel({ 'GET /api/v1/styles': json({ ...LIMITS, available: false, reason: 'missing' }) });
    expect(await screen.findByRole('alert')).toHaveTextContent(/No language model here.*CUTLINE_RESTYLER/);
    expect(screen.queryByRole('button')).toBeNull();
    expect(screen.getByText('A cat on a mat.')).toBeVisible();
  });

  it('says why nothing was written, and tries again; stops on request', async () => {
    const { answers, sent, user } = await panel({
      'POST /api/v1/jobs/job-1/retry': json({ id: 'job-1', state: 'queued' }),
      'POST /api/v1/jobs/job-1/cancel': json({ id: 'job-1', state: 'cancelled' }),
    });
    await user.click(await screen.findByRole('button', { name: 'Write three captions' }));
    words(1, 0, 'Mat life.', { whole: true });
    words(2, 1, 'Half');
    happens('job.changed', { kind: 'style', state: 'failed', error: { code: 'restyler_unavailable', message: '...' } });
    expect(screen.getByRole('alert')).toHaveTextContent('did not answer, or broke off');
    expect(screen.queryByText('Half')).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull());
    await user.click(screen.getByRole('button', { name: 'Stop' }));
    expect(sent('POST /api/v1/jobs/job-1/cancel')).toHaveLength(1);
    happens('job.changed', { kind: 'style', state: 'cancelled', error: null });
    expect(screen.getAllByText('Stopped. What was not finished is not kept.')[0]).toBeVisible();
    answers[`POST ${PLACE}`] = problem(503, 'No.');
    await user.click(screen.getByRole('button', { name: 'Write three captions' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('No.');
  });

  it('starts from a preset, and saves a voice', async () => {
    const { sent, user } = await panel({ 'PUT /api/v1/voices/My%20museum': json({}) });
    await user.selectOptions(await screen.findByLabelText('Start from'), 'Museum label');
    expect(screen.getByRole('radio', { name: 'Experts' })).toBeChecked();
    expect(screen.getByLabelText('Hashtags')).toHaveValue(0);
    await user.click(screen.getByRole('button', { name: 'Save this voice' }));
    await user.keyboard('My museum{Enter}');
    await waitFor(() => expect(screen.getByRole('log')).toHaveTextContent('Voice saved.'));
    expect(sent('PUT /api/v1/voices/My%20museum')).toEqual([{ ...PLAIN_VOICE, tone: 'like a museum label', audience: 'academic', length: 'long' }]);
  });
});
