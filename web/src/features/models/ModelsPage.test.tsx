import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SessionOut } from '@/shared/api/generated';
import i18n from '@/shared/i18n';
import { json, problem, serve, show } from '@/shared/testing/render';
import type { ModelVersionOut, RegistryOut } from './generated';
import ModelsPage from './ModelsPage';

const OLD = 'a'.repeat(64);
const NEW = 'b'.repeat(64);

const session = (role: string) => json({ viewer: { user: 'user-1', role, email: 'a@example.org' } } as unknown as SessionOut);

const measures = (edited: number) => [
  { name: 'edited', value: edited, low: edited / 2, high: 2 * edited, of: 40, is_share: true },
  { name: 'median_s', value: null, low: null, high: null, of: 0, is_share: false },
];

const REGISTRY: RegistryOut = {
  where: 'models',
  alias: 'champion',
  champion: OLD,
  challenger: NEW,
  since: null,
  models: [
    { id: 'default', alias: 'champion', label: 'base@1', version: OLD, state: 'current', refused: '', reason: '' },
    { id: 'default#challenger', alias: 'challenger', label: '', version: '', state: 'refused', refused: NEW, reason: 'It repeats a word.' },
  ],
  shares: { canary_percent: 10, shadow_percent: 0, by: '', why: '', since: null },
  comparison: {
    since: '2026-01-01T10:00:00Z',
    champion: { version: OLD, captions: 400, owners: 90, measures: measures(0.2) },
    challenger: { version: NEW, captions: 40, owners: 9, measures: measures(0.3) },
    shadow_photos: 0,
    shadow: [],
    evidence: 2.5,
    failure_evidence: 1,
    stops_at: 100,
    is_worse: false,
    reason: '',
  },
  moves: [],
  runs: [{ at: '2026-01-01T09:00:00Z', by: 'learner', ending: 'not started', why: '9 captions wait, fewer than 100', version: '', captions: 9 }],
  waiting: { since: null, edits: 7, picks: 2, ratings: 1, consenting: 3, enough: 100 },
  problem: '',
};

const version = (id: string, label: string): ModelVersionOut => ({
  id,
  label,
  created: '2026-01-01T08:00:00Z',
  licence: 'Apache-2.0',
  learned: '300 captions by people',
  data: 'c'.repeat(64),
  parents: id === NEW ? [OLD] : [],
  aliases: [],
  is_built_in: false,
  is_pruned: false,
  gates: { passed: true, summary: 'All 16 gates passed.' },
  has_report: true,
  can_be_promoted: true,
});

const answers = (role: string) => ({
  'GET /api/v1/session': session(role),
  'GET /api/v1/registry': json(REGISTRY),
  'GET /api/v1/registry/versions': json({ items: [version(NEW, 'base@2'), version(OLD, 'base@1')], refused: [] }),
});

describe('ModelsPage', () => {
  beforeAll(() => i18n.loadNamespaces('models'));

  it('is for staff only, and sends no request for others', async () => {
    const calls = serve({ 'GET /api/v1/session': session('user') });
    show(<ModelsPage />);
    expect(await screen.findByText('You do not have access to this page')).toBeInTheDocument();
    expect(calls.map((each) => each.path)).toEqual(['/api/v1/session']);
  });

  it('shows both arms with intervals, what waits, runs, and what could not be used', async () => {
    serve(answers('reviewer'));
    show(<ModelsPage />);
    expect(await screen.findByRole('row', { name: /Edited 20% \(10% to 40%\) 30% \(15% to 60%\)/ })).toBeInTheDocument();
    expect(screen.getByRole('row', { name: 'Median time of a job – –' })).toBeInTheDocument();
    expect(screen.getByText('9 captions wait, fewer than 100')).toBeInTheDocument();
    expect(screen.getByText('The learner starts with 100 new captions.')).toBeInTheDocument();
    expect(await screen.findByText(/The challenger base@2 could not be used.*It repeats a word/)).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Promote' })).toBeNull(); // a reviewer changes nothing
  });

  it('promotes with a reason alone, and what was seen', async () => {
    const calls = serve({ ...answers('admin'), 'POST /api/v1/registry/promote': problem(409, 'The alias moved.') });
    show(<ModelsPage />);
    const user = userEvent.setup({ delay: null });
    await user.click(await screen.findByRole('button', { name: 'Promote' }));
    const dialog = screen.getByRole('dialog', { name: 'Promote base@2?' });
    expect(within(dialog).getByRole('button', { name: 'Promote' })).toBeDisabled();
    await user.type(within(dialog).getByLabelText(/Reason/), 'better');
    await user.click(within(dialog).getByRole('button', { name: 'Promote' }));
    expect(await within(dialog).findByText('The alias moved.')).toBeInTheDocument();
    const sent = calls.find((each) => each.method === 'POST');
    expect(sent?.body).toEqual({ version: NEW, to: 'champion', why: 'better', expected: OLD });
  });

  it('says that no registry is followed', async () => {
    serve({ 'GET /api/v1/session': session('admin'), 'GET /api/v1/registry': problem(409, 'No alias is followed.') });
    show(<ModelsPage />);
    expect(await screen.findByText('No alias is followed.')).toBeInTheDocument();
  });
});
