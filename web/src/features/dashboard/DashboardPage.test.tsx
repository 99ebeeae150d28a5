import { screen } from '@testing-library/react';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SessionOut, StatsOut } from '@/shared/api/generated';
import i18n from '@/shared/i18n';
import { json, problem, serve, show } from '@/shared/testing/render';
import DashboardPage from './DashboardPage';

const session = (role: string) => json({ viewer: { user: 'user-1', role, email: 'a@example.org' } } as unknown as SessionOut);

const STATS: StatsOut = {
  since: '2026-01-01',
  days: [
    {
      date: '2026-01-01',
      uploads: 1200,
      accounts: 3,
      ratings_up: 5,
      ratings_down: 2,
      edits: 4,
      picks: 1,
      copies: 9,
      failed_jobs: 0,
      latency: { median_s: 0.08, p95_s: 0.31 },
    },
  ],
  queue: { interactive: 1, bulk: 2, running: 1, oldest_s: null },
  models: [{ model: 'cutline-base@1.0.0', captions: 3600, ratings_up: 5, ratings_down: 2 }],
  images: 1200,
  public_images: 40,
  accounts: 12,
  anonymous: 3,
  held_images: 0,
  open_reports: 7,
  failing_webhooks: 0,
  failed_mails: 0,
};

describe('DashboardPage', () => {
  beforeAll(() => i18n.loadNamespaces('dashboard'));

  it('is for staff only, and sends no request for others', async () => {
    const calls = serve({ 'GET /api/v1/session': session('user') });
    show(<DashboardPage />);
    expect(await screen.findByText('You do not have access to this page')).toBeInTheDocument();
    expect(calls.map((each) => each.path)).toEqual(['/api/v1/session']);
  });

  it('shows uploads, the queue, latency, ratings, edits and models', async () => {
    serve({ 'GET /api/v1/session': session('admin'), 'GET /api/v1/stats': json(STATS) });
    show(<DashboardPage />);
    expect(await screen.findByRole('img', { name: 'Uploads: 1,200 total' })).toBeInTheDocument();
    expect(screen.getByRole('img', { name: 'Ratings: 7 total' })).toBeInTheDocument();
    expect(screen.getByRole('img', { name: 'Edits and picks: 5 total' })).toBeInTheDocument();
    expect(screen.getByText('0.31s')).toBeInTheDocument();
    expect(screen.getByText('Queued').nextSibling).toHaveTextContent('3');
    expect(screen.getByRole('row', { name: /cutline-base@1\.0\.0 3,600 5 2/ })).toBeInTheDocument();
  });

  it('says that the statistics could not be loaded', async () => {
    serve({ 'GET /api/v1/session': session('admin'), 'GET /api/v1/stats': problem(503, 'The database is away.') });
    show(<DashboardPage />);
    expect(await screen.findByText('The database is away.')).toBeInTheDocument();
  });

  it('says where there is no data yet', async () => {
    const quiet = STATS.days.map((day) => ({ ...day, latency: { median_s: null, p95_s: null } }));
    serve({ 'GET /api/v1/session': session('admin'), 'GET /api/v1/stats': json({ ...STATS, days: quiet, models: [] }) });
    show(<DashboardPage />);
    expect(await screen.findByRole('img', { name: 'Time to caption: no data yet' })).toBeVisible();
    expect(screen.getByText('No captions in the last 30 days.')).toBeVisible();
    expect(screen.queryByRole('columnheader', { name: 'Captions' })).toBeNull();
  });
});
